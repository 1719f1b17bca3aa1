"""Handler functions are answered as in AWS's container, or the table says why not."""

from pathlib import Path
from typing import Any

import pytest

from .handler_shapes import SHAPES
from .handler_table import TARGET, render, run, same

pytestmark = [pytest.mark.conformance, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def answers(inference_python: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What comes of each shape with AWS's toolkit, and with this library."""
    return run(inference_python, "toolkit"), run(inference_python, "ours")


def test_each_shape_is_answered_the_same_or_has_a_reason(
    answers: tuple[list[dict[str, Any]], list[dict[str, Any]]],
) -> None:
    wrong = [
        f"{shape.name}: AWS's {theirs}, ours {ours}, why: {shape.why or 'the same'}"
        for shape, theirs, ours in zip(SHAPES, *answers, strict=True)
        if same(theirs, ours) == bool(shape.why)
    ]
    assert not wrong, "\n".join(wrong)


def test_no_answer_here_is_worse(answers: tuple[list[dict[str, Any]], list[dict[str, Any]]]) -> None:
    """What AWS's container answers is answered here, but for what no client could read."""
    refused = [
        shape.name
        for shape, theirs, ours in zip(SHAPES, *answers, strict=True)
        if theirs.get("status", 500) < 400 and ours.get("status", 500) >= 400
    ]
    assert refused == [shape.name for shape in SHAPES if shape.why.startswith("NaN is not JSON")]


def test_the_page_shows_them(answers: tuple[list[dict[str, Any]], list[dict[str, Any]]]) -> None:
    assert len({shape.name for shape in SHAPES}) == len(SHAPES) >= 100
    assert TARGET.read_text(encoding="utf-8") == render(*answers), (
        "write it again: python -m tests.conformance.handler_table"
    )
