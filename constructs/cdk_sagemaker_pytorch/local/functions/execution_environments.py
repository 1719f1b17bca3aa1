"""Execution environments of Lambda functions: processes that run one invocation after another.

As on AWS an environment belongs to one function with one configuration, runs one invocation at a time, and
stays warm for the next: what the module made at import is still there. There are as many as there are
invocations at once. Unlike AWS's they are not frozen in between.
"""

import contextlib
import datetime as dt
import os
import select
import shutil
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cdk_sagemaker_pytorch.local.base.logs import LogStream
from cdk_sagemaker_pytorch.local.base.processes import SupervisedProcess
from cdk_sagemaker_pytorch.local.base.server_state import settings

from .layers import Layers

_IDLE_SECONDS = 120.0
_MOST_IDLE = 8  # of all functions: each holds some tens of MB
_POLL_SECONDS = 0.05
_END_SECONDS = 5.0


class RuntimeExitError(Exception):
    """The process ended before it answered; `status` is its exit code, -N for signal N."""

    def __init__(self, status: int) -> None:
        super().__init__(f"exit status {status}")
        self.status = status


@dataclass(frozen=True)
class Runtime:
    """What an environment is made of: equal ones can take each other's invocations.

    Parameters
    ----------
    function
        What it belongs to. It is compared by identity: a function that was deleted and made again with the
        same code does not meet its predecessor's environments.
    command
        Program and arguments that run invocations; the environment's folder is added.
    code
        Folders of the code, its own and those of layers; the first is the working folder.
    layers
        What it sees as /opt; None without layers.
    variables
        The environment variables, but for `TMPDIR` and the name of the log stream.
    log_group
        Name of the log group.
    log_path
        File that the output goes to as well.
    """

    function: object
    command: Sequence[str | os.PathLike[str]]
    code: Sequence[Path]
    layers: Layers | None
    variables: Mapping[str, str] = field(repr=False)
    log_group: str
    log_path: Path


class ExecutionEnvironment:
    """One process for invocations of a function, and its log stream.

    Parameters
    ----------
    runtime
        What runs in it.
    """

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        today = dt.datetime.now(dt.UTC).strftime("%Y/%m/%d")
        self.log_stream = LogStream(runtime.log_group, f"{today}/[$LATEST]{uuid.uuid4().hex}")
        self._lines: list[str] = []
        self._end_line: str | None = None
        self._ended = threading.Event()
        self._folder = Path(tempfile.mkdtemp(prefix="environment-", dir=settings().directory))
        (self._folder / "tmp").mkdir()
        for pipe in ("requests", "answers"):
            os.mkfifo(self._folder / pipe, mode=0o600)
        # Open for both ways: neither side waits for the other, and the process's end is no end of file here.
        self._requests = os.open(self._folder / "requests", os.O_RDWR)
        self._answers = os.open(self._folder / "answers", os.O_RDWR)
        self._process = SupervisedProcess(
            self._command(),
            cwd=runtime.code[0],
            env={
                **runtime.variables,
                "AWS_LAMBDA_LOG_STREAM_NAME": self.log_stream.stream,
                "TMPDIR": str(self._folder / "tmp"),
            },
            log_path=runtime.log_path,
            on_line=self._hear,
            grace_period=0.0,  # Lambda gives none either
            temporary_folders=[self._folder],
        )

    def _command(self) -> list[str]:
        command = [os.fspath(part) for part in (*self.runtime.command, self._folder)]
        view = self.runtime.layers.view(self._folder) if self.runtime.layers else None
        return view.command(command, self.runtime.code[0]) if view else command

    @property
    def runs(self) -> bool:
        """Whether it can take an invocation."""
        return self._process.poll() is None

    def invoke(self, invocation: str, request_id: str, timeout: float) -> str:
        """Run one invocation; `lines` has its output then.

        Parameters
        ----------
        invocation
            JSON, as the runtime takes it.
        request_id
            Its id, with which the runtime ends its output.
        timeout
            Seconds it may take.

        Returns
        -------
        str
            The answer, JSON.

        Raises
        ------
        TimeoutError
            If it takes longer; the environment is stopped.
        RuntimeExitError
            If the process ends without an answer.
        """
        deadline = time.monotonic() + timeout
        self._lines = []
        self._ended.clear()
        self._end_line = f"END RequestId: {request_id}"
        (self._folder / "invocation.json").write_text(invocation, encoding="utf-8")
        os.write(self._requests, b"\n")
        while not self._has_answered(_POLL_SECONDS):
            if time.monotonic() > deadline:
                self._process.stop()
                raise TimeoutError
            if not self.runs and not self._has_answered(0):
                raise RuntimeExitError(self._process.wait())
        os.read(self._answers, 1)
        try:
            answer = (self._folder / "answer.json").read_text(encoding="utf-8")
        except FileNotFoundError:  # it ended right after, and its folder with it
            raise RuntimeExitError(self._process.wait()) from None
        self._ended.wait(_END_SECONDS)  # the output comes by another way than the answer
        return answer

    @property
    def lines(self) -> list[str]:
        """Lines of output of the last invocation."""
        return self._lines

    def log(self, line: str) -> None:
        """Add a line to the output."""
        self._lines.append(line)
        self.log_stream.write(line)

    def stop(self) -> None:
        """End it and all it started."""
        self._process.stop()
        self.log_stream.close()
        os.close(self._requests)
        os.close(self._answers)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _has_answered(self, patience: float) -> bool:
        return bool(select.select([self._answers], [], [], patience)[0])

    def _hear(self, line: str) -> None:
        end = self._end_line
        if end is None or not line.endswith(end):
            self.log(line)
            return
        if rest := line.removesuffix(end):  # the function's last line had no end
            self.log(rest)
        self.log(end)
        self._ended.set()


class ExecutionEnvironments:
    """The environments of all functions; safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: dict[ExecutionEnvironment, threading.Timer] = {}  # the longest idle first

    @contextlib.contextmanager
    def environment(self, runtime: Runtime) -> Iterator[ExecutionEnvironment]:
        """Give an environment for an invocation: a warm one, else a new one.

        Idle ones of the same function with other code or another configuration end.
        """
        environment = self._take(runtime) or ExecutionEnvironment(runtime)
        try:
            yield environment
        finally:
            environment.log_stream.flush()
            self._give_back(environment)

    def _take(self, runtime: Runtime) -> ExecutionEnvironment | None:
        warm, outdated = None, []
        with self._lock:
            for environment in list(self._idle):
                if environment.runtime.function is not runtime.function:
                    continue
                if environment.runtime != runtime or not environment.runs:
                    outdated.append(environment)
                elif warm is None:
                    warm = environment
                else:
                    continue
                self._idle.pop(environment).cancel()
        for environment in outdated:
            environment.stop()
        return warm

    def _give_back(self, environment: ExecutionEnvironment) -> None:
        if not environment.runs:
            environment.stop()
            return
        timer = threading.Timer(_IDLE_SECONDS, self._end, [environment])
        timer.daemon = True
        surplus = []
        with self._lock:
            self._idle[environment] = timer
            while len(self._idle) > _MOST_IDLE:
                longest = next(iter(self._idle))
                self._idle.pop(longest).cancel()
                surplus.append(longest)
        timer.start()
        for other in surplus:
            other.stop()

    def _end(self, environment: ExecutionEnvironment) -> None:
        with self._lock:
            is_idle = self._idle.pop(environment, None) is not None
        if is_idle:
            environment.stop()
