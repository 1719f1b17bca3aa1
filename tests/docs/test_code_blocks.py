"""What the documentation shows works: every Python block is synthesized, every picture is drawn anew.

A comment before a block says what it needs: `<!-- needs: … -->` names files, `<!-- runs on the local AWS -->`
leaves it to tests/local, `<!-- inference script -->` imports it beside the handlers.
"""

import functools
import re
import subprocess
import sys
from pathlib import Path

import aws_cdk
import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
SCRIPT = "inference script"
_BLOCK = re.compile(
    r"(?:<!-- (?P<comment>[^>]*) -->\n)?^```(?P<language>\w+)\n(?P<code>.*?)^```$", re.M | re.S
)


def blocks(language: str) -> list[tuple[str, str, str]]:
    """Page and line, comment and code of every block."""
    found = []
    for page in PAGES:
        text = page.read_text()
        for match in _BLOCK.finditer(text):
            if match["language"] == language:
                line = text[: match.start("code")].count("\n") + 1
                place = f"{page.relative_to(ROOT)}:{line}"
                found.append((place, match["comment"] or "", match["code"]))
    return found


@pytest.mark.parametrize(
    ("comment", "code"),
    [
        pytest.param(comment, code, id=place)
        for place, comment, code in blocks("python")
        if "local AWS" not in comment and comment.strip() != SCRIPT
    ],
)
def test_python_block_synthesizes(
    comment: str, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in comment.removeprefix("needs:").split():
        path = tmp_path / name
        if name.endswith("/"):
            path.mkdir(parents=True)
            path = path / "weights.pt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    monkeypatch.chdir(tmp_path)
    # Where `cdk synth` tells an app to write; a process of its own for each would read the CDK anew.
    monkeypatch.setattr(aws_cdk, "App", functools.partial(aws_cdk.App, outdir=str(tmp_path / "cdk.out")))
    exec(compile(code, "block", "exec"), {"__name__": "__main__"})  # noqa: S102 - our own documentation
    assert list((tmp_path / "cdk.out").glob("*.template.json"))


@pytest.mark.parametrize(
    "code",
    [pytest.param(code, id=place) for place, comment, code in blocks("python") if comment.strip() == SCRIPT],
)
def test_inference_script_block_imports_the_handlers(code: str, tmp_path: Path) -> None:
    (tmp_path / "cdk_sagemaker_pytorch_serving").symlink_to(ROOT / "inference_assets" / "serving")
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)


@pytest.mark.parametrize("code", [pytest.param(code, id=place) for place, _, code in blocks("bash")])
def test_bash_block_names_real_targets(code: str) -> None:
    targets = [
        target
        for line in code.splitlines()
        if line.startswith("make ")
        for target in line.split("#")[0].split()[1:]
    ]
    for target in targets:
        subprocess.run(["make", "--dry-run", target], cwd=ROOT, check=True, capture_output=True)
    assert targets or "python -m cdk_sagemaker_pytorch" in code


def test_the_state_machines_are_drawn_as_they_are() -> None:
    drawn = subprocess.run(
        [sys.executable, "scripts/draw_state_machine.py"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    pictures = [code for place, _, code in blocks("mermaid") if "architecture.md" in place]
    machines = ["flowchart TB\n" + part for part in drawn.split("flowchart TB\n")[1:]]
    assert len(machines) == 2
    for machine in machines:
        assert machine in pictures, "run scripts/draw_state_machine.py and put its output into the page"


def test_links_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
