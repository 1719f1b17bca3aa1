"""Training jobs of the local AWS: the script really trains, under `training_runner`."""

import datetime as dt
import logging
import re
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from cdk_sagemaker_pytorch.images.image_description import describe_image
from cdk_sagemaker_pytorch.local.base import s3_transfer
from cdk_sagemaker_pytorch.local.base.archives import unpack_archive
from cdk_sagemaker_pytorch.local.base.logs import LogStream
from cdk_sagemaker_pytorch.local.base.path_parts import path_part
from cdk_sagemaker_pytorch.local.base.sagemaker_records import ValidationError, sagemaker_arn
from cdk_sagemaker_pytorch.local.base.server_state import Credentials, aws_environment, client, settings
from cdk_sagemaker_pytorch.local.iam.access import role_credentials

from .environment import TrainingEnvironment
from .hyperparameters import decode_hyperparameters
from .runner import TrainingJobSpec, TrainingResult, TrainingRun

_LOG_GROUP = "/aws/sagemaker/TrainingJobs"
_MAX_FAILURE_REASON = 1024  # of DescribeTrainingJob
_CHANNELS = "/opt/ml/input/data/"
_FILE_MODES = ("File", "FastFile")

_logger = logging.getLogger(__name__)


class _JobError(Exception):
    """What SageMaker reports as the reason of a failed job, besides the script's own errors."""


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
        _check(request)
        self.creation_time = self.last_modified_time = _now()
        self.status = "InProgress"
        self.secondary_status = "Starting"
        self._transitions: list[dict[str, Any]] = []
        self._start_time: dt.datetime | None = None
        self._end_time: dt.datetime | None = None
        self._failure_reason: str | None = None
        self._metrics = _MetricReader(request["AlgorithmSpecification"].get("MetricDefinitions", []))
        self._lock = threading.Lock()
        self._run: TrainingRun | None = None
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
            if self._run is not None:
                self._run.stop()
        self._enter("Stopping", "Stopping the training job")

    def describe(self) -> dict[str, Any]:
        """Return the answer of DescribeTrainingJob."""
        seconds = (
            int(((self._end_time or _now()) - self._start_time).total_seconds()) if self._start_time else None
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
            "BillableTimeInSeconds": seconds if self._end_time else None,
        }
        return {name: value for name, value in description.items() if value is not None}

    def summary(self) -> dict[str, Any]:
        """Return the entry of ListTrainingJobs."""
        names = ("TrainingJobName", "TrainingJobArn", "CreationTime", "TrainingEndTime", "LastModifiedTime")
        description = self.describe()
        return {
            name: description[name]
            for name in (*names, "TrainingJobStatus", "SecondaryStatus")
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
        except _JobError as error:
            self._end("Failed", str(error))
        except Exception as error:
            _logger.exception("training job %s", self.name)
            self._end("Failed", f"InternalServerError: {error}")

    def _train_to_the_end(self) -> None:
        credentials = role_credentials(
            self.request["RoleArn"], service="sagemaker.amazonaws.com", session_name="SageMaker"
        )
        s3 = client("s3", credentials)
        self._enter("Downloading", "Downloading input data")
        channels = {
            channel["ChannelName"]: self._download_channel(s3, channel)
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
        with self._lock:
            self._run = run
            if self.status == "Stopping":
                run.stop()
        self._start_time = _now()
        if self.status == "InProgress":
            self._enter("Training", "Training image download completed. Training in progress.")
        try:
            result = run.run()
        finally:
            for stream in streams.values():
                stream.close()
        self._upload(s3, result)
        reason = result.failure_reason
        if reason is not None:
            place = f"; log: {self.logs_directory}"
            reason = reason[: _MAX_FAILURE_REASON - len(place)] + place
        self._end(result.status, reason, result.secondary_status)

    def _download_channel(self, s3: Any, channel: Mapping[str, Any]) -> list[Path]:
        """Download one channel; return its folder for each host in order."""
        name = channel["ChannelName"]
        mode = channel.get("InputMode") or self.request["AlgorithmSpecification"]["TrainingInputMode"]
        source = channel["DataSource"].get("S3DataSource")
        if source is None or source["S3DataType"] != "S3Prefix" or mode not in _FILE_MODES:
            raise _JobError(
                f"ClientError: the local AWS reads channels of S3DataType S3Prefix in the modes "
                f"{' and '.join(_FILE_MODES)}; channel {name} is {mode} with {channel['DataSource']}"
            )
        uri = source["S3Uri"]
        try:
            keys = s3_transfer.list_keys(s3, uri)
            if not keys:
                raise _JobError(
                    f'ClientError: Data download failed: No S3 objects found under S3 URL "{uri}" given in '
                    f"input data source of channel {name}. Please ensure that the bucket exists in the "
                    f"selected region ({settings().region}), that objects exist under that S3 prefix, "
                    f'and that the role "{self.request["RoleArn"]}" has "s3:ListBucket" permissions on it.'
                )
            hosts = self.request["ResourceConfig"].get("InstanceCount", 1)
            folder = self.directory / "data" / path_part(name)
            if source.get("S3DataDistributionType") != "ShardedByS3Key" or hosts == 1:
                s3_transfer.download_keys(s3, uri, keys, folder)
                return [folder] * hosts
            shards = [folder / f"shard-{host}" for host in range(hosts)]
            for host, shard in enumerate(shards):
                s3_transfer.download_keys(s3, uri, keys[host::hosts], shard)
            return shards
        except (ClientError, BotoCoreError, ValueError) as error:
            raise _JobError(
                f'ClientError: Data download failed: channel {name}, S3 URL "{uri}": {error}'
            ) from error

    def _spec(self, s3: Any, credentials: Credentials, channels: dict[str, Path]) -> TrainingJobSpec:
        hyperparameters: dict[str, str] = self.request.get("HyperParameters") or {}
        uri = str(decode_hyperparameters(hyperparameters).get("sagemaker_submit_directory", ""))
        try:
            archive = self._code_in_channel(uri, channels) or s3_transfer.download(
                s3, uri, self.directory / "sourcedir.tar.gz"
            )
        except (ClientError, BotoCoreError, ValueError) as error:
            raise _JobError(
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
                environment=(self.request.get("Environment") or {})
                | aws_environment(credentials, region=region, endpoint_url=endpoint_url),
                region=region,
                through_shell=self._through_shell,
                max_runtime_seconds=float(
                    (self.request.get("StoppingCondition") or {}).get("MaxRuntimeInSeconds", 86_400)
                ),
            )
        except ValueError as error:
            raise _JobError(f"ClientError: {error}") from error

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
        except (ClientError, BotoCoreError, ValueError) as error:
            message = f"ClientError: cannot upload the artifacts to {self._output_uri}: {error}"
            if result.failure_reason is not None:
                message = f"{result.failure_reason}; {message}"
            raise _JobError(message) from error

    def _end(self, status: str, reason: str | None, secondary_status: str | None = None) -> None:
        with self._lock:
            self._failure_reason = reason[:_MAX_FAILURE_REASON] if reason else None
            self._end_time = _now()
            self._enter(secondary_status or status, reason or f"Training job {status.lower()}")
            self._transitions[-1]["EndTime"] = self._end_time
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


class _MetricReader:
    """Finds metrics in the log with the regular expressions of MetricDefinitions."""

    def __init__(self, definitions: list[dict[str, str]]) -> None:
        self._patterns = [(item["Name"], re.compile(item["Regex"])) for item in definitions]
        self._last: dict[str, dict[str, Any]] = {}

    def read(self, line: str) -> None:
        for name, pattern in self._patterns:
            if (match := pattern.search(line)) and match.groups():
                try:
                    value = float(match[1])
                except ValueError:
                    continue
                self._last[name] = {"MetricName": name, "Value": value, "Timestamp": _now()}

    def final(self) -> list[dict[str, Any]]:
        """Return the last value of each metric, as FinalMetricDataList has them."""
        return list(self._last.values())


def _check(request: Mapping[str, Any]) -> None:
    algorithm = request["AlgorithmSpecification"]
    image = algorithm.get("TrainingImage")
    problems = []
    if image is None:
        problems.append(
            "AlgorithmSpecification must have a TrainingImage: the local AWS has no built-in algorithms"
        )
    else:
        described = describe_image(image)
        if described is None or described.scope == "inference":
            problems.append(f"TrainingImage must be one of AWS's PyTorch training images, got {image}")
    for definition in algorithm.get("MetricDefinitions", []):
        try:
            re.compile(definition["Regex"])
        except re.error as error:
            problems.append(f"the Regex of metric {definition['Name']} is not valid: {error}")
    if problems:
        raise ValidationError("; ".join(problems))


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
