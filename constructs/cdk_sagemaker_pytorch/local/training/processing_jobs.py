"""Processing jobs of the local AWS: the entry point really runs, on this machine."""

import datetime as dt
import logging
import shutil
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cdk_sagemaker_pytorch.images.image_description import describe_image
from cdk_sagemaker_pytorch.local.base import s3_transfer
from cdk_sagemaker_pytorch.local.base.container_view import (
    CONTAINER_FOLDER,
    ContainerView,
    why_no_container_view,
)
from cdk_sagemaker_pytorch.local.base.logs import LogStream
from cdk_sagemaker_pytorch.local.base.path_parts import path_part
from cdk_sagemaker_pytorch.local.base.processes import (
    SupervisedProcess,
    host_environment,
    without_leads_elsewhere,
)
from cdk_sagemaker_pytorch.local.base.sagemaker_records import ValidationError, refuse_any, sagemaker_arn
from cdk_sagemaker_pytorch.local.base.server_state import aws_environment, client, settings
from cdk_sagemaker_pytorch.local.iam.access import RoleError, role_credentials

from .failure import JobError
from .hard_coded_paths import find_hard_coded_paths

_LOG_GROUP = "/aws/sagemaker/ProcessingJobs"
_CONTAINER_ROOT = f"{CONTAINER_FOLDER}/"
_MAX_REASON = 1024  # of DescribeProcessingJob, for both texts
_DEFAULT_MAX_RUNTIME_S = 86_400.0

_logger = logging.getLogger(__name__)


