"""Replacing parts of moto, which is pinned exactly because of this; docs/local-aws.md lists them."""

from collections.abc import Callable
from typing import Any


def replace(owner: Any, name: str, value: Any) -> Any:
    """Replace an attribute of one of moto's modules or classes, and return what was there.

    Raises
    ------
    AttributeError
        If it is not there: moto is another version than the one this was written for.
    """
    if not hasattr(owner, name):
        raise AttributeError(
            f"{owner!r} has no {name}: the local AWS needs the version of moto that it is pinned to"
        )
    original = getattr(owner, name)
    setattr(owner, name, value)
    return original


def wrap(owner: Any, name: str, function: Callable[..., Any]) -> None:
    """Replace a method by a function that gets the method as its first argument."""
    original = getattr(owner, name)
    replace(owner, name, lambda self, *args, **kwargs: function(original, self, *args, **kwargs))
