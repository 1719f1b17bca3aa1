"""Training jobs of the local AWS: the script really trains, under `training_runner`."""

import contextlib
import datetime as dt
import logging
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from cdk_sagemaker_pytorch.images.image_description import describe_image
from cdk_sagemaker_pytorch.local.base import s3_transfer
from cdk_sagemaker_pytorch.local.base.archives import unpack_archive
from cdk_sagemaker_pytorch.local.base.logs import LogStream
from cdk_sagemaker_pytorch.local.base.path_parts import path_part
from cdk_sagemaker_pytorch.local.base.processes import without_leads_elsewhere
from cdk_sagemaker_pytorch.local.base.sagemaker_records import ValidationError, sagemaker_arn
from cdk_sagemaker_pytorch.local.base.server_state import Credentials, aws_environment, client, settings
from cdk_sagemaker_pytorch.local.iam.access import role_credentials

from .attempts import Attempts, Interruption, is_spot
from .channels import download_channel
from .checkpoints import CHECKPOINT_ERRORS, CheckpointSync
from .environment import TrainingEnvironment
from .failure import JobError
from .hyperparameters import decode_hyperparameters
from .metrics import MetricReader
from .request_rules import check_training_request, checkpoint_path
from .runner import TrainingRun
from .spec import StopReason, TrainingJobSpec, TrainingResult
from .warm_pools import WarmPool

_LOG_GROUP = "/aws/sagemaker/TrainingJobs"
_MAX_FAILURE_REASON = 1024  # of DescribeTrainingJob
_CHANNELS = "/opt/ml/input/data/"

_logger = logging.getLogger(__name__)


