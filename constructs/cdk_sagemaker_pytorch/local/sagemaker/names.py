"""Names in SageMaker's requests, held against the patterns of the API's model."""

import re
from collections.abc import Iterator
from typing import Any


def name_problems(shape: Any, value: Any) -> Iterator[str]:
    """Yield what is wrong with the names in a request, in SageMaker's words.

    botocore's own validation knows types, required members and minima, but neither patterns nor maxima.

    Parameters
    ----------
    shape
        botocore's model of the value.
    value
        The request or a part of it, of the types that the model asks for.
    """
    if shape.type_name == "structure":
        for member, part in value.items():
            if member in shape.members and part is not None:
                yield from name_problems(shape.members[member], part)
    elif shape.type_name == "list":
        for item in value:
            yield from name_problems(shape.member, item)
    elif shape.type_name == "string" and shape.name.endswith("Name"):
        pattern, longest = shape.metadata.get("pattern"), shape.metadata.get("max")
        constraint = None
        if longest is not None and len(value) > longest:
            constraint = f"have length less than or equal to {longest}"
        elif pattern is not None and not re.fullmatch(pattern, value):
            constraint = f"satisfy regular expression pattern: {pattern}"
        if constraint is not None:
            place = shape.name[0].lower() + shape.name[1:]
            yield f"Value '{value}' at '{place}' failed to satisfy constraint: Member must {constraint}"
