"""How much of a training job's description its parameters fill: Step Functions carries 256 KiB."""

import json
from collections.abc import Mapping

from cdk_sagemaker_pytorch.common.problems import Problems
from cdk_sagemaker_pytorch.common.tokens import is_token

__all__ = ["check_description_size"]

# The quota of the input or output of a state, which no Catch sees, less 16 KiB for the rest of a description:
# https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
_MOST_BYTES = (256 - 16) * 1024


def check_description_size(
    problems: Problems, hyperparameters: Mapping[str, str], environment: Mapping[str, object]
) -> None:
    """Note hyperparameters and environment variables whose job would run, and its execution fail at its end.

    Parameters
    ----------
    problems : Problems
        Gets the finding.
    hyperparameters : mapping of str to str
        Values as JSON; tokens count as nothing.
    environment : mapping of str to object
        The variables, likewise.
    """
    described = [
        {
            name: value
            for name, value in given.items()
            if isinstance(name, str) and isinstance(value, str) and not is_token(value)
        }
        for given in (hyperparameters, environment)
    ]
    size = len(json.dumps(described, ensure_ascii=False).encode(errors="surrogatepass"))
    problems.check(
        size <= _MOST_BYTES,
        f"hyperparameters and environment together must be at most {_MOST_BYTES} bytes as JSON, for Step"
        f" Functions carries 256 KiB of a job's description, got {size}: put what is large into a channel",
    )
