"""The guide to the script checks names every finding, and shows them as they are."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "script-checks.md").read_text()


def test_every_finding_is_in_the_table() -> None:
    sources = (ROOT / "constructs" / "cdk_sagemaker_pytorch" / "scripts" / "script_check").glob("*.py")
    pattern = r"\b(?:Script|Training|Inference)\.[a-z]\w+"
    ids = {found for path in sources for found in re.findall(rf'"({pattern})"', path.read_text())}
    rows = [line for line in GUIDE.splitlines() if line.startswith("| `")]
    assert {found for row in rows for found in re.findall(f"`({pattern})`", row.split("|")[1])} == ids


@pytest.mark.parametrize("line", re.findall(r"^python -m (.*)$", GUIDE, re.M))
def test_command_line_runs(line: str, tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    for name in ("train.py", "inference.py"):
        (tmp_path / "src" / name).write_text("")
    command = [sys.executable, "-m", *line.split()]
    ended = subprocess.run(
        command,
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT / "constructs")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
