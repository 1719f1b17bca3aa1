"""docs/handler-shapes.md: what comes of handler functions in AWS's container, and here.

``python -m tests.conformance.handler_table`` writes it, in an environment built by `make conformance`.
"""

import json
import subprocess
from pathlib import Path
from typing import Any

from .environments import interpreter
from .handler_shapes import SHAPES, Shape

TARGET = Path(__file__).parents[2] / "docs" / "handler-shapes.md"
PROGRAM = Path(__file__).with_name("shape_program.py")
_JSON = "application/json"
_MOST_SHOWN = 60
_PICKLE = "PK\x03\x04"

_HEAD = """\
# Handler functions in AWS's container, and here

Each row is a script and a request, run through AWS's own inference toolkit (`sagemaker-inference` 1.10.1 and
`sagemaker-pytorch-inference` 2.0.25 in a worker of TorchServe 0.12.0) and through the handlers of this
library. {same} of {total} are answered the same; the others have a reason. `make conformance` runs both
again, and `python -m tests.conformance.handler_table` writes this page.

On Ray Serve the container's own adapter stands in front: it passes Content-Type, Accept and the
`x-amzn-sagemaker-*` headers to the functions, `application/json` where the caller sends no Accept, and
status, body and content type back to the caller, but no other header.

| | AWS's container | here | why |
|---|---|---|---|
"""


def run(python: Path, which: str) -> list[dict[str, Any]]:
    """Run all shapes, through the ``toolkit`` or through ``ours``."""
    shapes = json.dumps([shape.message() for shape in SHAPES])
    done = subprocess.run(
        [python, PROGRAM, which], input=shapes, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    answers: list[dict[str, Any]] = json.loads(done.stdout)
    return answers


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Tell whether answers are the same: of JSON what it says, of failures the status."""
    if "end" in one or "end" in other:
        return one.get("end") == other.get("end")
    if one["status"] >= 400 and other["status"] >= 400 and "Traceback" in one["body"]:
        return bool(one["status"] == other["status"])
    names = ("status", "content_type", "headers")
    return all(one[name] == other[name] for name in names) and _content(one) == _content(other)


def _content(answer: dict[str, Any]) -> Any:
    if answer["content_type"].endswith("json"):
        try:
            return json.loads(answer["body"])
        except ValueError:
            pass
    return answer["body"]


def render(theirs: list[dict[str, Any]], ours: list[dict[str, Any]]) -> str:
    """Write the page."""
    equal = sum(map(same, theirs, ours))
    rows = "".join(_row(*parts) for parts in zip(SHAPES, theirs, ours, strict=True))
    return _HEAD.format(same=equal, total=len(SHAPES)) + rows


def _row(shape: Shape, theirs: dict[str, Any], ours: dict[str, Any]) -> str:
    here = "the same" if same(theirs, ours) else _shown(ours)
    return f"| {shape.name} | {_shown(theirs)} | {here} | {shape.why} |\n"


def _shown(answer: dict[str, Any]) -> str:
    if "end" in answer:
        return str(answer["end"])
    words = [str(answer["status"])]
    if answer["status"] >= 400:
        return words[0]
    if answer["content_type"] != _JSON:
        words.append(f"`{answer['content_type']}`")
    words.append("a pickle" if answer["body"].startswith(_PICKLE) else _quoted(answer))
    words += [f"`{name}: {value}`" for name, value in sorted(answer["headers"].items())]
    return " ".join(words)


def _quoted(answer: dict[str, Any]) -> str:
    content = _content(answer)
    text = content if isinstance(content, str) and content == answer["body"] else json.dumps(content)
    if not text:
        return "nothing"
    if not text.isascii() or not text.strip().isprintable():
        return f"{len(text)} bytes"
    text = text.strip()
    return f"`{text if len(text) <= _MOST_SHOWN else text[:_MOST_SHOWN] + '…'}`".replace("|", "\\|")


if __name__ == "__main__":
    python = interpreter("inference")
    TARGET.write_text(render(run(python, "toolkit"), run(python, "ours")), encoding="utf-8")
