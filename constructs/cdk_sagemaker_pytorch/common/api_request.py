"""Requests of the API, put together of members, and their names in the CDK."""

import re
from collections.abc import Mapping
from typing import Any

__all__ = ["cloudformation_properties", "request"]


def request(*parts: Mapping[str, Any]) -> dict[str, Any]:
    """Put members, by their dotted paths, together as the API's request.

    Parameters
    ----------
    *parts : Mapping of str to Any
        The members; a later one replaces an earlier one.
    """
    whole: dict[str, Any] = {}
    for part in parts:
        for path, value in part.items():
            *structures, member = path.split(".")
            structure = whole
            for name in structures:
                structure = structure.setdefault(name, {})
            structure[member] = value
    return whole


def cloudformation_properties(members: Mapping[str, Any]) -> dict[str, Any]:
    """Name members, nested ones too, as the CDK names them: ``KmsKeyId`` is ``kms_key_id``."""
    return {
        re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", member).lower(): (
            cloudformation_properties(value) if isinstance(value, Mapping) else value
        )
        for member, value in members.items()
    }
