import io
import json
import tarfile
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cdk_sagemaker_pytorch.local import LocalAws
from waiting import wait_for

pytestmark = pytest.mark.local

TRAIN = """
import argparse, json, os
parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int)
epochs = parser.parse_args().epochs
files = sorted(os.listdir(os.environ["SM_CHANNEL_TRAIN"]))
for epoch in range(epochs):
    print(f"epoch={epoch} loss={1 / (epoch + 1):.2f}", flush=True)
with open(os.path.join(os.environ["SM_MODEL_DIR"], "model.json"), "w") as model:
    json.dump(files, model)
"""


def channel(bucket: str, prefix: str = "data/", distribution: str = "FullyReplicated") -> dict[str, Any]:
    source = {
        "S3DataType": "S3Prefix",
        "S3Uri": f"s3://{bucket}/{prefix}",
        "S3DataDistributionType": distribution,
    }
    return {"ChannelName": "train", "DataSource": {"S3DataSource": source}}


@pytest.fixture
def data(aws: LocalAws, bucket: str) -> str:
    for key in ("data/a.txt", "data/b.txt", "data/c.txt"):
        aws.client("s3").put_object(Bucket=bucket, Key=key, Body=key.encode())
    return bucket


def members(aws: LocalAws, uri: str) -> dict[str, bytes]:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    body = aws.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(body)) as tar:
        return {m.name: tar.extractfile(m).read() for m in tar if m.isfile()}  # type: ignore[union-attr]


def test_a_job_trains_and_leaves_artifacts_metrics_and_logs(
    aws: LocalAws, train: Callable[..., Any], data: str, name: str, log_lines: Callable[[str], list[str]]
) -> None:
    definition = {"Name": "loss", "Regex": "loss=([0-9.]+)"}
    algorithm = {
        "TrainingImage": "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.6.0-cpu-py312",
        "TrainingInputMode": "File",
        "MetricDefinitions": [definition],
    }
    job = train(TRAIN, InputDataConfig=[channel(data)], AlgorithmSpecification=algorithm, Tags=[])
    assert job["TrainingJobStatus"] == job["SecondaryStatus"] == "Completed"
    assert job["ModelArtifacts"]["S3ModelArtifacts"] == f"s3://{data}/out/{name}/output/model.tar.gz"
    assert members(aws, job["ModelArtifacts"]["S3ModelArtifacts"]) == {
        "model.json": b'["a.txt", "b.txt", "c.txt"]'
    }
    assert "success" in members(aws, f"s3://{data}/out/{name}/output/output.tar.gz")
    [metric] = job["FinalMetricDataList"]
    assert (metric["MetricName"], metric["Value"]) == ("loss", 0.5)
    statuses = [transition["Status"] for transition in job["SecondaryStatusTransitions"]]
    assert statuses == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    assert all("EndTime" in transition for transition in job["SecondaryStatusTransitions"])
    assert "epoch=1 loss=0.50" in log_lines("/aws/sagemaker/TrainingJobs")
    log = aws.logs_directory / "training" / name / "algo-1.log"
    assert "epoch=1 loss=0.50" in log.read_text()
    [summary] = aws.client("sagemaker").list_training_jobs(NameContains=name)["TrainingJobSummaries"]
    assert summary["TrainingJobStatus"] == "Completed"


def test_shards_differ_between_hosts(aws: LocalAws, train: Callable[..., Any], data: str, name: str) -> None:
    script = TRAIN.replace('"model.json"', 'os.environ["SM_CURRENT_HOST"] + ".json"')
    job = train(
        script,
        InputDataConfig=[channel(data, distribution="ShardedByS3Key")],
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 1},
    )
    assert job["TrainingJobStatus"] == "Completed"
    assert members(aws, job["ModelArtifacts"]["S3ModelArtifacts"]) == {
        "algo-1.json": b'["a.txt", "c.txt"]',
        "algo-2.json": b'["b.txt"]',
    }


def test_fails_when_the_script_raises(train: Callable[..., Any], aws: LocalAws, name: str) -> None:
    job = train("raise ValueError('labels must be integers')")
    assert job["TrainingJobStatus"] == "Failed"
    first, second, *_ = job["FailureReason"].splitlines()
    assert first == "AlgorithmError: ValueError: labels must be integers"
    assert second == "ExecuteUserScriptError:"
    log = (aws.logs_directory / "training" / name / "algo-1.log").read_text()
    assert "Reporting training FAILURE: ValueError: labels must be integers\n" in log
    assert str(aws.logs_directory / "training" / name) in job["FailureReason"]


def test_fails_when_a_channel_is_empty(train: Callable[..., Any], bucket: str) -> None:
    job = train(TRAIN, InputDataConfig=[channel(bucket, "nothing/")])
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("ClientError: Data download failed: No S3 objects found under")
    assert f"s3://{bucket}/nothing/" in job["FailureReason"]


