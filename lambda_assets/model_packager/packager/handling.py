"""From an event to an answer: packaging for a state machine, and sweeping."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import timedelta
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import get_session

from .deadline import Deadline
from .errors import InvalidRequestError, TrainingJobError
from .packaging import package
from .request import PackagingRequest, S3Uri
from .storage import Storage, default_client
from .superseded import supersede
from .sweep import sweep

_SWEEP_AGE_S: Final = 24 * 3600
_clients: dict[str, Any] = {}


def answer(event: Mapping[str, Any], deadline: Deadline) -> dict[str, Any]:
    """Meet one request.

    Parameters
    ----------
    event : mapping
        The fields of `PackagingRequest`; `training_job_name` may stand for `model_data`. Or
        `{"sweep": "s3://bucket/prefix/", "older_than": seconds}`, which aborts orphaned uploads that are
        older, 24 hours by default; or `{"supersede": "s3://bucket/key"}`, which marks an artifact, or those
        below a prefix, for a lifecycle rule to remove.
    deadline : Deadline
        When to give up.

    Returns
    -------
    dict
        `model_data_url`, `submit_directory`, `strategy`, `bytes_in`, `bytes_out`; for a sweep `aborted`, for
        a supersession `superseded`: lists of S3 URIs.

    Raises
    ------
    ModelPackagerError
        One of its kinds.
    """
    if "s3" not in _clients:  # kept for the next invocation: making one takes longer than a small package
        _clients["s3"] = default_client()
    if "sweep" in event:
        place, age = _parse_sweep(event)
        return {"aborted": sweep(Storage(_clients["s3"]), place, age)}
    if "supersede" in event:
        place = _place(event, "supersede")
        return {"superseded": supersede(Storage(_clients["s3"], deadline=deadline), place)}
    if "training_job_name" in event:
        event = _with_artifact(event)
    request = PackagingRequest.parse(event)
    storage = Storage(
        _clients["s3"],
        deadline=deadline,
        kms_key_id=request.kms_key_id,
        tags=request.tags,
        metadata=request.metadata,
        content_type="application/octet-stream" if request.model_data.is_prefix else "application/gzip",
    )
    return asdict(package(request, storage))


def _parse_sweep(event: Mapping[str, Any]) -> tuple[S3Uri, timedelta]:
    seconds = event.get("older_than", _SWEEP_AGE_S)
    if not isinstance(seconds, int | float) or seconds < 0:
        raise InvalidRequestError(f"older_than must be a number of seconds, 0 or more, got {seconds!r}")
    return _place(event, "sweep"), timedelta(seconds=seconds)


def _place(event: Mapping[str, Any], name: str) -> S3Uri:
    try:
        return S3Uri.parse(str(event[name]))
    except ValueError as error:
        raise InvalidRequestError(f"{name} {error}") from error


def _with_artifact(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return the event with the training job's model artifact as `model_data`."""
    fields = dict(event)
    name = fields.pop("training_job_name")
    if not name:
        return fields
    if fields.get("model_data"):
        raise InvalidRequestError("give either model_data or training_job_name, not both")
    if "sagemaker" not in _clients:
        _clients["sagemaker"] = get_session().create_client("sagemaker")
    try:
        job = _clients["sagemaker"].describe_training_job(TrainingJobName=name)
    except (ClientError, BotoCoreError) as error:
        raise TrainingJobError(f"training job {name!r} cannot be described: {error}") from error
    if job["TrainingJobStatus"] != "Completed":
        raise TrainingJobError(
            f"training job {name!r} must be Completed to package its model, it is {job['TrainingJobStatus']}"
        )
    artifact = job["ModelArtifacts"]["S3ModelArtifacts"]
    if job.get("OutputDataConfig", {}).get("CompressionType") == "NONE":
        artifact = artifact.rstrip("/") + "/"
    fields["model_data"] = artifact
    return fields
