"""What an execution of a deployment may be given, and what is wrong with it."""

from cdk_sagemaker_pytorch.states.input_check import all_problems, not_matching, unknown_members
from cdk_sagemaker_pytorch.states.jsonata import literal
from cdk_sagemaker_pytorch.states.names import RUN_SUFFIX_PATTERN
from cdk_sagemaker_pytorch.training.execution_input import named_training_job

__all__ = ["deployment_input_problems"]

_WHAT = ("model_data", "training_job_name", "roll_back")


def deployment_input_problems(given: str, *, version_prefix: str, compressed: bool) -> str:
    """Write JSONata of what is wrong with an execution's input: a text, empty when nothing is.

    Parameters
    ----------
    given : str
        Path of the input.
    version_prefix : str
        Prefix of the endpoint's versions.
    compressed : bool
        Whether model data is an archive.
    """
    uri = "^s3:\\/\\/[^\\/]+\\/.*" + ("[^\\/]$" if compressed else "\\/$")
    words = "the S3 URI of a model.tar.gz" if compressed else "an S3 URI with a slash at its end"
    given_ones = f"$keys($in)[$ in {literal([*_WHAT])} and $given($lookup($in, $))]"
    checks = (
        unknown_members((*_WHAT, "requested_at"), f"one of {', '.join(_WHAT)}, and requested_at"),
        (
            f"$count({given_ones}) != 1"
            f" ? 'one of {', '.join(_WHAT)} must be given, got ' & $string($count({given_ones}))"
        ),
        named_training_job(),
        not_matching("model_data", uri, words),
        not_matching(
            "roll_back",
            f"^{version_prefix}-{RUN_SUFFIX_PATTERN}$",
            f"a version such as {version_prefix}-20260131120000-0a1b2c3d",
        ),
        not_matching(
            "requested_at",
            "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z$",
            "a time such as 2026-01-31T12:00:00.000Z",
        ),
    )
    return all_problems(given, checks)
