"""Run one training job as SageMaker does: a folder laid out as /opt/ml and a process for each host."""

import os
import shlex
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from importlib import metadata
from pathlib import Path
from typing import Literal

from cdk_sagemaker_pytorch.local.base.archives import ArchiveError, pack_folder, unpack_archive
from cdk_sagemaker_pytorch.local.base.container_view import (
    CONTAINER_FOLDER,
    ContainerView,
    why_no_container_view,
)
from cdk_sagemaker_pytorch.local.base.error_message import error_message
from cdk_sagemaker_pytorch.local.base.processes import SupervisedProcess, free_port, host_environment
from cdk_sagemaker_pytorch.local.base.requirements import overlay_environment, pip_install_command

from .environment import TrainingEnvironment
from .failure import TrainingError, failure_reason
from .failure_summary import ScriptEnd, installer_summary
from .folders import HostFolders
from .hard_coded_paths import find_hard_coded_paths
from .host_names import find_host_names
from .spec import StopReason, TrainingJobSpec, TrainingResult

_CHANNEL_SETTINGS = {
    "TrainingInputMode": "File",
    "S3DistributionType": "FullyReplicated",
    "RecordWrapperType": "None",
}
_LINES_KEPT_FOR_FAILURE = 400
# The other hosts of a failed job have nothing to save; torchrun would wait long for the lost one.
_GRACE_SECONDS_AFTER_FAILURE = 1.0
_SECONDS_FOR_THE_REASON = 5.0

OnHostLine = Callable[[str, str], None]


