"""A local AWS on this machine: the synthesized app deploys, trains, packages and answers for real.

Names are imported when they are first used: the supervisor of every process starts through this package.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .aws import LocalAws
    from .errors import CdkError, LocalAwsError

__all__ = ["CdkError", "LocalAws", "LocalAwsError"]

_MODULE_OF = {"CdkError": "errors", "LocalAws": "aws", "LocalAwsError": "errors"}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_MODULE_OF[name]}", __name__), name)
    globals()[name] = value
    return value
