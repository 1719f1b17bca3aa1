"""Tells tokens, whose values only a deployment knows, from values."""

from typing import Any

from aws_cdk import Token

__all__ = ["is_token"]


def is_token(value: Any) -> bool:
    """Whether a value is a token, or holds one.

    Unlike `Token.is_unresolved` it takes any value, and does not ask jsii about those that cannot be one.

    Parameters
    ----------
    value : Any
        Text, number, list, or anything else.
    """
    if isinstance(value, str):
        return "{Token[" in value
    if isinstance(value, int | float):
        return value < 0 and Token.is_unresolved(value)
    if isinstance(value, list | tuple):
        return any(map(is_token, value))
    return hasattr(value, "creation_stack")  # an IResolvable
