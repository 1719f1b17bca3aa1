"""Child processes that leave nothing behind: not on stop, not on exit, not when this process is killed."""

import contextlib
import json
import logging
import os
import random
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self, cast

_SUPERVISOR = Path(__file__).with_name("supervisor.py")
# CloudWatch Logs takes events of at most 256 KiB; a longer line is split.
_MAX_LINE_BYTES = 256 * 1024

# What must not reach code in a "container": real credentials, and what would lead it elsewhere.
_HOST_ONLY_PREFIXES = ("AWS_", "SM_", "SAGEMAKER_", "TORCHELASTIC_", "RAY_", "TS_")
_HOST_ONLY_NAMES = frozenset(
    ["PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE"]
    + [
        "MASTER_ADDR",
        "MASTER_PORT",
        "TRAINING_JOB_NAME",
        "CURRENT_HOST",
        "NCCL_SOCKET_IFNAME",
        "GLOO_SOCKET_IFNAME",
    ]
)
#: Variables that keep AWS SDKs from the user's own profiles, which may name other endpoints and programs that
#: fetch credentials, and from the credentials of an EC2 instance.
NO_PROFILES = {
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}
# Variables of a user's own that would do the same; all else is the user's business.
_LEADS_ELSEWHERE = re.compile(
    "AWS_(ENDPOINT_URL(_.*)?|IGNORE_CONFIGURED_ENDPOINT_URLS|USE_(FIPS|DUALSTACK)_ENDPOINT|CA_BUNDLE|ROLE_ARN"
    "|(DEFAULT_)?PROFILE|CONFIG_FILE|SHARED_CREDENTIALS_FILE|WEB_IDENTITY_TOKEN_FILE|CREDENTIAL_.*"
    "|CONTAINER_.*|EC2_METADATA_.*|SESSION_TOKEN|SECURITY_TOKEN|ACCESS_KEY_ID|SECRET_ACCESS_KEY)"
)
_CONTAINER_VARIABLES = {
    # As in the environment of AWS's PyTorch images.
    "PYTHONUNBUFFERED": "TRUE",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONIOENCODING": "UTF-8",
    **NO_PROFILES,
}
_LOOPBACK = ("127.0.0.1", "localhost")

# Below those that systems give to outgoing connections: a server may bind to its port many seconds later.
_PORTS = range(10_240, 32_768)

_logger = logging.getLogger(__name__)
_given_ports: set[int] = set()
_given_ports_lock = threading.Lock()


def free_port() -> int:
    """Return a TCP port that is free on 127.0.0.1; no port is returned twice by one process."""
    with _given_ports_lock:
        while True:
            port = random.choice(_PORTS)  # noqa: S311
            if port in _given_ports:
                continue
            with socket.socket() as probe, contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                _given_ports.add(port)
                return port


def direct_to_loopback(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables with loopback among what no proxy is asked for.

    Programs with HTTP_PROXY would send what is meant for the local AWS to that proxy, off this machine.

    Parameters
    ----------
    environment
        Variables of a program. Proxies for other addresses stay: pip may need them.
    """
    given = [environment[name] for name in ("no_proxy", "NO_PROXY") if environment.get(name)]
    hosts = [host.strip() for value in given for host in value.split(",")]
    value = "*" if "*" in hosts else ",".join(dict.fromkeys([*_LOOPBACK, *filter(None, hosts)]))
    return {**environment, "NO_PROXY": value, "no_proxy": value}


def without_leads_elsewhere(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables without those that lead an AWS SDK to other endpoints or other credentials.

    Parameters
    ----------
    environment
        Variables that a user gives to a function, a job or a model.
    """
    return {name: value for name, value in environment.items() if not _LEADS_ELSEWHERE.fullmatch(name)}


def host_environment() -> dict[str, str]:
    """Return the variables a local "container" starts from.

    They are this process's own without AWS credentials and settings, Python paths and the variables of
    SageMaker, Ray and torch.distributed, and with those that AWS's PyTorch images set for Python. `python`
    is the interpreter of this process.
    """
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name not in _HOST_ONLY_NAMES and not name.startswith(_HOST_ONLY_PREFIXES)
    }
    path = f"{Path(sys.executable).parent}{os.pathsep}{inherited.get('PATH', os.defpath)}"
    return direct_to_loopback(inherited | _CONTAINER_VARIABLES | {"PATH": path})


