"""Hyperparameters: the arguments of a training script."""

import json
from collections.abc import Mapping
from typing import Any

from cdk_sagemaker_pytorch.common.api_limits import API_LIMITS
from cdk_sagemaker_pytorch.common.json_values import encode_json, plain_json
from cdk_sagemaker_pytorch.common.limits import check_limits, shown
from cdk_sagemaker_pytorch.common.problems import Problems
from cdk_sagemaker_pytorch.common.tokens import is_token
from cdk_sagemaker_pytorch.states import jsonata

__all__ = ["Hyperparameters", "own_hyperparameters"]

# How many `own_hyperparameters` are, plainly and with torchrun.
_OWN = 5
_OWN_WITH_TORCHRUN = 7


class Hyperparameters:
    """The hyperparameters of a construct, each written as JSON: what SageMaker's containers decode.

    Parameters
    ----------
    given : Any
        A mapping from name to value: JSON values, numbers of NumPy, paths, and tokens, also within lists and
        dictionaries. None: no hyperparameters.
    problems : Problems
        Gets what is wrong with them.
    torch_distributed : bool, optional
        Whether torchrun starts the script. Defaults to no.

    Attributes
    ----------
    values : dict of str to Any
        Values as JSON has them.
    encoded : dict of str to str
        Values as JSON.
    own_count : int
        How many entries the library adds.
    """

    def __init__(self, given: Any, problems: Problems, *, torch_distributed: bool = False) -> None:
        self.values: dict[str, Any] = {}
        self.encoded: dict[str, str] = {}
        self.own_count = _OWN_WITH_TORCHRUN if torch_distributed else _OWN
        if given is not None and not isinstance(given, Mapping):
            problems.add(f"hyperparameters must be a dictionary from name to value, got {shown(given)}")
            return
        for name, value in (given or {}).items():
            self._add(name, value, problems)
        self._check_count(problems, self.own_count)

    def _add(self, name: Any, value: Any, problems: Problems) -> None:
        if not isinstance(name, str):
            problems.add(f"hyperparameters must have names that are text, got {shown(name)}")
            return
        problems.check(
            not name.startswith("sagemaker_"),
            f"hyperparameters beginning with sagemaker_ belong to the container, got {name}",
        )
        if not is_token(name):
            check_limits(problems, f"hyperparameter name {name[:40]!r}", name, "HyperParameterKey")
        try:
            plain = plain_json(value)
        except ValueError as error:
            problems.add(f"hyperparameters[{name!r}] {error}")
            return
        self.values[name] = plain
        self.encoded[name] = encode_json(plain)
        if not is_token(self.encoded[name]):
            check_limits(
                problems, f"hyperparameters[{name!r}] as JSON", self.encoded[name], "HyperParameterValue"
            )

    def _check_count(self, problems: Problems, own: int) -> None:
        most = API_LIMITS["HyperParameters"]["max"] - own
        problems.check(
            len(self.encoded) <= most,
            f"hyperparameters must be at most {most}, for the library adds {own} of its own,"
            f" got {len(self.encoded)}",
        )


def own_hyperparameters(
    entry_point: str, submit_directory: str, *, job_name: str, region: str, torchrun_on: str | None
) -> dict[str, str]:
    """Write the library's own entries, which tell the container what to run, as JSONata.

    Parameters
    ----------
    entry_point : str
        The script, relative to the root of the source code.
    submit_directory : str
        Where the container finds the source code.
    job_name : str
        JSONata expression of the job's name.
    region : str
        The region.
    torchrun_on : str or None
        Instance type, where torchrun starts the script.
    """
    own = {
        "sagemaker_program": jsonata.literal(json.dumps(entry_point)),
        "sagemaker_submit_directory": f"'\"{submit_directory}\"'",
        "sagemaker_region": f"'\"{region}\"'",
        "sagemaker_job_name": f"'\"' & {job_name} & '\"'",
        "sagemaker_container_log_level": "'20'",
    }
    if torchrun_on is not None:
        own["sagemaker_torch_distributed_enabled"] = "'true'"
        own["sagemaker_instance_type"] = f"'\"{torchrun_on}\"'"
    return own
