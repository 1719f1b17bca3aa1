"""The training job whose model is to be deployed."""

from typing import Any

from endpoint import ignore_missing


class TrainingJobNotCompletedError(Exception):
    """The training job does not exist, or has no model."""


def completed_training_job(sagemaker: Any, name: str) -> dict[str, Any]:
    """Look up a training job's model.

    Parameters
    ----------
    sagemaker
        A boto3 client.
    name : str
        Name of the job.

    Returns
    -------
    dict
        ``{"model_data"}``: the S3 URI of its model, a prefix with a slash at the end where it is
        uncompressed.

    Raises
    ------
    TrainingJobNotCompletedError
        When it has none.
    """
    job = ignore_missing(sagemaker.describe_training_job, TrainingJobName=name)
    if job is None:
        raise TrainingJobNotCompletedError(
            f"training_job_name must be a training job that exists, got {name}"
        )
    if job["TrainingJobStatus"] != "Completed":
        reason = f": {job['FailureReason']}" if "FailureReason" in job else ""
        raise TrainingJobNotCompletedError(
            f"training_job_name must be a training job that is Completed; {name} is"
            f" {job['TrainingJobStatus']}{reason}"
        )
    uri = job.get("ModelArtifacts", {}).get("S3ModelArtifacts")
    if uri is None:
        raise TrainingJobNotCompletedError(
            f"training_job_name must be a training job with a model, got {name}"
        )
    if job.get("OutputDataConfig", {}).get("CompressionType") == "NONE":
        uri = uri.rstrip("/") + "/"
    return {"model_data": uri}
