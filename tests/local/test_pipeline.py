"""The pipeline, for real: deploy, train, predict, retrain, fail, go back, destroy."""

import io
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pytest

from cdk_sagemaker_pytorch import Predictor
from cdk_sagemaker_pytorch.local import LocalAws
from waiting import end_of_execution

pytestmark = [pytest.mark.local]

ROOT = Path(__file__).parents[2]
APP = Path(__file__).parent / "apps" / "pipelines.py"
SAMPLES = np.array([[0.1, 0.9], [0.9, 0.1], [0.2, 0.7], [0.8, 0.3]], dtype=np.float32)


def readme_blocks(text: str) -> list[str]:
    """The README's blocks that run on the local AWS and hold a text."""
    blocks = re.findall(
        r"<!-- runs on the local AWS -->\n```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S
    )
    return [block for block in blocks if text in block]


class Deployed:
    """The stack on the local AWS."""

    def __init__(self, aws: LocalAws, assembly: Path) -> None:
        self.aws = aws
        self.assembly = assembly
        self.outputs = aws.deploy(assembly)["Pipelines"]

    def execute(self, machine: str, execution_input: Any = None) -> dict[str, Any]:
        """Run an execution to its end, and describe it."""
        states = self.aws.client("stepfunctions")
        arn = states.start_execution(
            stateMachineArn=self.outputs[f"{machine}Machine"],
            name=f"test-{time.time_ns()}",
            input=json.dumps(execution_input or {}),
        )["executionArn"]
        return end_of_execution(states, arn)

    def succeed(self, machine: str, execution_input: Any = None) -> dict[str, Any]:
        """Run an execution that succeeds, and return its output."""
        execution = self.execute(machine, execution_input)
        assert execution["status"] == "SUCCEEDED", execution.get("cause")
        output: dict[str, Any] = json.loads(execution["output"])
        return output

    def answer(self, endpoint: str = "Scripted") -> str:
        """What a scripted endpoint answers."""
        response = self.aws.client("sagemaker-runtime").invoke_endpoint(
            EndpointName=self.outputs[f"{endpoint}Endpoint"], Body=b"[[1]]", ContentType="application/json"
        )
        return str(response["Body"].read().decode())

    def predict(self) -> np.ndarray:
        """What the trained endpoint answers."""
        runtime = self.aws.client("sagemaker-runtime")
        return Predictor(self.outputs["TrainedEndpoint"], runtime).predict(SAMPLES)

    def etag(self, uri: str) -> str:
        """The entity tag of an object."""
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        return str(self.aws.client("s3").head_object(Bucket=bucket, Key=key)["ETag"])

    def versions(self, endpoint: str) -> set[str]:
        """Names of the models and endpoint configurations of an endpoint."""
        sagemaker = self.aws.client("sagemaker")
        prefix = self.outputs[f"{endpoint}Endpoint"]
        models = {m["ModelName"] for m in sagemaker.list_models()["Models"]}
        configs = {c["EndpointConfigName"] for c in sagemaker.list_endpoint_configs()["EndpointConfigs"]}
        assert {n for n in models if n.startswith(prefix)} == {n for n in configs if n.startswith(prefix)}
        return {name for name in models if name.startswith(prefix)}


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    folder = tmp_path_factory.mktemp("pipelines")
    assembly = folder / "cdk.out"
    subprocess.run([sys.executable, APP], env={**os.environ, "CDK_OUTDIR": str(assembly)}, check=True)
    with LocalAws(folder / "aws", wait_factor=0.1) as aws:
        found = Deployed(aws, assembly)
        upload(found, "first/", labels=[1, 0])
        upload(found, "second/", labels=[0, 1])
        yield found


def upload(deployed: Deployed, prefix: str, labels: list[int]) -> None:
    """Upload points whose class says on which side of the diagonal they lie."""
    points = np.random.default_rng(0).random((400, 2), dtype=np.float32)
    body = io.BytesIO()
    np.savez(body, x=points, y=np.where(points[:, 0] < points[:, 1], *labels))
    deployed.aws.client("s3").put_object(
        Bucket=deployed.outputs["DataBucket"], Key=f"{prefix}points.npz", Body=body.getvalue()
    )


