"""Requests, held against the maxima, minima and patterns of the API's model, in SageMaker's words."""

import re
from collections.abc import Iterator
from typing import Any

# Definitions of state machines have a million characters.
_MOST_SHOWN = 256


def constraint_problems(shape: Any, value: Any, place: str = "") -> Iterator[str]:
    """Yield what is wrong with the values in a request, in SageMaker's words.

    botocore's own validation knows types, required members and minima, but neither patterns nor maxima.

    Parameters
    ----------
    shape
        botocore's model of the value.
    value
        The request or a part of it, of the types that the model asks for.
    place
        Where the value is, as SageMaker says it: `inputDataConfig.1.member.channelName`.
    """
    constraint = _constraint(shape, value)
    if constraint is not None:
        shown = str(value)[:_MOST_SHOWN]
        yield f"Value '{shown}' at '{place}' failed to satisfy constraint: Member must {constraint}"
    if shape.type_name == "structure":
        for member, part in value.items():
            if member in shape.members and part is not None:
                here = f"{place}.{member[0].lower()}{member[1:]}" if place else member[0].lower() + member[1:]
                yield from constraint_problems(shape.members[member], part, here)
    elif shape.type_name == "list":
        for number, item in enumerate(value, 1):
            yield from constraint_problems(shape.member, item, f"{place}.{number}.member")
    elif shape.type_name == "map":
        for key, part in value.items():
            yield from constraint_problems(shape.key, key, f"{place}.key")
            yield from constraint_problems(shape.value, part, f"{place}.{key}.member")


def validation_message(problems: list[str]) -> str:
    """Write what is wrong as AWS does: the number of problems first."""
    ending = "s" if len(problems) > 1 else ""
    return f"{len(problems)} validation error{ending} detected: {'; '.join(problems)}"


def _constraint(shape: Any, value: Any) -> str | None:
    """Return what the value itself must be and is not."""
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if shape.type_name in ("string", "list", "map", "blob"):
        size = len(value)
        if most is not None and size > most:
            return f"have length less than or equal to {most}"
        if least is not None and size < least:
            return f"have length greater than or equal to {least}"
    elif shape.type_name in ("integer", "long", "float", "double"):
        if most is not None and value > most:
            return f"have value less than or equal to {most}"
        if least is not None and value < least:
            return f"have value greater than or equal to {least}"
    if shape.type_name == "string":
        # There are new instance types and runtimes more often than new versions of botocore.
        if shape.enum and value not in shape.enum and not shape.name.endswith(("InstanceType", "Runtime")):
            return f"satisfy enum value set: [{', '.join(shape.enum)}]"
        pattern = shape.metadata.get("pattern")
        if pattern is not None and not matches(pattern, value):
            return f"satisfy regular expression pattern: {pattern}"
    return None


def matches(pattern: str, value: str) -> bool:
    """Tell whether a value is as a pattern of AWS says; one that Python cannot read says nothing."""
    try:
        return re.fullmatch(pattern, value) is not None
    except re.error:  # some, of tags for example, are in the language of Java
        return True
