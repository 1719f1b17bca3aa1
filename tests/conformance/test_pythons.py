"""What ships into containers, on every Python that the containers have: 3.8 to 3.13.

The interpreters are those of this machine: on the PATH as `python3.8`, or below `~/.pyenv/versions`. Each
gets an environment of its own with the newest numpy that there is for it: 1.24 for Python 3.8, 2.x from 3.9
on. torch is left out, and with it the tests that need it.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .environments import ENVIRONMENTS

pytestmark = [pytest.mark.conformance, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
VERSIONS = [(3, minor) for minor in range(8, 14)]
RUNNING = sys.version_info[:2]
REQUIREMENTS = ["numpy", "pytest<10", "hypothesis<7"]
# With orjson and without: not every Python has a wheel of it, and not every container has it.
OPTIONAL = "orjson"
TESTS = [
    "test_chain_without_torch.py",
    "test_context.py",
    "test_codecs.py",
    "test_content_types.py",
    "test_decimal_tables.py",
    "test_nested_lists.py",
    "test_ray_settings.py",
    "test_workers.py",
]
FOLDERS = ["inference_assets", "training_assets"]


def name_of(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))


def find(version: tuple[int, int]) -> Path | None:
    """Find an interpreter that starts and is of this version."""
    name = name_of(version)
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv", "versions")
    candidates = [*pyenv.glob(f"{name}.*/bin/python"), shutil.which(f"python{name}")]
    program = "import sys; print(*sys.version_info[:2], sep='.')"
    for candidate in filter(None, candidates):
        done = subprocess.run([candidate, "-c", program], capture_output=True, text=True, check=False)
        if done.stdout.strip() == name:
            return Path(candidate)
    return None


FOUND = {version: python for version in VERSIONS if version != RUNNING and (python := find(version))}


def environment(version: tuple[int, int]) -> Path:
    """Return the Python of an environment with numpy and pytest; builds it once."""
    folder = ENVIRONMENTS / f"python{name_of(version)}"
    python, stamp = folder / "bin" / "python", folder / "stamp"
    wanted = hashlib.sha256(repr([str(FOUND[version]), REQUIREMENTS, OPTIONAL]).encode()).hexdigest()
    if not stamp.exists() or stamp.read_text() != wanted:
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([FOUND[version], "-m", "venv", folder], check=True)
        install = [python, "-m", "pip", "install", "--quiet"]
        subprocess.run([*install, *REQUIREMENTS], check=True)
        subprocess.run([*install, "--only-binary=:all:", OPTIONAL], check=False)
        stamp.write_text(wanted)
    return python


def test_another_python_than_the_running_one_is_here() -> None:
    assert FOUND, (
        f"the assets must run on two Pythons at least: install one of {', '.join(map(name_of, VERSIONS))}"
        f" besides {name_of(RUNNING)}, on the PATH or with pyenv"
    )


@pytest.mark.parametrize("version", FOUND, ids=name_of)
def test_the_assets_run(version: tuple[int, int], tmp_path: Path) -> None:
    python = environment(version)
    folders = [str(ROOT / folder) for folder in FOLDERS]
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PYTEST"))}
    variables = clean | {"PYTHONPYCACHEPREFIX": str(tmp_path / "pycache")}
    compiled = subprocess.run(
        [python, "-m", "compileall", "-q", *folders],
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert compiled.returncode == 0, compiled.stdout

    # Without the settings and plugins of the development environment, but for what its tests share.
    assets, shared = ROOT / "tests" / "assets", ROOT / "tests" / "shared"
    (tmp_path / "pytest.ini").write_text(
        f"[pytest]\naddopts = --import-mode=importlib -p no:cacheprovider\npythonpath = {shared}\n"
    )
    command = [python, "-m", "pytest", "-q", "-c", tmp_path / "pytest.ini", "--rootdir", assets]
    command += ["--confcutdir", assets, *(assets / test for test in TESTS)]
    done = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "passed" in done.stdout