@pytest.fixture(scope="module")
def first(deployed: Deployed) -> dict[str, Any]:
    """The first execution of the trained pipeline."""
    return deployed.succeed("Trained")


def test_an_execution_trains_and_serves(deployed: Deployed, first: dict[str, Any]) -> None:
    assert deployed.predict().argmax(axis=1).tolist() == [1, 0, 1, 0]
    assert first["endpoint_name"] == deployed.outputs["TrainedEndpoint"]
    assert first["model_name"] == first["endpoint_config_name"]
    assert first["metrics"]["train_loss"] < 0.5
    assert first["model_data_url"].endswith("/model.tar.gz")
    job = deployed.aws.client("sagemaker").describe_training_job(TrainingJobName=first["training_job_name"])
    assert first["model_data_etag"] == deployed.etag(job["ModelArtifacts"]["S3ModelArtifacts"])


def test_the_readme_predicts(
    deployed: Deployed, first: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in deployed.aws.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # another test's credentials
    (block,) = readme_blocks("import Predictor")
    variables: dict[str, Any] = {"endpoint_name": first["endpoint_name"], "samples": SAMPLES}
    exec(block, variables)  # noqa: S102 - it is our own README
    assert variables["scores"].shape == (4, 2)


def test_retraining_on_other_data_changes_the_predictions(deployed: Deployed, first: dict[str, Any]) -> None:
    bucket = deployed.outputs["DataBucket"]
    second = deployed.succeed(
        "Trained",
        {"inputs": {"train": f"s3://{bucket}/second/"}, "hyperparameters": {"epochs": 25}},
    )
    assert deployed.predict().argmax(axis=1).tolist() == [0, 1, 0, 1]
    job = deployed.aws.client("sagemaker").describe_training_job(TrainingJobName=second["training_job_name"])
    assert job["HyperParameters"]["epochs"] == "25"
    assert job["HyperParameters"]["hidden-sizes"] == '"16"'
    # The version before stays, for a rollback.
    assert deployed.versions("Trained") == {first["model_name"], second["model_name"]}

    attached = deployed.succeed("Trained", {"training_job_name": first["training_job_name"]})
    assert attached["training_job_name"] == first["training_job_name"]
    assert attached["metrics"] == first["metrics"]
    assert deployed.predict().argmax(axis=1).tolist() == [1, 0, 1, 0]
    assert deployed.versions("Trained") == {second["model_name"], attached["model_name"]}


def test_an_input_that_is_not_understood_trains_nothing(deployed: Deployed, first: dict[str, Any]) -> None:
    sagemaker = deployed.aws.client("sagemaker")
    before = len(sagemaker.list_training_jobs()["TrainingJobSummaries"])
    execution = deployed.execute("Trained", {"hyperparameter": {"epochs": 1}})
    assert execution["error"] == "InputRefused"
    assert execution["cause"].startswith("unknown hyperparameter: an execution takes hyperparameters, inputs")
    assert len(sagemaker.list_training_jobs()["TrainingJobSummaries"]) == before


def test_a_channel_without_data_fails_with_its_uri(deployed: Deployed) -> None:
    uri = f"s3://{deployed.outputs['DataBucket']}/nothing/"
    execution = deployed.execute("Failing", {"inputs": {"train": uri}})
    assert execution["status"] == "FAILED"
    assert execution["error"] == "TrainingJobFailed"
    assert uri in execution["cause"]


def test_a_script_that_raises_fails_with_its_own_message(deployed: Deployed) -> None:
    execution = deployed.execute("Failing")
    assert execution["status"] == "FAILED"
    assert "the loss is not a number in epoch 7" in execution["cause"]
    assert "logs: /aws/sagemaker/TrainingJobs, stream" in execution["cause"]


def test_two_hosts_train_together(deployed: Deployed) -> None:
    output = deployed.succeed("TwoHosts")
    logs = deployed.aws.client("logs")
    group = "/aws/sagemaker/TrainingJobs"
    streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=output["training_job_name"])[
        "logStreams"
    ]
    lines = [
        event["message"]
        for stream in streams
        for event in logs.get_log_events(
            logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True
        )["events"]
    ]
    reports = sorted(line for line in lines if line.startswith("rank "))
    assert reports == [
        "rank 0 of 2 on algo-1: sum=3",
        "rank 1 of 2 on algo-2: sum=3",
    ]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("broken", "this model is broken on purpose"),
        ("rejects", "this model answers nothing"),
    ],
)
def test_a_version_that_does_not_serve_is_taken_back(deployed: Deployed, answer: str, reason: str) -> None:
    good = deployed.succeed("Scripted", {"hyperparameters": {"answer": "good"}})
    assert deployed.answer() == "good"
    execution = deployed.execute("Scripted", {"hyperparameters": {"answer": answer}})
    assert execution["status"] == "FAILED"
    assert reason in execution["cause"]
    assert deployed.answer() == "good"
    assert good["model_name"] in deployed.versions("Scripted")
    endpoint = deployed.aws.client("sagemaker").describe_endpoint(
        EndpointName=deployed.outputs["ScriptedEndpoint"]
    )
    assert endpoint["EndpointStatus"] == "InService"
    assert endpoint["EndpointConfigName"] == good["endpoint_config_name"]
    newest = max(deployed.versions("Scripted"))
    assert newest == good["model_name"]


