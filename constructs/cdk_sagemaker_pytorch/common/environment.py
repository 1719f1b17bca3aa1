"""Environment variables of a container."""

from collections.abc import Mapping
from typing import Any

from .api_limits import API_LIMITS
from .limits import check_limits, shown
from .problems import Problems
from .tokens import is_token

__all__ = ["check_environment"]


def check_environment(problems: Problems, environment: Any, *, shape: str, own: int = 0) -> dict[str, str]:
    """Note what is wrong with environment variables, and return those that can be looked at further.

    Parameters
    ----------
    problems : Problems
        Gets the findings.
    environment : Any
        What was given: a mapping from name to text, or None.
    shape : str
        ``Environment`` for models, ``TrainingEnvironment`` for training jobs: beginning of the API's shapes.
    own : int, optional
        How many variables the library adds. Defaults to 0.
    """
    if environment is None:
        return {}
    if not isinstance(environment, Mapping):
        problems.add(f"environment must be a dictionary from name to text, got {shown(environment)}")
        return {}
    for name, value in environment.items():
        if not isinstance(name, str):
            problems.add(f"environment must have names that are text, got {shown(name)}")
            continue
        if not is_token(name):
            check_limits(problems, f"environment name {name[:40]!r}", name, f"{shape}Key")
        if not isinstance(value, str):
            problems.add(f"environment[{name!r}] must be text, got {shown(value)}: write {str(value)!r}")
        elif not is_token(value):
            check_limits(problems, f"environment[{name!r}]", value, f"{shape}Value")
    most = API_LIMITS[f"{shape}Map"]["max"] - own
    added = f", for the library adds up to {own} of its own" if own else ""
    problems.check(
        len(environment) <= most,
        f"environment must be at most {most} variables{added}, got {len(environment)}",
    )
    return dict(environment)
