import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from cdk_sagemaker_pytorch.local.base import container_view
from cdk_sagemaker_pytorch.local.base.container_view import (
    CONTAINER_FOLDER,
    ContainerView,
    why_no_container_view,
)
from cdk_sagemaker_pytorch.local.base.processes import SupervisedProcess, host_environment
from waiting import HANG_SECONDS, wait_for

needs_mounts = pytest.mark.skipif(
    why_no_container_view() is not None, reason=f"private mounts: {why_no_container_view()}"
)
# Starts its arguments as another user without any rights, as the kernel sees it: user 1000 of a namespace.
WITHOUT_RIGHTS = """
import ctypes, os, sys
uid, gid = os.getuid(), os.getgid()
assert ctypes.CDLL(None).unshare(0x10000000) == 0
for file, text in (("setgroups", "deny"), ("uid_map", f"1000 {uid} 1"), ("gid_map", f"1000 {gid} 1")):
    open(f"/proc/self/{file}", "w").write(text)
os.execv(sys.argv[1], sys.argv[1:])
"""


@pytest.fixture
def view(tmp_path: Path) -> ContainerView:
    (tmp_path / "seen").mkdir()
    (tmp_path / "seen" / "here.txt").write_text("its own")
    folders = {CONTAINER_FOLDER: tmp_path / "seen"}
    return ContainerView.make(folders, tmp_path / "hosts", {"algo-2": "127.0.0.2"})


@pytest.fixture(autouse=True)
def _machine_stays_as_it_is() -> Iterator[None]:
    folders = [CONTAINER_FOLDER.parent, Path("/")]
    before = [sorted(os.listdir(folder)) if folder.exists() else None for folder in folders]
    yield
    assert [sorted(os.listdir(folder)) if folder.exists() else None for folder in folders] == before


def run(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=HANG_SECONDS).stdout


@needs_mounts
def test_the_folder_is_seen_and_what_is_written_there_is_in_it(view: ContainerView) -> None:
    assert run(view.command(["/bin/sh", "-c", "pwd; cat /opt/ml/here.txt; echo new > /opt/ml/new.txt"])) == (
        "/opt/ml\nits own"
    )
    assert (view.folders[CONTAINER_FOLDER] / "new.txt").read_text() == "new\n"
    assert sorted(path.name for path in view.hosts_file.parent.iterdir()) == ["hosts", "seen"]


@needs_mounts
def test_the_other_entries_beside_it_are_those_of_the_machine(view: ContainerView) -> None:
    beside = CONTAINER_FOLDER.parent
    there = run(view.command(["/bin/sh", "-c", f"cd {beside} && find . -maxdepth 2 | sort"]))
    here = run(["/bin/sh", "-c", f"cd {beside} && find . -maxdepth 2 | sort"])
    expected = {line for line in here.splitlines() if not line.startswith("./ml")}
    assert {line for line in there.splitlines() if not line.startswith("./ml")} == expected
    assert "./ml/here.txt" in there


@needs_mounts
@pytest.mark.parametrize(
    "target", ["/opt/ml", "/no-such-folder/deep/ml", "/srv", "/usr/share/no-such-folder"]
)
@pytest.mark.parametrize("rights", [True, False])
def test_it_is_seen_wherever_it_is_to_be(view: ContainerView, target: str, rights: bool) -> None:
    """Whether the machine has the folder, or only some folder above it, and whoever runs it."""
    view = ContainerView({Path(target): view.folders[CONTAINER_FOLDER]}, view.hosts_file)
    script = f"cat {target}/here.txt; id -u; ls -d /usr/bin /proc/self/status /etc/hosts"
    command = view.command(["/bin/sh", "-c", script], Path("/"))
    if not rights:
        command = [sys.executable, "-I", "-c", WITHOUT_RIGHTS, *command]
    own, *places = run(command).splitlines()
    assert own == f"its own{os.getuid() if rights else 1000}"
    assert places == ["/etc/hosts", "/proc/self/status", "/usr/bin"]


