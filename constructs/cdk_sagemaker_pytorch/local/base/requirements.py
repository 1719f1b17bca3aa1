"""Third-party libraries of one job or endpoint: a Python environment of its own on top of this one."""

import importlib.util
import site
import sys
import venv
from pathlib import Path


def overlay_environment(folder: Path) -> Path:
    """Make a virtual environment that sees what is installed here; return its interpreter.

    As in a container, what a requirement asks for and is here already (torch above all) is not installed
    again, while what is installed there stays there and wins over what is here.

    Parameters
    ----------
    folder
        Where to make it.
    """
    # A Python without pip (uv makes such) gets one of its own.
    builder = venv.EnvBuilder(symlinks=True, with_pip=importlib.util.find_spec("pip") is None)
    builder.create(folder)
    python = folder / "bin" / "python"
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    lines = [f"import site; site.addsitedir({path!r})\n" for path in site.getsitepackages()]
    (folder / "lib" / version / "site-packages" / "_underlying_environment.pth").write_text("".join(lines))
    return python


def pip_install_command(python: Path, *arguments: str) -> list[str]:
    """Return the command that installs `arguments` (as pip's) into an overlay environment."""
    return [
        str(python),
        "-m",
        "pip",
        "install",
        "--disable-pip-version-check",
        "--no-input",
        "--progress-bar=off",
        *arguments,
    ]
