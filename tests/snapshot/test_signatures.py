"""Every public signature: names, parameters and defaults. A change of the API shows as a change of this."""

import inspect
from enum import Enum
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.json import JSONSnapshotExtension

import cdk_sagemaker_pytorch
from cdk_sagemaker_pytorch import local


def _default(value: Any) -> str:
    return str(value) if isinstance(value, Enum) else repr(value)


def _parameters(function: Any) -> list[str]:
    """Return the parameters in order, a star before those that only have a name."""
    shown = []
    keyword_only = False
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and not keyword_only:
            keyword_only = True
            shown.append("*")
        stars = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
        keyword_only |= stars == "*"
        given = "" if parameter.default is parameter.empty else f"={_default(parameter.default)}"
        shown.append(f"{stars}{parameter.name}{given}")
    return [name for name in shown if name not in ("self", "cls")]


def _members(thing: type, package: str) -> dict[str, Any]:
    """Return the public methods and properties that a class of ours defines."""
    members: dict[str, Any] = {}
    for owner in reversed(thing.__mro__):
        if not owner.__module__.startswith(package):
            continue
        for name, member in vars(owner).items():
            function = getattr(member, "__func__", member)
            if name.startswith("_"):
                continue
            if isinstance(member, property):
                members[name] = "property"
            elif inspect.isfunction(function):
                members[name] = _parameters(function)
    return dict(sorted(members.items()))


@pytest.mark.parametrize("package", [cdk_sagemaker_pytorch, local], ids=lambda package: package.__name__)
def test_public_signatures(package: Any, snapshot: SnapshotAssertion) -> None:
    found: dict[str, Any] = {}
    for name in package.__all__:
        thing = getattr(package, name)
        if inspect.isclass(thing):
            made = {} if issubclass(thing, Exception) else {"(...)": _parameters(thing)}
            found[name] = made | _members(thing, "cdk_sagemaker_pytorch")
        else:
            found[name] = _parameters(thing)
    assert found == snapshot.use_extension(JSONSnapshotExtension)
