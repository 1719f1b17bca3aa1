"""The import rules of pyproject.toml, which `make check` holds: they hold, and they can fail."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = "cdk_sagemaker_pytorch"


def lint(source_root: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("lint-imports")
    return subprocess.run(
        [program, "--config", ROOT / "pyproject.toml", "--no-cache"],
        env={**os.environ, "PYTHONPATH": str(source_root)},
        cwd=source_root,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def source_root(tmp_path: Path) -> Path:
    """A copy of the package, to break."""
    ignore = shutil.ignore_patterns("__pycache__", "*.json")
    shutil.copytree(ROOT / "constructs" / PACKAGE, tmp_path / PACKAGE, ignore=ignore)
    return tmp_path


def test_the_rules_hold(source_root: Path) -> None:
    run = lint(source_root)
    assert run.returncode == 0, run.stdout


@pytest.mark.parametrize(
    ("module", "imports", "rule"),
    [
        ("images/framework_version.py", "serving.model", "the floors: data goes down, never up"),
        ("training/training_input.py", "packaging.model_data", "the floors: data goes down, never up"),
        ("serving/endpoint.py", "deployment.deployment", "the floors: data goes down, never up"),
        ("deployment/ledger.py", "pipeline.pipeline", "the floors: data goes down, never up"),
        ("states/jsonata.py", "aws_cdk", "what knows no CDK"),
        ("predictor.py", "serving.endpoint", "what knows no CDK"),
        ("local/base/logs.py", "states.names", "the local AWS reads synthesized apps, not constructs"),
        ("local/base/logs.py", "local.serving.endpoints", "the floors of the local AWS"),
        (
            "local/cloudformation/templates.py",
            "local.functions.lambda_functions",
            "the floors of the local AWS",
        ),
        ("local/cloudformation/templates.py", "local.cloudformation.stacks", "no cycles"),
    ],
)
def test_fails_when_an_import_goes_the_wrong_way(
    source_root: Path, module: str, imports: str, rule: str
) -> None:
    file = source_root / PACKAGE / module
    name = imports if imports == "aws_cdk" else f"{PACKAGE}.{imports}"
    file.write_text(f"{file.read_text()}\n\nimport {name}\n")
    run = lint(source_root)
    assert run.returncode != 0
    assert f"{rule} BROKEN" in run.stdout