class TrainingJob:
    """A training job, from CreateTrainingJob to its end.

    Parameters
    ----------
    request
        The parameters of CreateTrainingJob.

    Raises
    ------
    ValidationError
        If SageMaker would not take the request.
    """

    def __init__(self, request: dict[str, Any]) -> None:
        self.name: str = request["TrainingJobName"]
        self.arn = sagemaker_arn("training-job", self.name)
        self.tags: list[dict[str, str]] = request.pop("Tags", None) or []
        self.request = request
        check_training_request(request)
        self.creation_time = self.last_modified_time = _now()
        self.status = "InProgress"
        self.secondary_status = "Starting"
        self._transitions: list[dict[str, Any]] = []
        self._start_time: dt.datetime | None = None
        self._end_time: dt.datetime | None = None
        self._failure_reason: str | None = None
        self._metrics = MetricReader(
            self.name, request["AlgorithmSpecification"].get("MetricDefinitions", [])
        )
        self._lock = threading.Lock()
        self._run: TrainingRun | None = None
        self._attempts = Attempts.of(request)
        self.warm_pool = WarmPool(request)
        self._interruption: Interruption | None = None
        self._stopped = threading.Event()
        self._enter("Starting", "Starting the training job")

    @property
    def directory(self) -> Path:
        """Folder of the job on this machine."""
        return settings().directory / "training" / path_part(self.name)

    @property
    def logs_directory(self) -> Path:
        """Folder of the log of each host."""
        return settings().logs_directory / "training" / path_part(self.name)

    @property
    def model_uri(self) -> str:
        """Where the model artifact goes: the archive, or the prefix of an uncompressed one."""
        return f"{self._output_uri}/{'model.tar.gz' if self._compressed else 'model/'}"

    @property
    def _compressed(self) -> bool:
        return bool(self.request["OutputDataConfig"].get("CompressionType") != "NONE")

    @property
    def _output_uri(self) -> str:
        return f"{self.request['OutputDataConfig']['S3OutputPath'].rstrip('/')}/{self.name}/output"

    @property
    def _through_shell(self) -> bool:
        image = describe_image(self.request["AlgorithmSpecification"]["TrainingImage"])
        return image is not None and image.argument_passing == "shell"

    def start(self) -> None:
        """Begin to train, in the background."""
        threading.Thread(target=self._train, name=f"training-{self.name}", daemon=True).start()

    def stop(self) -> None:
        """Begin to stop; the artifacts so far are saved, as SageMaker does."""
        with self._lock:
            if self.status != "InProgress":
                raise ValidationError(
                    f"The request was rejected because the training job is in status {self.status}."
                )
            self.status = "Stopping"
            self._stopped.set()
            if self._run is not None:
                self._run.stop()
        self._enter("Stopping", "Stopping the training job")

    def update(self, resources: Mapping[str, Any]) -> None:
        """Keep the job's instances for longer or shorter.

        Parameters
        ----------
        resources
            ResourceConfig of UpdateTrainingJob.

        Raises
        ------
        ValidationError
            If it has no warm pool any more.
        """
        seconds = resources["KeepAlivePeriodInSeconds"]
        try:
            self.warm_pool.update(seconds)
        except ValueError as error:
            raise ValidationError(f"The training job {self.name} cannot be updated: {error}.") from error
        self.request["ResourceConfig"]["KeepAlivePeriodInSeconds"] = seconds

    def interrupt(self, interruption: Interruption) -> None:
        """Do what a reclaimed spot instance does: end the script, and begin again in new containers.

        Raises
        ------
        ValidationError
            If the job has no spot instances, or does not train at the moment.
        """
        if not is_spot(self.request):
            raise ValidationError(
                f"The training job {self.name} cannot be interrupted: EnableManagedSpotTraining is not set."
            )
        with self._lock:
            if self._run is None or self.secondary_status != "Training":
                raise ValidationError(
                    f"The training job {self.name} cannot be interrupted: it must be Training, and is"
                    f" {self.secondary_status}."
                )
            self._interruption = interruption
            self._run.stop("Interrupted", interruption.grace_seconds)

    def describe(self) -> dict[str, Any]:
        """Return the answer of DescribeTrainingJob."""
        # At least one, as the API has them.
        trained = max(1, int(self._attempts.trained_seconds)) if self._start_time and self._end_time else None
        seconds = (
            max(1, int(((self._end_time or _now()) - self._start_time).total_seconds()))
            if self._start_time
            else None
        )
        description = self.request | {
            "OutputDataConfig": {"KmsKeyId": ""} | self.request["OutputDataConfig"],  # as AWS does
            "TrainingJobArn": self.arn,
            "TrainingJobStatus": self.status,
            "SecondaryStatus": self.secondary_status,
            "SecondaryStatusTransitions": [dict(transition) for transition in self._transitions],
            "ModelArtifacts": {"S3ModelArtifacts": self.model_uri},
            "FailureReason": self._failure_reason,
            "CreationTime": self.creation_time,
            "TrainingStartTime": self._start_time,
            "TrainingEndTime": self._end_time,
            "LastModifiedTime": self.last_modified_time,
            "FinalMetricDataList": self._metrics.final() or None,
            "TrainingTimeInSeconds": seconds,
            "BillableTimeInSeconds": trained,
            "WarmPoolStatus": self.warm_pool.describe(),
        }
        return {name: value for name, value in description.items() if value is not None}

    def summary(self) -> dict[str, Any]:
        """Return the entry of ListTrainingJobs."""
        names = ("TrainingJobName", "TrainingJobArn", "CreationTime", "TrainingEndTime", "LastModifiedTime")
        description = self.describe()
        return {
            name: description[name]
            for name in (*names, "TrainingJobStatus", "SecondaryStatus", "WarmPoolStatus")
            if name in description
        }

    def _enter(self, secondary_status: str, message: str) -> None:
        now = _now()
        if self._transitions:
            self._transitions[-1].setdefault("EndTime", now)
        transition = {"Status": secondary_status, "StartTime": now, "StatusMessage": message}
        self._transitions.append(transition)
        self.secondary_status = secondary_status
        self.last_modified_time = now

    def _train(self) -> None:
        try:
            self._train_to_the_end()
        except JobError as error:
            self._end("Failed", str(error))
        except Exception as error:
            _logger.exception("training job %s", self.name)
            self._end("Failed", f"InternalServerError: {error}")

    def _train_to_the_end(self) -> None:
        # Names are used once; what is there is of an earlier start of the local AWS.
        shutil.rmtree(self.directory, ignore_errors=True)
        credentials = role_credentials(
            self.request["RoleArn"], service="sagemaker.amazonaws.com", session_name="SageMaker"
        )
        s3 = client("s3", credentials)
        result = self._attempt(s3, credentials)
        while result.secondary_status == "Interrupted":
            stopped_for = self._wait_for_capacity()
            if stopped_for is not None:
                self._end("Stopped", None, stopped_for)
                return
            self._enter("Starting", "Starting the training job on new spot instances")
            shutil.rmtree(self.directory)
            result = self._attempt(s3, credentials)
        self._upload(s3, result)
        reason = result.failure_reason
        if reason is not None:
            place = f"; log: {self.logs_directory}"
            reason = reason[: _MAX_FAILURE_REASON - len(place)] + place
        self._end(result.status, reason, result.secondary_status)

    def _wait_for_capacity(self) -> StopReason | None:
        """Wait until there are spot instances again; return why the job ends instead, or None."""
        interruption = self._interruption
        self._enter("Interrupted", "Training job interrupted: its spot instances were reclaimed")
        left, needed = self._attempts.wait_left, interruption.capacity_after_seconds if interruption else 0.0
        if self._stopped.wait(needed if left is None else min(needed, left)):
            return "Stopped"
        return "MaxWaitTimeExceeded" if left is not None and left <= needed else None

    def _attempt(self, s3: Any, credentials: Credentials) -> TrainingResult:
        """Train in new containers, to the end or to an interruption."""
        self._enter("Downloading", "Downloading input data")
        channels = {
            channel["ChannelName"]: download_channel(s3, channel, self.request, self.directory / "data")
            for channel in self.request.get("InputDataConfig") or []
        }
        spec = self._spec(s3, credentials, {name: folders[0] for name, folders in channels.items()})
        streams = {
            host: LogStream(
                _LOG_GROUP,
                f"{self.name}/{host}-{int(time.time())}",
                file=self.logs_directory / f"{host}.log",
            )
            for host in spec.hosts
        }

        def on_line(host: str, line: str) -> None:
            streams[host].write(line)
            self._metrics.read(line)

        run = _ShardedRun(spec, self.directory, channels, on_line=on_line)
        checkpoints = self._checkpoints(s3, run)
        if checkpoints is not None:
            with self._checkpoint_errors():
                checkpoints.download()
            checkpoints.start()
        limit = threading.Timer(self._attempts.wait_left or 0, run.stop, ["MaxWaitTimeExceeded"])
        limit.daemon = True
        if self._attempts.wait_left is not None:
            limit.start()
        with self._lock:
            self._run = run
            if self.status == "Stopping":
                run.stop()
            self._start_time = self._start_time or _now()
            self._attempts.begin()
            if self.status == "InProgress":
                self._enter("Training", "Training image download completed. Training in progress.")
        try:
            result = run.run()
        finally:
            limit.cancel()
            self._attempts.end()
            for stream in streams.values():
                stream.close()
        if checkpoints is not None:
            with self._checkpoint_errors():
                checkpoints.finish(killed=result.killed)
        return result

    @contextlib.contextmanager
    def _checkpoint_errors(self) -> Iterator[None]:
        try:
            yield
        except CHECKPOINT_ERRORS as error:
            uri = self.request["CheckpointConfig"]["S3Uri"]
            raise JobError(f"ClientError: checkpoints cannot be kept in {uri}: {error}") from error

    def _checkpoints(self, s3: Any, run: TrainingRun) -> CheckpointSync | None:
        config = self.request.get("CheckpointConfig")
        if config is None:
            return None
        return CheckpointSync(s3, config["S3Uri"], [run.checkpoint_folder(host) for host in run.spec.hosts])

    def _spec(self, s3: Any, credentials: Credentials, channels: dict[str, Path]) -> TrainingJobSpec:
        hyperparameters: dict[str, str] = self.request.get("HyperParameters") or {}
        uri = str(decode_hyperparameters(hyperparameters).get("sagemaker_submit_directory", ""))
        try:
            archive = self._code_in_channel(uri, channels) or s3_transfer.download(
                s3, uri, self.directory / "sourcedir.tar.gz"
            )
        except s3_transfer.TRANSFER_ERRORS as error:
            raise JobError(
                "ClientError: cannot download the source code that the hyperparameter "
                f"sagemaker_submit_directory names ({uri!r}): {error}"
            ) from error
        resources = self.request["ResourceConfig"]
        endpoint_url, region = settings().endpoint_url, settings().region
        try:
            return TrainingJobSpec(
                name=self.name,
                source_archive=archive,
                hyperparameters=hyperparameters,
                channels=channels,
                instance_type=resources.get("InstanceType", "ml.m5.large"),
                instance_count=resources.get("InstanceCount", 1),
                environment=without_leads_elsewhere(self.request.get("Environment") or {})
                | aws_environment(credentials, region=region, endpoint_url=endpoint_url),
                region=region,
                through_shell=self._through_shell,
                max_runtime_seconds=self._attempts.runtime_left,
                checkpoint_path=Path(checkpoint_path(self.request)),
            )
        except ValueError as error:
            raise JobError(f"ClientError: {error}") from error

    @staticmethod
    def _code_in_channel(submit_directory: str, channels: Mapping[str, Path]) -> Path | None:
        """Find the source code of a job in network isolation, which comes as a channel."""
        if not submit_directory.startswith(_CHANNELS):
            return None
        channel, _, name = submit_directory.removeprefix(_CHANNELS).partition("/")
        if channel not in channels:
            raise ValueError(f"there is no channel {channel}")
        return channels[channel] / path_part(name)

    def _upload(self, s3: Any, result: TrainingResult) -> None:
        if result.status == "Completed":
            self._enter("Uploading", "Uploading generated training model")
        try:
            for name, archive in (("model", result.model_archive), ("output", result.output_archive)):
                if archive is None:
                    continue
                if self._compressed:
                    s3_transfer.upload(s3, archive, f"{self._output_uri}/{name}.tar.gz")
                else:
                    folder = self.directory / "uncompressed" / name
                    unpack_archive(archive, folder)
                    s3_transfer.upload_folder(s3, folder, f"{self._output_uri}/{name}")
        except s3_transfer.TRANSFER_ERRORS as error:
            message = f"ClientError: cannot upload the artifacts to {self._output_uri}: {error}"
            if result.failure_reason is not None:
                message = f"{result.failure_reason}; {message}"
            raise JobError(message) from error

    def _end(self, status: str, reason: str | None, secondary_status: str | None = None) -> None:
        with self._lock:
            self._failure_reason = reason[:_MAX_FAILURE_REASON] if reason else None
            self._end_time = _now()
            self._enter(secondary_status or status, reason or f"Training job {status.lower()}")
            self._transitions[-1]["EndTime"] = self._end_time
            self.warm_pool.keep(status, reason, launched=self._start_time is not None)
            self.status = status  # last: who sees it sees the rest


class _ShardedRun(TrainingRun):
    """A run whose hosts have different data in a channel (ShardedByS3Key).

    Parameters
    ----------
    channels
        Channel name to one folder for each host, in the order of `algo-1`, `algo-2`, ….
    """

    def __init__(
        self,
        spec: TrainingJobSpec,
        job_dir: Path,
        channels: Mapping[str, list[Path]],
        *,
        on_line: Callable[[str, str], None],
    ) -> None:
        super().__init__(spec, job_dir, on_line=on_line, grace_period=10.0)
        self._channels = channels

    def _prepare(self) -> dict[str, TrainingEnvironment]:
        environments = super()._prepare()
        for number, host in enumerate(
            sorted(self._folders, key=lambda host: int(host.removeprefix("algo-")))
        ):
            for name, folders in self._channels.items():
                link = self._folders[host].data / name
                link.unlink()
                link.symlink_to(folders[number], target_is_directory=True)
        return environments


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
