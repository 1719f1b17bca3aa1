"""What is built installs beside the real `constructs`, and ships the same assets as the checkout.

The folder constructs/ is a source root. With an __init__.py in it, or with a wheel that puts anything
into site-packages/constructs/, it would hide or overwrite PyPI's package of that name.
"""

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
ASSETS = ["inference_assets", "lambda_assets", "training_assets"]
# Every module that an app has loaded in the end, by the distribution that it is of.
_SHOW = """
import constructs, cdk_sagemaker_pytorch, importlib.metadata, json, runpy, sys
runpy.run_path(sys.argv[1], run_name="__main__")
of = importlib.metadata.packages_distributions()
loaded = {name.split(".")[0] for name, module in sys.modules.items() if getattr(module, "__file__", None)}
print(json.dumps([
    constructs.__file__, cdk_sagemaker_pytorch.__file__,
    sorted({distribution for name in loaded for distribution in of.get(name, [])}),
]))
"""


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


def _synthesize(python: Path, app: Path, outdir: Path) -> tuple[list[object], dict[str, dict[str, object]]]:
    """Synthesize with an interpreter; return what it shows, and the asset manifests by file name."""
    environment = {
        key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")
    }
    environment["CDK_OUTDIR"] = str(outdir)
    output = subprocess.check_output([python, "-c", _SHOW, app], cwd=outdir.parent, env=environment)
    manifests = {path.name: json.loads(path.read_text()) for path in outdir.glob("*.assets.json")}
    return json.loads(output), manifests


def _required(distribution: str) -> set[str]:
    """Return a distribution and all that it requires without extras, as normalized names."""
    found: set[str] = set()
    pending = [distribution]
    while pending:
        name = canonicalize_name(pending.pop())
        if name not in found:
            found.add(name)
            requirements = map(Requirement, metadata.requires(name) or [])
            pending += [item.name for item in requirements if not item.marker or item.marker.evaluate()]
    return found


def test_an_installed_wheel_synthesizes_the_same_assets_with_what_it_requires(
    wheel: Path, tmp_path: Path
) -> None:
    # An environment of its own, in which the requirements are the ones of this environment.
    venv.create(tmp_path / "venv", with_pip=False)
    python = tmp_path / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
    (site_packages,) = (tmp_path / "venv").rglob("site-packages")
    (site_packages / "requirements.pth").write_text(sysconfig.get_path("purelib"))
    # With compiled files, as pip leaves them: they must not reach an asset.
    install = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", wheel]
    subprocess.run(install, check=True, capture_output=True)

    app = tmp_path / "app.py"
    app.write_text((ROOT / "app.py").read_text())
    shown, installed = _synthesize(python, app, tmp_path / "installed")
    constructs, package, distributions = shown
    assert str(package).startswith(str(site_packages))
    assert str(ROOT / "constructs") not in str(constructs)
    assert {canonicalize_name(name) for name in distributions} <= _required("cdk-sagemaker-pytorch")
    assert "aws-cdk-lib" in distributions

    _, checkout = _synthesize(Path(sys.executable), ROOT / "app.py", tmp_path / "checkout")
    assert installed == checkout
    assert installed