@needs_mounts
def test_host_names_lead_to_addresses_of_this_machine(view: ContainerView) -> None:
    code = "import socket; print(socket.gethostbyname('algo-2'), socket.gethostbyname('localhost'))"
    assert run(view.command([sys.executable, "-c", code])) == "127.0.0.2 127.0.0.1\n"


@needs_mounts
def test_two_at_once_see_each_its_own(tmp_path: Path) -> None:
    """Each waits for the other to have written, and reads its own file after that."""
    code = """
import os, pathlib, sys, time
own, other = sys.argv[1:]
pathlib.Path("/opt/ml/name").write_text(own)
(pathlib.Path(os.environ["SHARED"]) / own).touch()
while not (pathlib.Path(os.environ["SHARED"]) / other).exists():
    time.sleep(0.01)
print(pathlib.Path("/opt/ml/name").read_text())
"""
    processes = []
    for own, other in (("a", "b"), ("b", "a")):
        (tmp_path / own / "seen").mkdir(parents=True)
        view = ContainerView.make({CONTAINER_FOLDER: tmp_path / own / "seen"}, tmp_path / own / "hosts")
        processes.append(
            subprocess.Popen(
                view.command([sys.executable, "-c", code, own, other]),
                stdout=subprocess.PIPE,
                text=True,
                env=os.environ | {"SHARED": str(tmp_path)},
            )
        )
    assert [process.communicate(timeout=HANG_SECONDS)[0] for process in processes] == ["a\n", "b\n"]


@needs_mounts
@pytest.mark.parametrize(("end", "returncode"), [("exit 7", 7), ("kill -9 $$", -9)])
def test_the_command_takes_the_launchers_place(
    view: ContainerView, tmp_path: Path, end: str, returncode: int
) -> None:
    process = SupervisedProcess(
        view.command(["/bin/sh", "-c", end]),
        cwd=tmp_path,
        env=host_environment(),
        log_path=tmp_path / "log",
    )
    assert process.wait(60) == returncode


@needs_mounts
def test_what_it_started_is_ended_with_it(view: ContainerView, tmp_path: Path) -> None:
    started = threading.Event()
    lines: list[str] = []

    def on_line(line: str) -> None:
        lines.append(line)
        started.set()

    process = SupervisedProcess(
        view.command(["/bin/sh", "-c", "trap 'exit 5' TERM; setsid sleep 600 & echo $!; wait; wait"]),
        cwd=tmp_path,
        env=host_environment(),
        log_path=tmp_path / "log",
        on_line=on_line,
    )
    assert started.wait(HANG_SECONDS)
    assert process.stop() in (5, -signal.SIGTERM)
    wait_for(lambda: not psutil.pid_exists(int(lines[0])))


@needs_mounts
def test_fails_when_the_command_does_not_exist(view: ContainerView) -> None:
    done = subprocess.run(view.command(["no-such-program"]), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (
        127,
        "cannot start no-such-program: No such file or directory\n",
    )


@needs_mounts
def test_fails_when_the_folder_cannot_be_mounted(view: ContainerView) -> None:
    view.hosts_file.unlink()
    done = subprocess.run(view.command(["true"]), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (
        125,
        "cannot mount /opt/ml: mount: No such file or directory\n",
    )


@needs_mounts
def test_a_system_that_forbids_it_is_found_out() -> None:
    """One that has no user namespaces for those without rights."""
    forbid = WITHOUT_RIGHTS.replace(
        "os.execv", "open('/proc/sys/user/max_user_namespaces', 'w').write('0')\nos.execv"
    )
    code = (
        "from cdk_sagemaker_pytorch.local.base.container_view import why_no_container_view as why\n"
        "print(why())"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", forbid, sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("cannot mount /opt/ml: unshare: ")


def test_why_not_is_told_in_the_systems_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container_view, "_LAUNCHER", Path("/no/such/launcher.py"))
    why_no_container_view.cache_clear()
    try:
        assert "No such file or directory" in str(why_no_container_view())
        monkeypatch.setattr(sys, "platform", "darwin")
        why_no_container_view.cache_clear()
        assert why_no_container_view() == "darwin has no private mounts"
    finally:
        why_no_container_view.cache_clear()
