"""One model on one model server: started on a free loopback port, ready when the model is loaded.

The server of each kind is a program beside this module, `ray_host.py` for example. It is told the folder of
the model, the port for HTTP, more free ports for what the server needs inside, a temporary folder, and a
file that it makes when the model is loaded. If the model does not load it ends with the reason on its output.
"""

import http.client
import importlib.util
import json
import os
import shlex
import shutil
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from cdk_sagemaker_pytorch.local.base.container_view import (
    CONTAINER_FOLDER,
    ContainerView,
    why_no_container_view,
)
from cdk_sagemaker_pytorch.local.base.error_message import error_message
from cdk_sagemaker_pytorch.local.base.processes import SupervisedProcess, free_port, host_environment
from cdk_sagemaker_pytorch.local.base.requirements import overlay_environment, pip_install_command

from .token_check import TOKEN_HEADER, TOKEN_VARIABLE

ServerKind = Literal["ray", "torchserve", "asgi", "elastic_inference"]

_CONTAINER_MODEL_DIR = f"{CONTAINER_FOLDER}/model"
_LINES_KEPT_FOR_FAILURE = 400
_POLL_SECONDS = 0.05
_GRACE_SECONDS = 3.0
_INSTALL_FAILED = 78  # what the command exits with then: EX_CONFIG of sysexits.h
_INTERNAL_PORTS = 4
# Path for requests and path for the health check: Ray's are where the container's proxy forwards to.
_PATHS: Mapping[ServerKind, tuple[str, str]] = {
    "ray": ("/", "/-/healthz"),
    "torchserve": ("/invocations", "/ping"),
    "asgi": ("/invocations", "/ping"),
    "elastic_inference": ("/invocations", "/ping"),
}


class ModelLoadError(RuntimeError):
    """A model server that did not come up; the text has the handler's own exception and the log's place."""


def torchserve_missing() -> list[str]:
    """Return what TorchServe needs and is not installed here; empty where it can run."""
    missing = [] if shutil.which("java") else ["java"]
    needed = {"ts": "torchserve", "sagemaker_pytorch_serving_container": "sagemaker-pytorch-inference"}
    return missing + [name for module, name in needed.items() if importlib.util.find_spec(module) is None]


