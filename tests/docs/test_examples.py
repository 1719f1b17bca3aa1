"""The example apps synthesize."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
APPS = [ROOT / "app.py", *sorted((ROOT / "examples").glob("*/app.py"))]


@pytest.mark.parametrize("app", [pytest.param(app, id=str(app.relative_to(ROOT))) for app in APPS])
def test_example_synthesizes(app: Path, tmp_path: Path) -> None:
    context = json.loads((ROOT / "cdk.json").read_text())["context"]
    subprocess.run(
        [sys.executable, app],
        env={**os.environ, "CDK_OUTDIR": str(tmp_path), "CDK_CONTEXT_JSON": json.dumps(context)},
        check=True,
    )
    (template,) = tmp_path.glob("*.template.json")
    types = {resource["Type"] for resource in json.loads(template.read_text())["Resources"].values()}
    assert "AWS::StepFunctions::StateMachine" in types
