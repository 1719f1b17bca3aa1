"""Layers of Lambda functions: what a function sees as /opt."""

import hashlib
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cdk_sagemaker_pytorch.local.base.container_view import ContainerView, why_no_container_view

_OPT = Path("/opt")
# Where Lambda's images have the runtime; programs in layers name it in their first line.
_LANGUAGE = Path("/var/lang")


@dataclass(frozen=True)
class Layers:
    """Layers of one function, merged: of files with one path the last layer's is seen.

    Parameters
    ----------
    folder
        Where they are merged.
    """

    folder: Path

    @classmethod
    def merged(cls, folders: Sequence[Path], into: Path) -> "Layers":
        """Merge unpacked layers into a folder below `into`, once for the same ones.

        Parameters
        ----------
        folders
            The layers, in their order.
        into
            Where merged ones are kept.
        """
        name = hashlib.sha256("\n".join(map(os.fspath, folders)).encode()).hexdigest()[:16]
        merged = into / name
        if not merged.exists():
            partial = into / f"{name}.partial"
            shutil.rmtree(partial, ignore_errors=True)
            for folder in folders:
                shutil.copytree(folder, partial, copy_function=_replace, dirs_exist_ok=True)
            partial.rename(merged)
        return cls(merged)

    @property
    def seen_as(self) -> Path:
        """Where the function sees them: /opt, or where they are if the system does not allow that."""
        return _OPT if why_no_container_view() is None else self.folder

    @property
    def python_path(self) -> list[Path]:
        """Folders of Python modules."""
        packages = f"python/lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
        return [self.seen_as / "python", self.seen_as / packages]

    def variables(self, given: Mapping[str, str]) -> dict[str, str]:
        """Return the variables by which programs, libraries and Node.js modules of layers are found.

        Parameters
        ----------
        given
            The variables without layers.
        """
        places = {
            "PATH": [self.seen_as / "bin"],
            "LD_LIBRARY_PATH": [self.seen_as / "lib"],
            "NODE_PATH": [self.seen_as / "nodejs" / "node_modules"],
        }
        return {
            name: os.pathsep.join([*map(os.fspath, folders), *filter(None, [given.get(name)])])
            for name, folders in places.items()
        }

    def view(self, work_folder: Path) -> ContainerView | None:
        """Return what the function sees: the layers beside what this machine has in /opt, and a Python.

        Parameters
        ----------
        work_folder
            A folder of the function's own.
        """
        if self.seen_as != _OPT:
            return None
        python = work_folder / "lang" / "bin" / "python"
        python.parent.mkdir(parents=True)
        # No link: a link elsewhere would not find the packages of this Python's environment.
        python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        python.chmod(0o700)
        (python.parent / "python3").symlink_to("python")
        folders = {_OPT / entry.name: entry for entry in self.folder.iterdir() if entry.is_dir()}
        return ContainerView.make({**folders, _LANGUAGE: work_folder / "lang"}, work_folder / "hosts")


def _replace(source: str, target: str) -> None:
    Path(target).unlink(missing_ok=True)
    os.link(source, target)
