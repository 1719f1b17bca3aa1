"""A local AWS on this machine: the synthesized app deploys, trains, packages and answers for real.

Names are imported when they are first used: the supervisor of every process starts through this package.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .base.errors import CdkError, LocalAwsError, LocalAwsWarning
    from .server.local_aws import LocalAws

__all__ = ["CdkError", "LocalAws", "LocalAwsError", "LocalAwsWarning"]

_MODULE_OF = {
    "CdkError": "base.errors",
    "LocalAws": "server.local_aws",
    "LocalAwsError": "base.errors",
    "LocalAwsWarning": "base.errors",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_MODULE_OF[name]}", __name__), name)
    globals()[name] = value
    return value