def test_a_model_too_large_for_the_function_is_packaged_by_a_processing_job(deployed: Deployed) -> None:
    output = deployed.succeed("Large")
    sagemaker = deployed.aws.client("sagemaker")
    job = sagemaker.describe_processing_job(ProcessingJobName=output["model_name"])
    assert job["ProcessingJobStatus"] == "Completed"
    assert output["model_data_url"].endswith(f"/{output['model_name']}/model.tar.gz")
    trained = sagemaker.describe_training_job(TrainingJobName=output["training_job_name"])
    assert output["model_data_etag"] == deployed.etag(trained["ModelArtifacts"]["S3ModelArtifacts"])
    assert deployed.answer("Large") == "Large"


def test_an_uncompressed_model_is_packaged_and_served_as_it_is(deployed: Deployed) -> None:
    output = deployed.succeed("Uncompressed")
    assert deployed.answer("Uncompressed") == "Uncompressed"
    model = deployed.aws.client("sagemaker").describe_model(ModelName=output["model_name"])
    source = model["PrimaryContainer"]["ModelDataSource"]["S3DataSource"]
    assert source == {
        "S3Uri": output["model_data_url"],
        "S3DataType": "S3Prefix",
        "CompressionType": "None",
    }
    bucket, _, prefix = output["model_data_url"].removeprefix("s3://").partition("/")
    found = deployed.aws.client("s3").list_objects_v2(Bucket=bucket, Prefix=prefix)["Contents"]
    names = {entry["Key"].removeprefix(prefix) for entry in found}
    assert output["model_data_etag"] is None
    assert "code/serve_answer.py" in names
    assert not any(name.endswith(".tar.gz") for name in names)


def test_destroying_the_stack_leaves_nothing(deployed: Deployed, first: dict[str, Any]) -> None:
    sagemaker = deployed.aws.client("sagemaker")
    assert sagemaker.list_endpoints()["Endpoints"]
    deployed.aws.destroy(deployed.assembly)
    assert sagemaker.list_endpoints()["Endpoints"] == []
    assert sagemaker.list_endpoint_configs()["EndpointConfigs"] == []
    assert sagemaker.list_models()["Models"] == []


def test_the_readme_starts_a_local_aws(deployed: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    (block,) = readme_blocks("import LocalAws")
    variables: dict[str, Any] = {}
    exec(block, variables)  # noqa: S102 - it is our own README
    assert variables["machine"]["status"] == "ACTIVE"
