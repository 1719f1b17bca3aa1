"""docs/coverage.md is what the code says."""

import runpy
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_page_is_up_to_date() -> None:
    rendered = runpy.run_path(str(ROOT / "scripts" / "write_coverage.py"))["render"]()
    assert (ROOT / "docs" / "coverage.md").read_text() == rendered, "run make coverage"
