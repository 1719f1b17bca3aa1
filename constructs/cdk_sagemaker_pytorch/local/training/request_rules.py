"""What SageMaker refuses in a training job though the API's shapes allow it, and what no job here has."""

import posixpath
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from cdk_sagemaker_pytorch.images.image_description import describe_image
from cdk_sagemaker_pytorch.local.base.sagemaker_records import refuse_any

from .attempts import is_spot
from .spec import DEFAULT_CHECKPOINT_PATH

__all__ = ["check_training_request", "checkpoint_path"]


def check_training_request(request: Mapping[str, Any]) -> None:
    """Refuse a request of CreateTrainingJob that no job can be made of.

    Raises
    ------
    ValidationError
        With everything that is wrong.
    """
    problems = [
        *_algorithm_problems(request.get("AlgorithmSpecification")),
        *_resource_problems(request.get("ResourceConfig")),
        *_channel_problems(request.get("InputDataConfig") or []),
        *_spot_problems(request),
    ]
    path = checkpoint_path(request)
    if path != posixpath.normpath(path) or path in ("/", "/opt", "/opt/ml") or not path.startswith("/"):
        problems.append(f"LocalPath of CheckpointConfig must be the absolute path of a folder, got {path}")
    refuse_any(problems)


def checkpoint_path(request: Mapping[str, Any]) -> str:
    """Return the folder in the container that is kept in sync with S3."""
    return str((request.get("CheckpointConfig") or {}).get("LocalPath", DEFAULT_CHECKPOINT_PATH))


def _algorithm_problems(algorithm: Mapping[str, Any] | None) -> Iterator[str]:
    image = (algorithm or {}).get("TrainingImage")
    if algorithm is None or image is None:
        yield "AlgorithmSpecification must have a TrainingImage: the local AWS has no built-in algorithms"
        return
    described = describe_image(image)
    if described is None or described.scope == "inference":
        yield f"TrainingImage must be one of AWS's PyTorch training images, got {image}"
    for name in ("ContainerEntrypoint", "ContainerArguments"):
        if name in algorithm:
            yield f"{name} must not be given: the local AWS starts scripts as the images of PyTorch do"
    for definition in algorithm.get("MetricDefinitions", []):
        try:
            re.compile(definition["Regex"])
        except re.error as error:
            yield f"the Regex of metric {definition['Name']} is not valid: {error}"


def _resource_problems(resources: Mapping[str, Any] | None) -> Iterator[str]:
    if resources is None:
        yield "ResourceConfig must be given: the local AWS has no serverless jobs"
    elif "InstanceGroups" in resources:
        yield "ResourceConfig must not have InstanceGroups: the local AWS has no heterogeneous clusters"
    elif missing := {"InstanceType", "InstanceCount"} - resources.keys():
        yield f"ResourceConfig must have {' and '.join(sorted(missing, reverse=True))}"


def _channel_problems(channels: list[Mapping[str, Any]]) -> Iterator[str]:
    for name, count in Counter(channel["ChannelName"] for channel in channels).items():
        if count > 1:
            yield f"ChannelName must be unique, got {name} {count} times"
    for channel in channels:
        if len(channel["DataSource"]) != 1:
            given = ", ".join(sorted(channel["DataSource"])) or "none"
            yield f"DataSource of channel {channel['ChannelName']} must be exactly one, got {given}"


def _spot_problems(request: Mapping[str, Any]) -> Iterator[str]:
    condition = request.get("StoppingCondition") or {}
    wait = condition.get("MaxWaitTimeInSeconds")
    if not is_spot(request):
        if wait is not None:
            yield (
                "Invalid MaxWaitTimeInSeconds. It is only supported when EnableManagedSpotTraining is set to"
                " true"
            )
        return
    if wait is None or wait < condition.get("MaxRuntimeInSeconds", 0):
        yield (
            "Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to"
            " MaxRuntimeInSeconds"
        )
    if (request.get("ResourceConfig") or {}).get("KeepAlivePeriodInSeconds"):
        yield "KeepAlivePeriodInSeconds cannot be used with EnableManagedSpotTraining"
