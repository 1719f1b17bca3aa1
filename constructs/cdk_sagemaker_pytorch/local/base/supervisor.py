"""Run one command and end everything it started, whatever happens to the process that asked for it.

Run as a file, `python -I supervisor.py SETTINGS COMMAND...`, with a pipe as standard input whose other end
only the parent holds. When that end is closed the supervisor ends the command as a container's runtime
does: SIGTERM, a grace period, SIGKILL. A parent that wants it so writes the grace period in seconds first;
one that is gone, even by SIGKILL, leaves a short one. When the command has ended, for whatever reason, the
supervisor kills what it left behind, removes temporary folders, reports how much memory was used, and exits
as the command did: with its exit code, or by the same signal. SETTINGS is a JSON object: the list `folders`
of temporary folders, and `report`, the file descriptor for the bytes that the largest process has had.
"""

import contextlib
import ctypes
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time

import psutil

_PR_SET_CHILD_SUBREAPER = 36
_ORPHAN_GRACE_SECONDS = 1.0
# Supervisors that the command started see that it is gone, and have a command and folders of their own.
_NESTED_SECONDS = 10.0
_POLL_SECONDS = 0.02


def _adopt_orphans() -> bool:
    """Become the parent of every orphaned descendant; True where the system can do that (Linux)."""
    if not sys.platform.startswith("linux"):
        return False
    failed: int = ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    return not failed


def _stop_with_parent(pid: int, ended: threading.Event) -> None:
    grace_seconds = float(sys.stdin.read() or _ORPHAN_GRACE_SECONDS)
    for signal_number in (signal.SIGTERM, signal.SIGKILL):
        if ended.is_set():
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal_number)
        ended.wait(grace_seconds)


def _wait_for(pid: int) -> int:
    """Reap until `pid` ends, as an init process does, so that adopted orphans do not stay zombies."""
    while True:
        ended, status = os.wait()
        if ended == pid:
            return os.waitstatus_to_exitcode(status)


def _under_nested_supervisors(processes: list[psutil.Process]) -> set[psutil.Process]:
    found: set[psutil.Process] = set()
    for process in processes:
        with contextlib.suppress(psutil.Error):
            if os.path.abspath(__file__) in process.cmdline():
                found |= {process, *process.children(recursive=True)}
    return found


def _kill_descendants(group: int, adopted: bool) -> None:
    if not adopted:
        # Orphans are out of reach; those that kept the command's process group are not.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
    deadline = time.monotonic() + _NESTED_SECONDS
    while True:
        descendants = psutil.Process().children(recursive=True)
        spared = _under_nested_supervisors(descendants) if time.monotonic() < deadline else set()
        for descendant in set(descendants) - spared:
            with contextlib.suppress(psutil.NoSuchProcess):
                descendant.kill()
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(_POLL_SECONDS)


def _peak_memory() -> int:
    """Return how many bytes the largest of the processes that have ended had at its peak."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit


def _exit_as(returncode: int) -> None:
    if returncode < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with contextlib.suppress(OSError, ValueError):  # SIGKILL's handler cannot be set, nor need it be
            signal.signal(-returncode, signal.SIG_DFL)
        os.kill(os.getpid(), -returncode)
    # Not sys.exit: the thread that reads the pipe holds a lock that the interpreter's own end would wait for.
    os._exit(returncode)


def main() -> None:
    """Supervise the command of the command line."""
    settings, command = json.loads(sys.argv[1]), sys.argv[2:]
    adopted = _adopt_orphans()
    try:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)  # noqa: S603
    except OSError as error:
        print(f"cannot start {command[0]}: {error.strerror}", file=sys.stderr)  # noqa: T201
        os._exit(127)
    ended = threading.Event()
    threading.Thread(target=_stop_with_parent, args=(child.pid, ended), daemon=True).start()
    returncode = _wait_for(child.pid)
    ended.set()
    _kill_descendants(child.pid, adopted)
    for folder in settings["folders"]:
        shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):  # nobody may be left to read it
        os.write(settings["report"], str(_peak_memory()).encode())
    _exit_as(returncode)


if __name__ == "__main__":
    main()
