"""What is built installs beside the real `constructs`, and ships the same assets as the checkout.

The folder constructs/ is a source root. With an __init__.py in it, or with a wheel that puts anything
into site-packages/constructs/, it would hide or overwrite PyPI's package of that name.
"""

import json
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ASSETS = ["inference_assets", "lambda_assets", "training_assets"]
_WHERE = "import constructs, cdk_sagemaker_pytorch;print(constructs.__file__, cdk_sagemaker_pytorch.__file__)"

pytestmark = pytest.mark.timeout(600)  # a clean environment installs aws-cdk-lib


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT],
        check=True,
        capture_output=True,
    )
    (built,) = folder.glob("*.whl")
    return built


def test_constructs_is_a_source_root() -> None:
    assert not (ROOT / "constructs" / "__init__.py").exists()


def test_the_wheel_holds_the_package_alone(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    top_level = {name.split("/")[0] for name in names}
    assert {name for name in top_level if not name.endswith(".dist-info")} == {"cdk_sagemaker_pytorch"}
    assert not [name for name in names if "__pycache__" in name or name.endswith(".pyc")]


def test_the_wheel_ships_every_asset(wheel: Path) -> None:
    shipped = {name.removeprefix("cdk_sagemaker_pytorch/") for name in zipfile.ZipFile(wheel).namelist()}
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *ASSETS],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    assert len(tracked) > 10
    assert [name for name in tracked if name not in shipped] == []


def _assets(python: Path, app: Path, outdir: Path) -> dict[str, dict[str, object]]:
    """Synthesize with an interpreter, and return the asset manifests by file name."""
    environment = {
        key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")
    }
    environment["CDK_OUTDIR"] = str(outdir)
    subprocess.run([python, app], cwd=outdir.parent, env=environment, check=True, capture_output=True)
    return {path.name: json.loads(path.read_text()) for path in outdir.glob("*.assets.json")}


def test_an_installed_wheel_synthesizes_the_same_assets(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
    # With compiled files, as pip leaves them: they must not reach an asset.
    subprocess.run([python, "-m", "pip", "install", "--quiet", wheel], check=True, capture_output=True)
    location = subprocess.check_output([python, "-c", _WHERE], cwd=tmp_path, text=True)
    assert str(tmp_path / "venv") in location
    assert str(ROOT) not in location

    app = tmp_path / "app.py"
    app.write_text((ROOT / "app.py").read_text())
    installed = _assets(python, app, tmp_path / "installed")
    checkout = _assets(Path(sys.executable), ROOT / "app.py", tmp_path / "checkout")
    assert installed == checkout
    assert installed