class ProcessingJob:
    """A processing job, from CreateProcessingJob to its end.

    Its process sees the job's folder as `/opt/ml`. Where the system does not allow that, it is told the
    folder on this machine where the request says `/opt/ml/`: in entry point, arguments and variables.

    Parameters
    ----------
    request
        The parameters of CreateProcessingJob.

    Raises
    ------
    ValidationError
        If the local AWS cannot run it.
    """

    def __init__(self, request: dict[str, Any]) -> None:
        self.name: str = request["ProcessingJobName"]
        self.arn = sagemaker_arn("processing-job", self.name)
        self.tags: list[dict[str, str]] = request.pop("Tags", None) or []
        self.request = request
        _check(request)
        self.status = "InProgress"
        self.creation_time = self.last_modified_time = _now()
        self._start_time: dt.datetime | None = None
        self._end_time: dt.datetime | None = None
        self._failure_reason: str | None = None
        self._exit_message: str | None = None
        self._lock = threading.Lock()
        self._process: SupervisedProcess | None = None

    @property
    def directory(self) -> Path:
        """Folder of the job on this machine."""
        return settings().directory / "processing" / path_part(self.name)

    @property
    def folder(self) -> Path:
        """The container's `/opt/ml`, on this machine."""
        return self.directory / "ml"

    def start(self) -> None:
        """Begin to run, in the background."""
        threading.Thread(target=self._run, name=f"processing-{self.name}", daemon=True).start()

    def stop(self) -> None:
        """Begin to stop."""
        with self._lock:
            if self.status != "InProgress":
                raise ValidationError(
                    f"The request was rejected because the processing job is in status {self.status}."
                )
            self.status = "Stopping"
            if self._process is not None:
                self._process.terminate()

    def describe(self) -> dict[str, Any]:
        """Return the answer of DescribeProcessingJob."""
        description = self.request | {
            "ProcessingJobArn": self.arn,
            "ProcessingJobStatus": self.status,
            "ExitMessage": self._exit_message,
            "FailureReason": self._failure_reason,
            "CreationTime": self.creation_time,
            "LastModifiedTime": self.last_modified_time,
            "ProcessingStartTime": self._start_time,
            "ProcessingEndTime": self._end_time,
        }
        return {name: value for name, value in description.items() if value is not None}

    def summary(self) -> dict[str, Any]:
        """Return the entry of ListProcessingJobs."""
        names = ("Name", "Arn", "Status")
        description = self.describe()
        return {f"ProcessingJob{name}": description[f"ProcessingJob{name}"] for name in names} | {
            name: description[name]
            for name in (
                "CreationTime",
                "ProcessingEndTime",
                "LastModifiedTime",
                "ExitMessage",
                "FailureReason",
            )
            if name in description
        }

    def _run(self) -> None:
        try:
            # Names are used once; what is there is of an earlier start of the local AWS.
            shutil.rmtree(self.directory, ignore_errors=True)
            reason = self._run_to_the_end()
        except (JobError, RoleError) as error:
            reason = f"ClientError: {error}"
        except Exception as error:
            _logger.exception("processing job %s", self.name)
            reason = f"InternalServerError: {error}"
        with self._lock:
            self._end_time = self.last_modified_time = _now()
            message = self.folder / "output" / "message"
            if message.is_file():
                self._exit_message = message.read_text(errors="replace")[:_MAX_REASON]
            if self.status == "Stopping":
                self.status = "Stopped"
            elif reason is None:
                self.status = "Completed"
            else:
                self._failure_reason = reason[:_MAX_REASON]
                self.status = "Failed"

    def _run_to_the_end(self) -> str | None:
        """Run the container's command; return why it failed, or None."""
        credentials = role_credentials(
            self.request["RoleArn"], service="sagemaker.amazonaws.com", session_name="SageMaker"
        )
        s3 = client("s3", credentials)
        for folder in ("processing", "output"):
            (self.folder / folder).mkdir(parents=True, exist_ok=True)
        for source in self.request.get("ProcessingInputs") or []:
            self._download(s3, source)
        outputs = (self.request.get("ProcessingOutputConfig") or {}).get("Outputs", [])
        for output in outputs:
            self._local(output["S3Output"]["LocalPath"]).mkdir(parents=True, exist_ok=True)
        command = self._command()
        given = without_leads_elsewhere(self.request.get("Environment") or {})
        environment = host_environment() | {name: self._told(value) for name, value in given.items()}
        environment |= aws_environment(
            credentials, region=settings().region, endpoint_url=settings().endpoint_url
        )
        temporary = self.directory / "tmp"
        temporary.mkdir(exist_ok=True)
        limit = float(
            (self.request.get("StoppingCondition") or {}).get("MaxRuntimeInSeconds", _DEFAULT_MAX_RUNTIME_S)
        )
        log_file = settings().logs_directory / "processing" / f"{path_part(self.name)}.log"
        with LogStream(_LOG_GROUP, f"{self.name}/algo-1-{int(time.time())}") as stream:
            with self._lock:
                if self.status == "Stopping":
                    return None
                self._start_time = self.last_modified_time = _now()
                self._process = SupervisedProcess(
                    command,
                    cwd=self.folder,
                    env=environment | {"TMPDIR": str(temporary)},
                    log_path=log_file,
                    on_line=stream.write,
                    temporary_folders=[temporary],
                )
            try:
                code = self._process.wait(limit)
            except TimeoutError:
                self._process.stop()
                return f"AlgorithmError: MaxRuntimeExceeded: stopped after {limit:g} seconds"
        for output in outputs if code == 0 else []:
            self._upload(s3, output["S3Output"])
        return None if code == 0 else f"AlgorithmError: See job logs for more information, exit code: {code}"

    def _command(self) -> list[str]:
        specification = self.request["AppSpecification"]
        command = [
            self._told(part)
            for part in (
                *specification["ContainerEntrypoint"],
                *specification.get("ContainerArguments", []),
            )
        ]
        reason = why_no_container_view()
        if reason is None:
            folders = {CONTAINER_FOLDER: self.folder}
            view = ContainerView.make(folders, self.directory / "hosts", {"algo-1": "127.0.0.1"})
            return view.command(command)
        own = f"{self.folder}/"
        scripts = [Path(part) for part in command if part.startswith(own) and Path(part).is_file()]
        if places := [place for script in scripts for place in find_hard_coded_paths(script.parent)]:
            raise JobError(
                f"{CONTAINER_FOLDER} is written in {', '.join(places)}, and this system does not let the"
                f" local AWS give a job a {CONTAINER_FOLDER} of its own ({reason}): hand the folders over as"
                " arguments or variables of the job, where they are replaced"
            )
        return command

    def _told(self, text: str) -> str:
        """Return a text of the request as the process is told it."""
        return text if why_no_container_view() is None else self._here(text)

    def _here(self, text: str) -> str:
        return text.replace(_CONTAINER_ROOT, f"{self.folder}/")

    def _local(self, container_path: str) -> Path:
        path = Path(self._here(container_path)).resolve()
        if not path.is_relative_to(self.folder.resolve()):
            raise JobError(f"LocalPath must be below /opt/ml/processing, got {container_path}")
        return path

    def _download(self, s3: Any, source: Mapping[str, Any]) -> None:
        place = source["S3Input"]
        try:
            keys = s3_transfer.list_keys(s3, place["S3Uri"])
            if not keys:
                raise JobError(f"no S3 objects found under {place['S3Uri']} of {source['InputName']}")
            s3_transfer.download_keys(s3, place["S3Uri"], keys, self._local(place["LocalPath"]))
        except s3_transfer.TRANSFER_ERRORS as error:
            raise JobError(
                f"Data download failed: input {source['InputName']}, S3 URL {place['S3Uri']}: {error}"
            ) from error

    def _upload(self, s3: Any, output: Mapping[str, Any]) -> None:
        try:
            s3_transfer.upload_folder(s3, self._local(output["LocalPath"]), output["S3Uri"])
        except s3_transfer.TRANSFER_ERRORS as error:
            raise JobError(f"cannot upload to {output['S3Uri']}: {error}") from error


def _check(request: Mapping[str, Any]) -> None:
    specification = request["AppSpecification"]
    problems = []
    described = describe_image(specification["ImageUri"])
    if described is None or described.scope == "inference":
        problems.append(
            f"ImageUri must be one of AWS's PyTorch training images, got {specification['ImageUri']}"
        )
    entrypoint = specification.get("ContainerEntrypoint")
    if not entrypoint:
        problems.append("AppSpecification must have a ContainerEntrypoint: the image's own is not known here")
    elif shutil.which(entrypoint[0], path=host_environment()["PATH"]) is None:
        problems.append(f"ContainerEntrypoint must begin with a program of this machine, got {entrypoint[0]}")
    if request["ProcessingResources"]["ClusterConfig"]["InstanceCount"] != 1:
        problems.append("InstanceCount must be 1 on the local AWS")
    for source in request.get("ProcessingInputs") or []:
        place = source.get("S3Input")
        if place is None or place["S3DataType"] != "S3Prefix" or "LocalPath" not in place:
            problems.append(
                f"ProcessingInputs must be S3Input of S3DataType S3Prefix with a LocalPath, got {source}"
            )
    problems += (
        f"ProcessingOutputConfig must have S3Output alone, got {output}"
        for output in (request.get("ProcessingOutputConfig") or {}).get("Outputs", [])
        if "S3Output" not in output
    )
    refuse_any(problems)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
