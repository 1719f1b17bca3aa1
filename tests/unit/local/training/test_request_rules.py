from typing import Any

import pytest

from cdk_sagemaker_pytorch.local.base.sagemaker_records import ValidationError
from cdk_sagemaker_pytorch.local.training.request_rules import check_training_request

IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.10.0-cpu-py313"


def request(**changed: Any) -> dict[str, Any]:
    whole = {
        "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 30},
        "StoppingCondition": {"MaxRuntimeInSeconds": 100},
    }
    return {name: value for name, value in (whole | changed).items() if value is not None}


def algorithm(**more: Any) -> dict[str, Any]:
    return {"TrainingImage": IMAGE, "TrainingInputMode": "File"} | more


def channel(name: str, **sources: Any) -> dict[str, Any]:
    return {"ChannelName": name, "DataSource": sources}


S3 = {"S3DataType": "S3Prefix", "S3Uri": "s3://bucket/prefix"}


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"StoppingCondition": None},
        {"InputDataConfig": [channel("train", S3DataSource=S3), channel("test", S3DataSource=S3)]},
        {
            "EnableManagedSpotTraining": True,
            "StoppingCondition": {"MaxRuntimeInSeconds": 100, "MaxWaitTimeInSeconds": 100},
        },
    ],
)
def test_a_job_can_be_made(changed: dict[str, Any]) -> None:
    check_training_request(request(**changed))


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"AlgorithmSpecification": None}, "must have a TrainingImage"),
        ({"AlgorithmSpecification": {"AlgorithmName": "mine"}}, "must have a TrainingImage"),
        (
            {"AlgorithmSpecification": algorithm(ContainerEntrypoint=["run"], ContainerArguments=["1"])},
            "ContainerEntrypoint must not be given: .*; ContainerArguments must not be given",
        ),
        (
            {"AlgorithmSpecification": algorithm(MetricDefinitions=[{"Name": "loss", "Regex": "("}])},
            "the Regex of metric loss is not valid",
        ),
        ({"ResourceConfig": None}, "the local AWS has no serverless jobs"),
        (
            {"ResourceConfig": {"VolumeSizeInGB": 1}},
            "ResourceConfig must have InstanceType and InstanceCount",
        ),
        ({"ResourceConfig": {"InstanceType": "ml.m5.large"}}, "ResourceConfig must have InstanceCount"),
        ({"ResourceConfig": {"InstanceGroups": []}}, "no heterogeneous clusters"),
        (
            {"InputDataConfig": [channel("train", S3DataSource=S3)] * 2},
            "ChannelName must be unique, got train 2 times",
        ),
        ({"InputDataConfig": [channel("train")]}, "DataSource of channel train .* got none"),
        (
            {"InputDataConfig": [channel("train", S3DataSource=S3, FileSystemDataSource={})]},
            "must be exactly one, got FileSystemDataSource, S3DataSource",
        ),
        (
            {"StoppingCondition": {"MaxRuntimeInSeconds": 100, "MaxWaitTimeInSeconds": 100}},
            "It is only supported when EnableManagedSpotTraining is set to true",
        ),
        ({"EnableManagedSpotTraining": True}, "It must be present and be greater"),
        ({"CheckpointConfig": {"LocalPath": "/opt/ml"}}, "LocalPath of CheckpointConfig"),
    ],
)
def test_fails_where_no_job_can_be_made(changed: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        check_training_request(request(**changed))


def test_says_everything_at_once() -> None:
    with pytest.raises(ValidationError, match=r"TrainingImage.*ResourceConfig.*LocalPath"):
        check_training_request({"CheckpointConfig": {"LocalPath": "relative"}})
