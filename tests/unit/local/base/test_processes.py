import os
import queue
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from cdk_sagemaker_pytorch.local.base.processes import SupervisedProcess, free_port, host_environment
from waiting import HANG_SECONDS, wait_for

# A process that outlives its parent, in a session of its own: what a plain kill of the child misses.
START_DAEMON = """
import subprocess, sys

daemon = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print("daemon", daemon.pid, flush=True)
"""
WAIT = "\nimport time; time.sleep(600)"


class Lines:
    """Collects lines of output and lets a test wait for one."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self._queue: queue.Queue[str] = queue.Queue()

    def __call__(self, line: str) -> None:
        self.seen.append(line)
        self._queue.put(line)

    def next(self) -> str:
        return self._queue.get(timeout=HANG_SECONDS)


def start(code: str, folder: Path, lines: Lines | None = None, **options: object) -> SupervisedProcess:
    return SupervisedProcess(
        [sys.executable, "-u", "-c", code],
        cwd=folder,
        env={"PATH": os.defpath, "GIVEN": "yes"},
        log_path=folder / "logs" / "log.txt",
        on_line=lines,
        **options,  # type: ignore[arg-type]
    )


def wait_for_end(pid: int) -> None:
    wait_for(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)


def test_output_goes_to_the_log_and_to_the_callback(tmp_path: Path) -> None:
    lines = Lines()
    code = (
        "import sys; print('one'); print('tw\\u00f6', file=sys.stderr); sys.stdout.buffer.write(b'\\xff end')"
    )
    process = start(code, tmp_path, lines)
    assert process.wait(HANG_SECONDS) == 0
    assert lines.seen == [
        "one",
        "tw\N{LATIN SMALL LETTER O WITH DIAERESIS}",
        "\N{REPLACEMENT CHARACTER} end",
    ]
    assert (tmp_path / "logs" / "log.txt").read_bytes().splitlines()[0] == b"one"


def test_the_command_has_the_given_environment_and_folder_alone(tmp_path: Path) -> None:
    lines = Lines()
    start("import os; print(os.getcwd()); print(sorted(os.environ))", tmp_path, lines).wait(HANG_SECONDS)
    assert lines.seen[0] == str(tmp_path)
    assert "'GIVEN'" in lines.seen[1]
    assert "'HOME'" not in lines.seen[1]


def test_a_callback_that_fails_does_not_hold_the_command_up(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def on_line(line: str) -> None:
        raise KeyError(line)

    process = SupervisedProcess(
        [sys.executable, "-c", "for i in range(2000): print('line', i)"],
        cwd=tmp_path,
        env={},
        log_path=tmp_path / "log",
        on_line=on_line,
    )
    assert process.wait(HANG_SECONDS) == 0
    assert (tmp_path / "log").read_text().endswith("line 1999\n")
    assert "on_line failed for a line of" in caplog.text


@pytest.mark.parametrize(
    ("code", "returncode"),
    [
        ("import sys; sys.exit(7)", 7),
        ("import os; os.kill(os.getpid(), 9)", -9),
        ("import os; os.abort()", -6),
    ],
)
def test_the_exit_code_is_the_commands_own(tmp_path: Path, code: str, returncode: int) -> None:
    process = start(code, tmp_path)
    assert process.wait(HANG_SECONDS) == returncode
    assert process.returncode == process.poll() == returncode


def test_the_memory_of_the_largest_process_is_known_afterwards(tmp_path: Path) -> None:
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'x = bytes(1) * (200 << 20)'])"
    process = start(code, tmp_path)
    assert process.peak_memory is None
    process.wait(HANG_SECONDS)
    assert process.peak_memory is not None
    assert 200 << 20 <= process.peak_memory < 600 << 20


def test_fails_when_the_command_does_not_exist(tmp_path: Path) -> None:
    lines = Lines()
    process = SupervisedProcess(
        [tmp_path / "nothing"], cwd=tmp_path, env={}, log_path=tmp_path / "log", on_line=lines
    )
    assert process.wait(HANG_SECONDS) == 127
    assert lines.seen == [f"cannot start {tmp_path / 'nothing'}: No such file or directory"]


def test_what_the_command_leaves_behind_ends_with_it(tmp_path: Path) -> None:
    lines = Lines()
    assert start(START_DAEMON, tmp_path, lines).wait(HANG_SECONDS) == 0
    daemon = int(lines.next().split()[1])
    wait_for_end(daemon)


def test_stop_ends_the_command_and_its_descendants(tmp_path: Path) -> None:
    lines = Lines()
    process = start(START_DAEMON + WAIT, tmp_path, lines)
    daemon = int(lines.next().split()[1])
    with pytest.raises(TimeoutError, match=r"still running after 0\.01 seconds"):
        process.wait(0.01)
    assert process.stop() == -signal.SIGTERM
    wait_for_end(daemon)
    assert process.stop() == -signal.SIGTERM


def test_stop_lets_the_command_end_by_itself_within_the_grace_period(tmp_path: Path) -> None:
    lines = Lines()
    code = "import signal, sys, time; signal.signal(15, lambda *_: sys.exit(5)); print('up'); time.sleep(600)"
    process = start(code, tmp_path, lines)
    lines.next()
    assert process.stop() == 5


def test_stop_kills_a_command_that_ignores_sigterm(tmp_path: Path) -> None:
    lines = Lines()
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up')" + WAIT
    process = start(code, tmp_path, lines, grace_period=0.2)
    lines.next()
    assert process.stop() == -signal.SIGKILL


def test_temporary_folders_go_at_the_end(tmp_path: Path) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    (folder / "file").touch()
    with start(WAIT, tmp_path, temporary_folders=[folder]):
        assert folder.exists()
    assert not folder.exists()


@pytest.mark.parametrize("end", ["killed", "exits"])
def test_nothing_is_left_when_the_parent_ends(tmp_path: Path, end: str) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    parent_code = f"""
import sys
from pathlib import Path
from cdk_sagemaker_pytorch.local.base.processes import SupervisedProcess, host_environment
process = SupervisedProcess(
    [sys.executable, "-u", "-c", {START_DAEMON + WAIT!r}], env=host_environment(), cwd=Path("/"),
    log_path=Path({str(tmp_path)!r}) / "log", on_line=lambda line: print(line, flush=True),
    temporary_folders=[Path({str(temporary)!r})],
)
print("supervisor", process.pid, flush=True)
sys.stdin.readline()
"""
    parent = subprocess.Popen(
        [sys.executable, "-c", parent_code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdin is not None
    assert parent.stdout is not None
    pids = dict(parent.stdout.readline().split() for _ in range(2))
    if end == "killed":
        parent.kill()
    else:
        parent.stdin.write("\n")
        parent.stdin.close()
    parent.wait(HANG_SECONDS)
    for pid in pids.values():
        wait_for_end(int(pid))
    assert not temporary.exists()
    parent.stdin.close()
    parent.stdout.close()


def test_a_supervised_process_that_has_one_itself_leaves_nothing(tmp_path: Path) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    (temporary / "file").touch()
    code = f"""
