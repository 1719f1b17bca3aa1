"""The virtual environments of the conformance tests: the packages of AWS that the library is compared with.

`make conformance` runs it. Each environment is built from its file of requirements, once: what is there and
complete stays, what is half-made or was built from other requirements is built again.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import time
import venv
from pathlib import Path

ENVIRONMENTS = Path(__file__).parents[2] / ".cache" / "conformance"
# What pip cannot install, and what it is for.
PROGRAMS = {
    "sdk": {},
    "training": {"cc": "a C compiler, for the extension of sagemaker-training"},
    "training_shell": {"cc": "a C compiler, for the extension of sagemaker-training"},
    "inference": {"java": "Java 11 or newer, for TorchServe"},
}


def variable(name: str) -> str:
    """Return the variable that names another interpreter for an environment."""
    return f"CONFORMANCE_{name.upper()}_PYTHON"


def interpreter(name: str) -> Path:
    """Return the Python of an environment: the one that its variable names, else the one built here.

    Raises
    ------
    FileNotFoundError
        If there is none, or the one built here is not of the requirements of now.
    """
    if given := os.environ.get(variable(name)):
        if not Path(given).exists():
            raise FileNotFoundError(f"{variable(name)} must be a Python interpreter, got {given}")
        return Path(given)
    folder = ENVIRONMENTS / name
    if _stamp(folder) != _fingerprint(name):
        raise FileNotFoundError(
            f"the environment {folder} is not built, or not from {_requirements(name).name}:"
            f" run `make conformance`, or set {variable(name)} to the Python of one of your own"
        )
    return folder / "bin" / "python"


def build(name: str) -> None:
    """Build an environment, unless it is there."""
    folder = ENVIRONMENTS / name
    if given := os.environ.get(variable(name)):
        print(f"conformance: {name}: {variable(name)}={given}")
    elif _stamp(folder) == _fingerprint(name):
        print(f"conformance: {name}: {folder} is up to date")
    else:
        print(f"conformance: {name}: building {folder} from {_requirements(name).name}", flush=True)
        begin = time.monotonic()
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder, with_pip=True)
        python, requirements = str(folder / "bin" / "python"), str(_requirements(name))
        subprocess.run([python, "-m", "pip", "install", "--quiet", "-r", requirements], check=True)
        (folder / "stamp").write_text(_fingerprint(name))  # last: without it the environment is half-made
        print(f"conformance: {name}: built in {time.monotonic() - begin:.0f} s", flush=True)


def _requirements(name: str) -> Path:
    return Path(__file__).with_name(f"requirements-{name.replace('_', '-')}.txt")


def _fingerprint(name: str) -> str:
    return hashlib.sha256(sys.version.encode() + _requirements(name).read_bytes()).hexdigest()


def _stamp(folder: Path) -> str:
    stamp = folder / "stamp"
    return stamp.read_text() if stamp.exists() else ""


def main() -> None:
    """Build what is missing."""
    missing = [
        f"{program} ({purpose})"
        for programs in PROGRAMS.values()
        for program, purpose in programs.items()
        if not shutil.which(program)
    ]
    if missing:
        sys.exit(f"conformance: not on the PATH: {', '.join(missing)}")
    for name in PROGRAMS:
        build(name)


if __name__ == "__main__":
    main()