class ModelServer:
    """A model server for one unpacked model.

    Parameters
    ----------
    kind
        "ray" for Ray Serve, "torchserve", "asgi" for a plain host of the model's handler functions, or
        "elastic_inference" for one whose torch takes an accelerator's name. Where TorchServe cannot run,
        "asgi" takes its place; the CPU takes that of an accelerator: `server_note` and the log say so.
    model_dir
        The unpacked model.tar.gz, with its code in `code/`: /opt/ml/model of the container.
    environment
        Variables of the container, AWS credentials and endpoint included. The server sees no other AWS
        settings. It sees `model_dir` as /opt/ml/model; where the system does not allow that, variables that
        begin with /opt/ml/model are changed to mean `model_dir`.
    log_path
        File that all output of the server goes to.
    startup_timeout
        Seconds until the model must be loaded. Defaults to 120.
    on_line
        Called from a thread with each line of log as it comes.
    token
        What requests must carry, in `headers`. Defaults to none: every user of the machine may ask.

    Attributes
    ----------
    kind
        The kind of server that really runs.
    server_note
        What a user should know about it, or None.
    failure_reason
        Why it did not start or stopped by itself, or None.
    """

    def __init__(
        self,
        kind: ServerKind,
        model_dir: Path,
        *,
        environment: Mapping[str, str],
        log_path: Path,
        startup_timeout: float = 120.0,
        on_line: Callable[[str], None] | None = None,
        token: str | None = None,
    ) -> None:
        if kind not in _PATHS:
            raise ValueError(f"kind must be one of {', '.join(_PATHS)}, got {kind!r}")
        if not model_dir.is_dir():
            raise ValueError(f"model_dir must be a folder, got {model_dir}")
        self.kind = kind
        self.server_note: str | None = None
        self.failure_reason: str | None = None
        self.log_path = log_path
        if kind == "torchserve" and (missing := torchserve_missing()):
            self.kind = "asgi"
            self.server_note = (
                f"a plain ASGI host in place of TorchServe: not installed: {', '.join(missing)}"
            )
        if kind == "elastic_inference":
            self.server_note = "this machine's CPU in place of the Elastic Inference accelerator"
        self._model_dir = model_dir.resolve()
        # What the server is told.
        self._seen_as = Path(_CONTAINER_MODEL_DIR) if why_no_container_view() is None else self._model_dir
        self._environment = environment
        self._startup_timeout = startup_timeout
        self._on_line = on_line
        self._token = token
        self._key_file: Path | None = None
        self._last_lines: deque[str] = deque(maxlen=_LINES_KEPT_FOR_FAILURE)
        self._port = free_port()
        self._lock = threading.Lock()
        self._process: SupervisedProcess | None = None
        self._stopped = False

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url_invocations(self) -> str:
        """URL that a request is POSTed to."""
        return f"http://127.0.0.1:{self._port}{_PATHS[self.kind][0]}"

    @property
    def headers(self) -> dict[str, str]:
        """Headers that requests must carry."""
        if self._token is None:
            return {}
        if self._key_file is not None:
            keys = json.loads(self._key_file.read_text(encoding="utf-8"))
            return {"Authorization": f"Bearer {keys['inference']['key']}"}
        return {TOKEN_HEADER: self._token}

    def start(self) -> Self:
        """Start the server and wait until the model is loaded.

        Raises
        ------
        ModelLoadError
            If requirements cannot be installed or the model does not load in time. Nothing is left
            running then.
        """
        if self.server_note:
            self._log(self.server_note)
        # Short, for Ray keeps sockets in it and their paths are limited to 107 bytes.
        work_dir = Path(tempfile.mkdtemp(prefix="sm-"))
        try:
            ready_file = work_dir / "ready"
            if self.kind == "torchserve":
                self._key_file = work_dir / "key_file.json"  # TorchServe makes keys of its own
            process = self._run(self._command(work_dir, ready_file), work_dir)
            self._wait_until_ready(process, ready_file)
        except BaseException:
            self.stop()
            shutil.rmtree(work_dir, ignore_errors=True)
            raise
        return self

    @property
    def ended(self) -> int | None:
        """Exit code of a server that ended by itself, None while it runs or was stopped."""
        with self._lock:
            return None if self._stopped or self._process is None else self._process.poll()

    def ping(self) -> bool:
        """Return whether the server's health check answers 200."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=2)
        try:
            connection.request("GET", _PATHS[self.kind][1], headers=self.headers)
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):  # nothing, or nothing that is HTTP
            return False
        finally:
            connection.close()

    def stop(self) -> None:
        """End the server and everything it started; safe to call from any thread, and again."""
        with self._lock:
            self._stopped = True
            process = self._process
        if process is not None:
            process.stop()

    def _command(self, work_dir: Path, ready_file: Path) -> list[str]:
        """Return the server's command; it installs code/requirements.txt first, for this server alone."""
        requirements = self._model_dir / "code" / "requirements.txt"
        python = overlay_environment(work_dir / "python") if requirements.exists() else Path(sys.executable)
        host = Path(__file__).with_name(f"{self.kind}_host.py")
        serve = [python, "-P", host, "--model-dir", self._seen_as, "--work-dir", work_dir]
        serve += ["--ready-file", ready_file, "--port", self._port]
        serve += ["--internal-ports", *(free_port() for _ in range(_INTERNAL_PORTS))]
        command = [str(argument) for argument in serve]
        if not requirements.exists():
            return command
        install = shlex.join(pip_install_command(python, "-r", str(requirements)))
        return ["/bin/sh", "-c", f"{install} || exit {_INSTALL_FAILED}; exec {shlex.join(command)}"]

    def _in_view(self, command: list[str], work_dir: Path) -> list[str]:
        """Return the command that starts a command which sees the model as /opt/ml/model."""
        if self._seen_as == self._model_dir:
            return command
        (work_dir / "ml" / "model").mkdir(parents=True)
        folders = {Path(CONTAINER_FOLDER): work_dir / "ml", self._seen_as: self._model_dir}
        view = ContainerView.make(folders, work_dir / "hosts")
        return view.command(command, self._seen_as)

    def _run(self, command: list[str], work_dir: Path) -> SupervisedProcess:
        with self._lock:
            if self._stopped:
                raise ModelLoadError("stopped while it was starting")
            self._process = SupervisedProcess(
                self._in_view(command, work_dir),
                cwd=self._model_dir,
                env=self._variables(),
                log_path=self.log_path,
                on_line=self._heard,
                grace_period=_GRACE_SECONDS,
                temporary_folders=[work_dir],
            )
            return self._process

    def _variables(self) -> dict[str, str]:
        model_dir = os.fspath(self._seen_as)
        given = {
            name: model_dir + value.removeprefix(_CONTAINER_MODEL_DIR)
            if value == _CONTAINER_MODEL_DIR or value.startswith(f"{_CONTAINER_MODEL_DIR}/")
            else value
            for name, value in self._environment.items()
        }
        python_path = [model_dir, os.path.join(model_dir, "code"), given.get("PYTHONPATH", "")]
        return {
            **host_environment(),
            **given,
            TOKEN_VARIABLE: self._token or "",
            "SM_MODEL_DIR": model_dir,
            "PYTHONPATH": os.pathsep.join(filter(None, python_path)),
        }

    def _wait_until_ready(self, process: SupervisedProcess, ready_file: Path) -> None:
        deadline = time.monotonic() + self._startup_timeout
        while time.monotonic() < deadline:
            if ready_file.exists() and self.ping():
                return
            try:
                returncode = process.wait(_POLL_SECONDS)
            except TimeoutError:
                continue
            if self._stopped:
                raise ModelLoadError("stopped while it was starting")
            if returncode == _INSTALL_FAILED:
                raise self._failed("InstallRequirementsError: code/requirements.txt cannot be installed")
            raise self._failed(f"the model did not load, the {self.kind} server ended with code {returncode}")
        raise self._failed(f"the model was not loaded after {self._startup_timeout:g} seconds")

    def _failed(self, what: str) -> ModelLoadError:
        self.failure_reason = f"{what}: {error_message(self._last_lines)} (log: {self.log_path})"
        return ModelLoadError(self.failure_reason)

    def _heard(self, line: str) -> None:
        self._last_lines.append(line)
        if self._on_line is not None:
            self._on_line(line)

    def _log(self, line: str) -> None:
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        with self.log_path.open("a", encoding="utf-8") as log:
            log.write(f"{line}\n")
        self._heard(line)