import os, sys
from pathlib import Path
from cdk_sagemaker_pytorch.local.base.processes import SupervisedProcess
process = SupervisedProcess(
    [sys.executable, "-u", "-c", {START_DAEMON + WAIT!r}], env={{}}, cwd=Path("/"),
    log_path=Path({str(tmp_path)!r}) / "inner.log", on_line=lambda line: print(line, flush=True),
    temporary_folders=[Path({str(temporary)!r})], grace_period=600,
)
print("supervisor", process.pid, flush=True)
print("server", os.getpid(), flush=True)
process.wait()
"""
    lines = Lines()
    process = start(code, tmp_path, lines)
    pids = dict(lines.next().split() for _ in range(3))
    process.stop()
    for pid in pids.values():
        wait_for_end(int(pid))
    assert not temporary.exists()


def test_free_ports_differ_and_are_free() -> None:
    ports = [free_port() for _ in range(50)]
    assert len(set(ports)) == 50
    with socket.socket() as server:
        server.bind(("127.0.0.1", ports[0]))


def test_a_container_does_not_see_the_users_own_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_PROFILE", "AWS_SECRET_ACCESS_KEY", "SM_MODEL_DIR", "PYTHONPATH", "RANK", "RAY_ADDRESS"):
        monkeypatch.setenv(name, "the user's")
    monkeypatch.setenv("HTTPS_PROXY", "kept")
    environment = host_environment()
    assert "the user's" not in environment.values()
    assert environment["HTTPS_PROXY"] == "kept"
    assert environment["AWS_SHARED_CREDENTIALS_FILE"] == os.devnull
    assert environment["PATH"].split(os.pathsep)[0] == str(Path(sys.executable).parent)
