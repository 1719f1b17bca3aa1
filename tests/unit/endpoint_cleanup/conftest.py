"""The function's modules lie beside each other, as they do in Lambda."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

CODE = Path(__file__).parents[3] / "lambda_assets" / "endpoint_cleanup"


@pytest.fixture(autouse=True)
def function_code(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(CODE))
    yield
    for name in ("index", "cleanup", "cloudformation"):
        sys.modules.pop(name, None)
