"""Environment variables of a serving container: which are for the parameters, misspelt, or out of range."""

import difflib
import math
import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from cdk_sagemaker_pytorch.common.problems import Problems
from cdk_sagemaker_pytorch.common.tokens import is_token
from cdk_sagemaker_pytorch.source.shipped_assets import shipped_asset

__all__ = ["check_serving_variables"]

_OWN = "CDK_SAGEMAKER_PYTORCH_"

# What parameters decide on, and which.
_OF_PARAMETERS = {
    "SAGEMAKER_PROGRAM": "source_code or entry_point",
    "SAGEMAKER_SUBMIT_DIRECTORY": "source_code",
    f"{_OWN}ENTRY_POINT": "source_code or entry_point",
    f"{_OWN}PACKAGED": "source_code",
}
_TIMEOUTS = ("SAGEMAKER_MODEL_SERVER_TIMEOUT", "SAGEMAKER_TS_RESPONSE_TIMEOUT", "RAYSERVE_BACKEND_TIMEOUT")
_OF_CONTAINER = {
    "model_server_workers": ("SAGEMAKER_MODEL_SERVER_WORKERS",),
    "response_timeout": _TIMEOUTS,
}

# Variables that AWS's containers read, as their toolkits and entry points have them.
_OF_CONTAINERS = frozenset(
    {
        "SAGEMAKER_BIND_TO_PORT",
        "SAGEMAKER_CONTAINER_LOG_LEVEL",
        "SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT",
        "SAGEMAKER_MAX_REQUEST_SIZE",
        "SAGEMAKER_MODEL_SERVER_TIMEOUT",
        "SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS",
        "SAGEMAKER_MODEL_SERVER_VMARGS",
        "SAGEMAKER_MODEL_SERVER_WORKERS",
        "SAGEMAKER_MULTI_MODEL",
        "SAGEMAKER_NUM_MODEL_WORKERS",
        "SAGEMAKER_PROGRAM",
        "SAGEMAKER_REGION",
        "SAGEMAKER_SAFE_PORT_RANGE",
        "SAGEMAKER_STARTUP_TIMEOUT",
        "SAGEMAKER_SUBMIT_DIRECTORY",
        "SAGEMAKER_TS_BATCH_SIZE",
        "SAGEMAKER_TS_MAX_BATCH_DELAY",
        "SAGEMAKER_TS_MAX_WORKERS",
        "SAGEMAKER_TS_MIN_WORKERS",
        "SAGEMAKER_TS_RESPONSE_TIMEOUT",
        "RAYSERVE_BACKEND_TIMEOUT",
        "RAYSERVE_BACKEND_URL",
        "SM_MODEL_DIR",
        "SM_RAYSERVE_APP",
        "OMP_NUM_THREADS",
    }
)
_PREFIXES = ("SAGEMAKER_", "RAYSERVE_", "SM_RAY", "OMP_")
_SIMILAR = 0.85

# Numbers, with the least of each, and whether it is whole.
_NUMBERS = {
    f"{_OWN}MAX_BATCH_SIZE": (1, True),
    f"{_OWN}BATCH_WAIT_SECONDS": (0, False),
    f"{_OWN}THREADS": (1, True),
    f"{_OWN}MAX_ONGOING_REQUESTS": (1, True),
    f"{_OWN}NUM_GPUS": (0, False),
    f"{_OWN}MAX_BODY_BYTES": (1, True),
    "OMP_NUM_THREADS": (1, True),
    "SAGEMAKER_MODEL_SERVER_WORKERS": (1, True),
    "SAGEMAKER_TS_BATCH_SIZE": (1, True),
    "SAGEMAKER_TS_MAX_BATCH_DELAY": (0, True),
    **dict.fromkeys(_TIMEOUTS, (1, False)),
}
_FLAGS = (f"{_OWN}CHECK_MODEL", f"{_OWN}ALLOW_NON_FINITE")
_FLAG_VALUES = ("true", "false", "1", "0")


def check_serving_variables(problems: Problems, environment: Any, container: Any) -> None:
    """Note variables that contradict parameters, that nothing reads, or whose values cannot be.

    Parameters
    ----------
    problems : Problems
        Gets the findings.
    environment : Any
        What was given; what is no text in it is noted elsewhere.
    container : Any
        The group ``container``, if any was given.
    """
    if not isinstance(environment, Mapping):
        return
    for name, value in environment.items():
        if not isinstance(name, str) or is_token(name):
            continue
        _check_parameters(problems, name, container)
        _check_spelling(problems, name)
        if isinstance(value, str) and not is_token(value):
            _check_value(problems, name, value)


def _check_parameters(problems: Problems, name: str, container: Any) -> None:
    if name in _OF_PARAMETERS:
        problems.add(
            f"environment must not have {name}, which says what {_OF_PARAMETERS[name]} is: give that instead"
        )
    for parameter, names in _OF_CONTAINER.items():
        if name in names and getattr(container, parameter, None) is not None:
            problems.add(
                f"environment must not have {name} where container.{parameter} is given: leave one out"
            )


def _check_spelling(problems: Problems, name: str) -> None:
    known = _OF_CONTAINERS | own_variables()
    if name in known:
        return
    if name.startswith(_OWN):
        allowed = ", ".join(sorted(own_variables() - _OF_PARAMETERS.keys()))
        problems.add(f"environment must have variables of this library that there are, {allowed}, got {name}")
    elif name.startswith(_PREFIXES):
        meant = difflib.get_close_matches(name, known, 1, _SIMILAR)
        if meant:
            problems.warn(
                "Model.unknownVariable",
                f"environment has {name}, which AWS's containers do not read, unlike {meant[0]}",
            )


def _check_value(problems: Problems, name: str, value: str) -> None:
    if name in _NUMBERS:
        least, whole = _NUMBERS[name]
        kind = "a whole number" if whole else "a number"
        problems.check(
            _is_number(value, least, whole),
            f"environment[{name!r}] must be {kind} of at least {least}, got {value!r}",
        )
    if name in _FLAGS:
        problems.check(
            value.lower() in _FLAG_VALUES,
            f"environment[{name!r}] must be one of {', '.join(_FLAG_VALUES)}, got {value!r}",
        )


def _is_number(value: str, least: float, whole: bool) -> bool:
    try:
        number = float(value)
    except ValueError:
        return False
    return least <= number < math.inf and (not whole or number == int(number))


@cache
def own_variables() -> frozenset[str]:
    """Variables that the shipped handlers read: those that their source names."""
    folder = shipped_asset("inference_assets", "serving")
    text = "".join(path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.py")))
    return frozenset(re.findall(rf"{_OWN}[A-Z_]*[A-Z]", text))