class TrainingRun:
    """One run of a training job.

    Parameters
    ----------
    spec
        What to run.
    job_dir
        Folder of this run alone: made, and left for the caller to read and remove. Each host has a
        folder in it, laid out as /opt/ml.
    on_line
        Called with host and line for each line of log as it comes, from one thread for each host.
    grace_period
        Seconds between SIGTERM and SIGKILL when the job is stopped. Defaults to SageMaker's 120.
    """

    def __init__(
        self,
        spec: TrainingJobSpec,
        job_dir: Path,
        *,
        on_line: OnHostLine | None = None,
        grace_period: float = 120.0,
    ) -> None:
        self.spec = spec
        self.job_dir = job_dir.resolve()
        self.log_paths = {host: self.job_dir / "logs" / f"{host}.log" for host in spec.hosts}
        self._folders = {host: HostFolders(self.job_dir / host) for host in spec.hosts}
        self._why_no_view = why_no_container_view()
        self._on_line = on_line
        self._grace_period = grace_period
        self._last_lines: dict[str, deque[str]] = {
            host: deque(maxlen=_LINES_KEPT_FOR_FAILURE) for host in spec.hosts
        }
        self._peaks: dict[str, int | None] = {}
        self._lock = threading.Lock()
        self._processes: list[SupervisedProcess] = []
        self._stopping: StopReason | None = None
        self._ended = False  # nothing is started any more

    def checkpoint_folder(self, host: str) -> Path:
        """Return the folder of a host's checkpoints on this machine."""
        path = self.spec.checkpoint_path
        if path.is_relative_to(CONTAINER_FOLDER):
            return self._folders[host].base / path.relative_to(CONTAINER_FOLDER)
        return self.job_dir / f"{host}-checkpoints"

    def run(self) -> TrainingResult:
        """Run the job to its end. What goes wrong in it becomes the result, not an exception."""
        started = time.monotonic()
        deadline = threading.Timer(self.spec.max_runtime_seconds, self.stop, ["MaxRuntimeExceeded"])
        deadline.daemon = True
        deadline.start()
        failure: TrainingError | None = None
        exit_code: int | None = 0
        try:
            environments = self._prepare()
            python = self._install(environments[self.spec.hosts[0]])
            self._run_hosts(environments, python)
        except TrainingError as error:
            failure, exit_code = error, error.exit_code
        finally:
            deadline.cancel()
        status: Literal["Completed", "Failed", "Stopped"]
        if self._stopping is not None:
            status, reason, exit_code = "Stopped", None, None
        else:
            status, reason = "Completed" if failure is None else "Failed", self._report(failure)
        keeps = self._stopping != "Interrupted"  # the instances are gone, with what is on them
        return TrainingResult(
            status=status,
            secondary_status=self._stopping or status,
            failure_reason=reason,
            exit_code=exit_code,
            model_archive=self._pack("model") if keeps and status != "Failed" else None,
            output_archive=self._pack("output") if keeps else None,
            log_paths=self.log_paths,
            seconds=time.monotonic() - started,
            killed=any(process.returncode == -signal.SIGKILL for process in self._processes),
        )

    def stop(self, reason: StopReason = "Stopped", grace_period: float | None = None) -> None:
        """Begin to stop the job, from any thread: `run` then returns a result with status Stopped.

        Parameters
        ----------
        reason
            The secondary status of the result.
        grace_period
            Seconds between SIGTERM and SIGKILL. Defaults to that of the run.
        """
        with self._lock:
            if self._stopping is None:
                self._stopping = reason
        self._end_processes(self._grace_period if grace_period is None else grace_period)

    def _end_processes(self, grace_period: float) -> None:
        with self._lock:
            self._ended = True
            for process in self._processes:
                process.terminate(grace_period)

    def _prepare(self) -> dict[str, TrainingEnvironment]:
        for log_path in self.log_paths.values():
            log_path.parent.mkdir(parents=True, exist_ok=True)
            log_path.touch()
        master_port = free_port()
        environments = {}
        for host, folders in self._folders.items():
            folders.make()
            self.checkpoint_folder(host).mkdir(parents=True, exist_ok=True)
            try:
                unpack_archive(self.spec.source_archive, folders.code)
            except ArchiveError as error:
                raise TrainingError("ClientError", message=str(error)) from error
            for name, data in self.spec.channels.items():
                (folders.data / name).symlink_to(data.resolve(), target_is_directory=True)
            environments[host] = TrainingEnvironment(
                job_name=self.spec.name,
                folders=folders,
                hyperparameters=self.spec.hyperparameters,
                entry_point=self.spec.program,
                hosts=self.spec.hosts,
                current_host=host,
                instance_type=self.spec.instance_type,
                region=self.spec.region,
                master_address="127.0.0.1",
                master_port=master_port,
                input_data_config={
                    name: self.spec.input_data_config.get(name, _CHANNEL_SETTINGS)
                    for name in self.spec.channels
                },
                through_shell=self.spec.through_shell,
                seen_as=None if self._why_no_view else CONTAINER_FOLDER,
            )
            environments[host].write_config_files()
        if self._why_no_view is not None:
            self._check_without_view(self._why_no_view)
        return environments

    def _check_without_view(self, reason: str) -> None:
        """Refuse a script that would write to the machine's own /opt/ml, and say what else is not there."""
        host = self.spec.hosts[0]
        if not self.spec.checkpoint_path.is_relative_to(CONTAINER_FOLDER):
            raise TrainingError(
                "ClientError",
                message=f"checkpoints must be below {CONTAINER_FOLDER}, as this system does not let the local"
                f" AWS give a job folders of its own ({reason}), got {self.spec.checkpoint_path}",
            )
        if places := find_hard_coded_paths(self._folders[host].code):
            raise TrainingError(
                "ClientError",
                message=f"{CONTAINER_FOLDER} is written in {', '.join(places)}, {_no_view(reason)}",
            )
        if len(self.spec.hosts) == 1:
            return
        unresolved = (
            f"{', '.join(self.spec.hosts)} do not resolve here, as this system does not allow it ({reason}):"
            " use MASTER_ADDR and MASTER_PORT as they are set"
        )
        if places := find_host_names(self._folders[host].code):
            raise TrainingError(
                "ClientError",
                message=f"{', '.join(places)} would wait for a host by its name, but {unresolved}",
            )
        self._log(host, f"The names {unresolved}")

    def _install(self, environment: TrainingEnvironment) -> str:
        """Install what the source code asks for, for all hosts; return the interpreter that sees it."""
        code = environment.folders.code
        requirements = ["-r", "requirements.txt"] if (code / "requirements.txt").exists() else []
        if environment.entry_point_type == "command":
            return sys.executable
        if environment.entry_point_type == "package":
            error_name, arguments = "InstallModuleError", [".", *requirements]
        elif requirements:
            error_name, arguments = "InstallRequirementsError", requirements
        else:
            return sys.executable
        python = overlay_environment(self.job_dir / "python")
        command = pip_install_command(python, *arguments)
        host = environment.current_host
        variables = {**host_environment(), **self.spec.environment}
        returncode = self._run_process(host, command, environment, variables)
        if returncode:
            message = error_message(self._last_lines[host])
            summary = installer_summary(list(self._last_lines[host]))
            raise TrainingError(error_name, returncode, message, shlex.join(command), summary=summary)
        return str(python)

    def _run_hosts(self, environments: Mapping[str, TrainingEnvironment], python: str) -> None:
        """Run the script on all hosts at once; the first that fails ends the others."""
        with ThreadPoolExecutor(len(environments)) as pool:
            running: set[Future[None]] = {
                pool.submit(self._run_script, environment, python) for environment in environments.values()
            }
            while running:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                failures = _failures(done)
                if failures:
                    if all(getattr(failure, "is_for_lost_peer", False) for failure in failures):
                        # The host that is the reason may take a moment longer to say so.
                        failures += _failures(wait(running, timeout=_SECONDS_FOR_THE_REASON).done)
                    self._end_processes(_GRACE_SECONDS_AFTER_FAILURE)
                    raise min(failures, key=lambda failure: getattr(failure, "is_for_lost_peer", False))

    def _run_script(self, environment: TrainingEnvironment, python: str) -> None:
        host = environment.current_host
        code = environment.folders.code
        try:
            command = environment.command(python)
        except ValueError as error:
            raise TrainingError("ClientError", message=str(error)) from error
        if environment.entry_point_type == "command" and (script := code / environment.entry_point).exists():
            script.chmod(0o755)
        variables = {**host_environment(), **self.spec.environment, **environment.variables()}
        python_path = [os.fspath(environment.seen.code), self.spec.environment.get("PYTHONPATH", "")]
        variables["PYTHONPATH"] = os.pathsep.join(filter(None, python_path))
        variables["PATH"] = f"{Path(python).parent}{os.pathsep}{variables['PATH']}"
        variables.update(_torch_version())
        text = " ".join(command) if environment.through_shell else shlex.join(command)
        self._log(host, f"Invoking script with the following command: {text}")
        returncode = self._run_process(host, environment.started_as(command), environment, variables)
        if returncode:
            raise self._script_error(host, returncode, " ".join(command))

    def _script_error(self, host: str, exit_code: int, command: str) -> TrainingError:
        lines = list(self._last_lines[host])
        message = error_message(lines)
        end = ScriptEnd(lines, exit_code, self._peaks[host], host if len(self.spec.hosts) > 1 else "")
        hint = ""
        if self._why_no_view is not None and f"{CONTAINER_FOLDER}" in message:
            hint = f", {_no_view(self._why_no_view)}"
        return TrainingError(
            "ExecuteUserScriptError",
            exit_code,
            message,
            command,
            host,
            f"{end.summary}{hint}",
            is_for_lost_peer=end.is_for_lost_peer,
        )

    def _run_process(
        self, host: str, command: list[str], environment: TrainingEnvironment, variables: Mapping[str, str]
    ) -> int:
        """Run a command in the code folder, as the host sees it."""
        if self._why_no_view is None:
            command = self._view(environment).command(command, environment.seen.code)
        with self._lock:
            if self._ended:
                return 0
            process = SupervisedProcess(
                command,
                cwd=environment.folders.code,
                env=variables,
                log_path=self.log_paths[host],
                on_line=lambda line: self._heard(host, line),
                grace_period=self._grace_period,
            )
            self._processes.append(process)
        returncode = process.wait()
        self._peaks[host] = process.peak_memory
        return 0 if self._stopping is not None else returncode

    def _view(self, environment: TrainingEnvironment) -> ContainerView:
        """Return what a host sees as its own; each has an address of this machine of its own."""
        host, path = environment.current_host, self.spec.checkpoint_path
        numbers = range(1, len(self.spec.hosts) + 1)
        folders = {CONTAINER_FOLDER: environment.folders.base}
        if not path.is_relative_to(CONTAINER_FOLDER):
            folders[path] = self.checkpoint_folder(host)
        return ContainerView.make(
            folders,
            self.job_dir / f"{host}.hosts",
            {f"algo-{number}": f"127.0.{number // 256}.{number % 256}" for number in numbers},
        )

    def _heard(self, host: str, line: str) -> None:
        self._last_lines[host].append(line)
        if self._on_line is not None:
            self._on_line(host, line)

    def _log(self, host: str, text: str) -> None:
        with self.log_paths[host].open("a", encoding="utf-8") as log:
            log.write(f"{text}\n")
        if self._on_line is not None:
            for line in text.splitlines():
                self._on_line(host, line)

    def _report(self, failure: TrainingError | None) -> str | None:
        """Leave the file success or failure, as the toolkit does; return SageMaker's failure reason."""
        if failure is None:
            for host, folders in self._folders.items():
                (folders.output / "success").touch()
                self._log(host, "Reporting training SUCCESS")
            return None
        host = failure.host or self.spec.hosts[0]
        file = self._folders[host].output / "failure"
        wrote_none = not file.exists()
        if wrote_none:  # a script may have written its own
            file.write_text(str(failure), encoding="utf-8")
        first = f": {failure.summary}" if failure.summary else ""
        self._log(host, f"Reporting training FAILURE{first}\n{failure}")
        return failure_reason(file, failure.summary if wrote_none else "")

    def _pack(self, name: Literal["model", "output"]) -> Path:
        """Pack this folder of all hosts into one archive, as SageMaker does."""
        archive = self.job_dir / f"{name}.tar.gz"
        folders = [getattr(folders, name) for folders in self._folders.values()]
        if len(folders) > 1:
            merged = self.job_dir / f"merged-{name}"
            for host, folder in zip(self._folders, folders, strict=True):
                for clash in _merge(folder, merged):
                    self._log(host, f"{name}/{clash} is left out: another host wrote that file too")
            folders = [merged]
        folders[0].mkdir(parents=True, exist_ok=True)
        pack_folder(folders[0], archive)
        return archive


def _failures(ended: set[Future[None]]) -> list[BaseException]:
    return [error for future in ended if (error := future.exception()) is not None]


def _no_view(reason: str) -> str:
    return (
        f"and this system does not let the local AWS give a job a {CONTAINER_FOLDER} of its own ({reason}):"
        " use SM_MODEL_DIR, SM_CHANNEL_* and the other variables, which lead to the job's folders here and"
        " on AWS"
    )


def _torch_version() -> dict[str, str]:
    try:
        return {"SM_DLC_TORCH_VERSION": metadata.version("torch")}
    except metadata.PackageNotFoundError:
        return {}


def _merge(source: Path, target: Path) -> list[Path]:
    """Link the files below `source` into `target`; return those that were there with other content."""
    clashes = []
    target.mkdir(parents=True, exist_ok=True)
    for file in sorted(source.rglob("*")):
        destination = target / file.relative_to(source)
        if file.is_dir():
            destination.mkdir(exist_ok=True)
        elif not file.exists():
            continue  # a link to nothing
        elif not destination.exists():
            os.link(file.resolve(), destination)
        elif file.read_bytes() != destination.read_bytes():
            clashes.append(file.relative_to(source))
    return clashes
