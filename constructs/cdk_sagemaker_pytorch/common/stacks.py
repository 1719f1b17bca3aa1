"""Constructs of several stacks, which must not need each other in a circle."""

from collections.abc import Iterable
from typing import Any

from aws_cdk import Resource, Stack
from constructs import Construct, IConstruct

from .problems import Problems

__all__ = ["check_stacks"]


def check_stacks(
    problems: Problems, scope: Construct, name: str, part: IConstruct, uses: Iterable[Any]
) -> None:
    """Note a part of another stack that uses resources of this one, so that each stack would need the other.

    Parameters
    ----------
    problems : Problems
        Gets the findings.
    scope : Construct
        Where the construct is going to be.
    name : str
        The parameter that takes the part.
    part : IConstruct
        The part.
    uses : iterable of Any
        Resources that the part's own ones refer to, and None.
    """
    here, there = Stack.of(scope).node.path, Stack.of(part).node.path
    if here == there:
        return
    used = sorted(
        each.node.path
        for each in uses
        if each is not None and Resource.is_owned_resource(each) and Stack.of(each).node.path == here
    )
    problems.check(
        not used,
        f"{name} must not be in stack {there} and use {', '.join(used)} of stack {here}, for each stack would"
        " need the other: put them into one stack, or what is used into a third",
    )
