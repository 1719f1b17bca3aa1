"""What a program sees as /opt/ml and as host names: its own, where the system allows that."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_LAUNCHER = Path(__file__).with_name("container_launcher.py")
_HOSTS = Path("/etc/hosts")
_PROBE_SECONDS = 30.0

#: Where containers of SageMaker have what is theirs.
CONTAINER_FOLDER = Path("/opt/ml")


@dataclass(frozen=True)
class ContainerView:
    """A command sees folders of this machine in other places, and nobody else does.

    Parameters
    ----------
    folders
        Folders on this machine by the places where the command sees them.
    hosts_file
        What the command sees as /etc/hosts, outside of the folders.
    """

    folders: Mapping[Path, Path]
    hosts_file: Path

    @classmethod
    def make(
        cls, folders: Mapping[Path, Path], hosts_file: Path, host_names: Mapping[str, str] | None = None
    ) -> "ContainerView":
        """Write the hosts file: the names that this machine has, and those given, with their addresses."""
        lines = [f"{address}\t{name}\n" for name, address in (host_names or {}).items()]
        known = _HOSTS.read_text(encoding="utf-8", errors="replace") if _HOSTS.exists() else ""
        hosts_file.write_text("".join(lines) + known, encoding="utf-8")
        return cls(folders, hosts_file)

    def command(
        self, args: Sequence[str | os.PathLike[str]], working_folder: Path = CONTAINER_FOLDER
    ) -> list[str]:
        """Return the command that starts `args` with this view.

        Parameters
        ----------
        args
            The command and its arguments.
        working_folder
            Where it starts, as it sees it. Defaults to /opt/ml.
        """
        settings = {
            "folders": {os.fspath(place): os.path.abspath(folder) for place, folder in self.folders.items()},
            "hosts_file": os.path.abspath(self.hosts_file),
            "working_folder": os.fspath(working_folder),
        }
        launcher = [sys.executable, "-I", "-S", os.fspath(_LAUNCHER), json.dumps(settings)]
        return [*launcher, *(os.fspath(arg) for arg in args)]


@cache
def why_no_container_view() -> str | None:
    """Return why programs cannot have a view of their own on this system; None where they can.

    It is tried, once for each process: kernels, containers and security modules forbid it in many ways.
    """
    if not sys.platform.startswith("linux"):
        return f"{sys.platform} has no private mounts"
    with tempfile.TemporaryDirectory(prefix="container-view-") as name:
        folder = Path(name)
        (folder / "seen").mkdir()
        (folder / "seen" / "probe").touch()
        view = ContainerView.make({CONTAINER_FOLDER: folder / "seen"}, folder / "hosts")
        try:
            done = subprocess.run(  # noqa: S603
                view.command(["/bin/sh", "-c", "test -f probe"]),
                capture_output=True,
                text=True,
                timeout=_PROBE_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
    if done.returncode:
        return (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
    return None
