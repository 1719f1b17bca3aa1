"""The model of a training job that an execution names."""

from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from .fakes import api_error

URI = "s3://jobs/training/job-1/output/model.tar.gz"
COMPLETED = {"TrainingJobStatus": "Completed", "ModelArtifacts": {"S3ModelArtifacts": URI}}


def look_up(code: SimpleNamespace, job: dict[str, Any]) -> Any:
    client = SimpleNamespace(describe_training_job=lambda TrainingJobName: job)  # noqa: N803
    return code.training.completed_training_job(client, "job-1")


def test_a_completed_job_has_a_model(code: SimpleNamespace) -> None:
    assert look_up(code, COMPLETED) == {"model_data": URI}


@pytest.mark.parametrize("uri", ["s3://jobs/job-1/output/model", "s3://jobs/job-1/output/model/"])
def test_the_model_of_a_job_without_compression_is_a_prefix(code: SimpleNamespace, uri: str) -> None:
    job = {
        **COMPLETED,
        "ModelArtifacts": {"S3ModelArtifacts": uri},
        "OutputDataConfig": {"CompressionType": "NONE"},
    }
    assert look_up(code, job) == {"model_data": "s3://jobs/job-1/output/model/"}


def test_fails_when_the_job_does_not_exist(code: SimpleNamespace, aws: None) -> None:
    with pytest.raises(code.training.TrainingJobNotCompletedError, match="that exists, got job-1"):
        code.training.completed_training_job(boto3.client("sagemaker"), "job-1")


@pytest.mark.parametrize(
    ("job", "problem"),
    [
        ({"TrainingJobStatus": "InProgress"}, "that is Completed; job-1 is InProgress"),
        (
            {"TrainingJobStatus": "Failed", "FailureReason": "AlgorithmError: x"},
            "that is Completed; job-1 is Failed: AlgorithmError: x",
        ),
        ({"TrainingJobStatus": "Stopped"}, "that is Completed; job-1 is Stopped"),
        ({"TrainingJobStatus": "Completed"}, "with a model, got job-1"),
        ({"TrainingJobStatus": "Completed", "ModelArtifacts": {}}, "with a model, got job-1"),
    ],
)
def test_fails_when_the_job_has_no_model(code: SimpleNamespace, job: dict[str, Any], problem: str) -> None:
    with pytest.raises(code.training.TrainingJobNotCompletedError) as raised:
        look_up(code, job)
    assert str(raised.value) == f"training_job_name must be a training job {problem}"


def test_fails_when_sagemaker_refuses(code: SimpleNamespace) -> None:
    def describe(**_: str) -> None:
        raise api_error("AccessDeniedException")

    with pytest.raises(ClientError, match="AccessDenied"):
        code.training.completed_training_job(SimpleNamespace(describe_training_job=describe), "job-1")
