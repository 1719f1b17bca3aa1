"""The function's modules lie beside each other, as they do in Lambda."""

import sys
from pathlib import Path

import pytest

CODE = Path(__file__).parents[4] / "lambda_assets" / "endpoint_cleanup"


@pytest.fixture(autouse=True)
def function_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """Import this function's code, whatever other function's `index` was imported before."""
    for name in ("index", "artifacts", "cleanup", "cloudformation"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(str(CODE))