class SupervisedProcess:
    """A command that is running, under a supervisor that ends it and all its descendants.

    They end when the command ends by itself, on `stop`, and when this process exits or is killed.

    Parameters
    ----------
    args
        The command and its arguments.
    cwd
        Its working folder.
    env
        Its whole environment.
    log_path
        File that its standard output and standard error are appended to as they come. Its folder is made.
    on_line
        Called from a thread with each line of output, without its end of line.
    grace_period
        Seconds between SIGTERM and SIGKILL when it is stopped. Defaults to 10. When this process is gone
        it is 1, for nobody is left to read what the command would save.
    temporary_folders
        Folders that are removed at the end, whatever the end is. Defaults to none.
    """

    def __init__(
        self,
        args: Sequence[str | os.PathLike[str]],
        *,
        cwd: Path,
        env: Mapping[str, str],
        log_path: Path,
        on_line: Callable[[str], None] | None = None,
        grace_period: float = 10.0,
        temporary_folders: Sequence[Path] = (),
    ) -> None:
        log_path.parent.mkdir(parents=True, exist_ok=True)
        self._grace_period = grace_period
        self._stdin_lock = threading.Lock()
        self._report, report = os.pipe()
        settings = {
            "folders": [os.path.abspath(folder) for folder in temporary_folders],
            "report": report,
        }
        self._peak_memory: int | None = None
        log = log_path.open("ab", buffering=0)
        try:
            # A session of its own: Ctrl-C in a terminal reaches only this process, which stops its children.
            self._process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-I", _SUPERVISOR, json.dumps(settings), *args],
                cwd=cwd,
                env=direct_to_loopback(env),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=[report],
            )
        except BaseException:
            log.close()
            os.close(self._report)
            raise
        finally:
            os.close(report)
        self._reader = threading.Thread(target=self._copy_output, args=(log, on_line), daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """Process id of the supervisor; the command and its descendants are below it."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """The command's own exit code, -N when signal N ended it, None while it runs."""
        return self.poll()

    @property
    def peak_memory(self) -> int | None:
        """Bytes that the largest process has had, after `wait`; None if nobody was left to tell it."""
        return self._peak_memory

    def poll(self) -> int | None:
        """Return the exit code, or None while the command or something it started runs."""
        return self._process.poll()

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end and for the last line of output.

        Parameters
        ----------
        timeout
            Seconds to wait. Defaults to no limit.

        Returns
        -------
        int
            The exit code, as `returncode`.

        Raises
        ------
        TimeoutError
            If it still runs after `timeout` seconds.
        """
        try:
            returncode = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"still running after {timeout:g} seconds") from None
        self._reader.join()
        self.terminate()  # closes the pipe
        return returncode

    def stop(self) -> int:
        """End the command and all it started, wait for that, and return the exit code.

        Safe to call from any thread, and again.
        """
        self.terminate()
        return self.wait()

    def terminate(self, grace_period: float | None = None) -> None:
        """Begin to end the command (SIGTERM, the grace period, SIGKILL) without waiting.

        Parameters
        ----------
        grace_period
            Seconds between the two. Defaults to what it was started with.
        """
        with self._stdin_lock, contextlib.suppress(OSError):
            stdin = cast("IO[bytes]", self._process.stdin)
            if not stdin.closed:
                stdin.write(str(self._grace_period if grace_period is None else grace_period).encode())
                stdin.close()

    def _copy_output(self, log: IO[bytes], on_line: Callable[[str], None] | None) -> None:
        with (
            os.fdopen(self._report, "rb") as report,
            log,
            cast("IO[bytes]", self._process.stdout) as output,
        ):
            while line := output.readline(_MAX_LINE_BYTES):
                log.write(line)
                if on_line is None:
                    continue
                try:
                    on_line(line.decode("utf-8", "replace").rstrip("\r\n"))
                except Exception:
                    # Nobody would read the pipe any more, and the command would wait for that.
                    _logger.exception("on_line failed for a line of %s", log.name)
            self._peak_memory = int(report.read() or 0) or None
