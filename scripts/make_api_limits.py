"""Write the limits of the SageMaker API that synthesis knows, from botocore's model of the service.

Run `python scripts/make_api_limits.py` after an update of botocore; a test says when it is due.
"""

import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore
import botocore.session
from botocore.model import ListShape, MapShape, Shape, StructureShape

TARGET = Path(__file__).parents[1] / "constructs/cdk_sagemaker_pytorch/common/api_limits.py"

# What the constructs send, or let CloudFormation send.
OPERATIONS = (
    "CreateTrainingJob",
    "CreateProcessingJob",
    "CreateModel",
    "CreateEndpointConfig",
    "CreateEndpoint",
)
_LINE_LENGTH = 110

_HEADER = '''"""Limits of the SageMaker API, by the names of its shapes.

Written by scripts/make_api_limits.py from botocore's model of the service. Change nothing here.
"""

from typing import Final, TypedDict

__all__ = ["API_LIMITS", "ApiLimits"]


class ApiLimits(TypedDict, total=False):
    """What a shape allows: bounds of a number, a length or a count, and what a text must look like.

    Attributes
    ----------
    min, max : int
        Bounds of a number, of the length of a text, or of the count of entries.
    pattern : str
        Regular expression of the whole text.
    known : str
        Values that there were when this was written, with spaces between; services get new ones.
    """

    min: int
    max: int
    pattern: str
    known: str


API_LIMITS: Final[dict[str, ApiLimits]] = {
'''


def render() -> str:
    """Render the module."""
    model = botocore.session.get_session().get_service_model("sagemaker")
    shapes: dict[str, Shape] = {}
    for operation in OPERATIONS:
        shape = model.operation_model(operation).input_shape
        shapes |= {found.name: found for found in _reached_from(shape, set())}
    entries = (_entry(name, shape) for name, shape in sorted(shapes.items()))
    return _HEADER + "".join(entry for entry in entries if entry) + "}\n"


def _reached_from(shape: Shape, seen: set[str]) -> Iterator[Shape]:
    if shape.name in seen:
        return
    seen.add(shape.name)
    parts: list[Shape] = []
    if isinstance(shape, StructureShape):
        parts = list(shape.members.values())
    else:
        yield shape
    if isinstance(shape, ListShape):
        parts = [shape.member]
    elif isinstance(shape, MapShape):
        parts = [shape.key, shape.value]
    for part in parts:
        yield from _reached_from(part, seen)


def _entry(name: str, shape: Shape) -> str:
    """Render a shape as ruff formats it; nothing for a shape without limits."""
    limits: dict[str, Any] = shape.metadata
    fields = [f'"{limit}": {limits[limit]}' for limit in ("min", "max") if limit in limits]
    if limits.get("pattern", ".*") != ".*":
        pattern = limits["pattern"]
        quote = "'" if '"' in pattern else '"'
        fields.append(f'"pattern": r{quote}{pattern}{quote}')
    if name.endswith("InstanceType"):
        lines = textwrap.wrap(" ".join(sorted(limits["enum"])), 90, break_on_hyphens=False)
        known = "\n".join(f'            " {line}"' for line in lines)
        fields.append(f'"known": (\n{known}\n        )')
    if not fields:
        return ""
    line = f'    "{name}": {{{", ".join(fields)}}},\n'
    if len(line) - 1 <= _LINE_LENGTH and "\n" not in line[:-1]:
        return line
    return f'    "{name}": {{\n' + "".join(f"        {field},\n" for field in fields) + "    },\n"


if __name__ == "__main__":
    TARGET.write_text(render())
    sys.stderr.write(f"{TARGET.name}: from botocore {botocore.__version__}\n")