def test_fails_when_the_role_may_not_read_the_data(
    train: Callable[..., Any], data: str, create_role: Callable[..., str]
) -> None:
    allowed = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{data}/code/*"}
    role = create_role("sagemaker.amazonaws.com", allowed, suffix="-narrow")
    job = train(TRAIN, InputDataConfig=[channel(data)], RoleArn=role)
    assert job["TrainingJobStatus"] == "Failed"
    assert "not authorized to perform: s3:ListBucket" in job["FailureReason"]


def test_stop_ends_the_script(aws: LocalAws, train: Callable[..., Any], name: str) -> None:
    train("print('started', flush=True)\nimport time\ntime.sleep(600)", wait=False)
    log = aws.logs_directory / "training" / name / "algo-1.log"
    wait_for(lambda: log.exists() and "started\n" in log.read_text())
    sagemaker = aws.client("sagemaker")
    sagemaker.stop_training_job(TrainingJobName=name)
    status = lambda: sagemaker.describe_training_job(TrainingJobName=name)["TrainingJobStatus"]  # noqa: E731
    wait_for(lambda: status() == "Stopped")
    with pytest.raises(ClientError, match="is in status Stopped"):
        sagemaker.stop_training_job(TrainingJobName=name)


def test_fails_when_the_request_is_wrong(
    train: Callable[..., Any], aws: LocalAws, create_role: Callable[..., str]
) -> None:
    algorithm = {
        "TrainingImage": "123456789012.dkr.ecr.us-east-1.amazonaws.com/mine:1",
        "TrainingInputMode": "File",
        "MetricDefinitions": [{"Name": "loss", "Regex": "("}],
    }
    with pytest.raises(ClientError, match=r"PyTorch training images, got .*mine:1; the Regex of metric loss"):
        train(TRAIN, AlgorithmSpecification=algorithm)
    with pytest.raises(ClientError, match=r"Could not assume role .*-lambda"):
        train(TRAIN, RoleArn=create_role("lambda.amazonaws.com"))
    with pytest.raises(ClientError, match="Requested resource not found"):
        aws.client("sagemaker").describe_training_job(TrainingJobName="missing")


def test_fails_when_the_name_is_taken(train: Callable[..., Any], name: str) -> None:
    train("pass")
    with pytest.raises(ClientError, match="must be unique") as failure:
        train("pass")
    assert failure.value.response["Error"]["Code"] == "ResourceInUse"


@pytest.mark.parametrize(
    ("image", "arguments"),
    [
        ("pytorch-training:2.6.0-cpu-py312", ["--name", "a", "b", "--seed"]),
        ("pytorch:2.13.0-cpu-amzn2023-sagemaker", ["--name", "a b", "--seed", ""]),
    ],
)
def test_hyperparameters_come_as_the_image_passes_them(
    aws: LocalAws, train: Callable[..., Any], bucket: str, image: str, arguments: list[str]
) -> None:
    hyperparameters = {
        "sagemaker_program": "train.py",
        "sagemaker_submit_directory": f"s3://{bucket}/code/sourcedir.tar.gz",
        "name": "a b",
        "seed": None,
    }
    job = train(
        "import json, os, sys\n"
        "with open(os.environ['SM_MODEL_DIR'] + '/arguments', 'w') as f: json.dump(sys.argv[1:], f)",
        AlgorithmSpecification={
            "TrainingImage": f"763104351884.dkr.ecr.us-east-1.amazonaws.com/{image}",
            "TrainingInputMode": "File",
        },
        HyperParameters={key: json.dumps(value) for key, value in hyperparameters.items()},
    )
    model = members(aws, job["ModelArtifacts"]["S3ModelArtifacts"])
    assert json.loads(model["arguments"]) == arguments


def test_fails_with_a_reason_that_is_no_longer_than_aws_allows(
    train: Callable[..., Any], aws: LocalAws, name: str
) -> None:
    job = train("raise ValueError('labels ' * 1000)")
    reason = job["FailureReason"]
    assert len(reason) <= 1024
    assert reason.startswith("AlgorithmError: ValueError: labels labels ")
    assert reason.endswith(f"; log: {aws.logs_directory / 'training' / name}")


def test_instances_are_kept_for_the_next_job(
    aws: LocalAws, train: Callable[..., Any], data: str, name: str
) -> None:
    sagemaker = aws.client("sagemaker")
    resources = {
        "InstanceType": "ml.m5.large",
        "InstanceCount": 1,
        "VolumeSizeInGB": 1,
        "KeepAlivePeriodInSeconds": 600,
    }
    first = train("pass", ResourceConfig=resources)
    assert first["WarmPoolStatus"]["Status"] == "Available"

    second = train("pass", ResourceConfig=resources, TrainingJobName=f"{name}-2")
    first = sagemaker.describe_training_job(TrainingJobName=name)
    assert (first["WarmPoolStatus"]["Status"], first["WarmPoolStatus"]["ReusedByJob"]) == (
        "Reused",
        f"{name}-2",
    )
    assert second["WarmPoolStatus"]["Status"] == "Available"

    update = {"TrainingJobName": f"{name}-2", "ResourceConfig": {"KeepAlivePeriodInSeconds": 0}}
    sagemaker.update_training_job(**update)
    second = sagemaker.describe_training_job(TrainingJobName=f"{name}-2")
    assert second["WarmPoolStatus"]["Status"] == "Terminated"
    with pytest.raises(ClientError, match="its warm pool is Terminated"):
        sagemaker.update_training_job(**update)


def test_fails_when_spot_instances_are_to_be_kept(train: Callable[..., Any], data: str) -> None:
    with pytest.raises(ClientError, match="KeepAlivePeriodInSeconds cannot be used"):
        train(
            "pass",
            EnableManagedSpotTraining=True,
            StoppingCondition={"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 60},
            ResourceConfig={
                "InstanceType": "ml.m5.large",
                "InstanceCount": 1,
                "VolumeSizeInGB": 1,
                "KeepAlivePeriodInSeconds": 600,
            },
        )
