import contextlib
import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from botocore.exceptions import ClientError

from cdk_sagemaker_pytorch.local import LocalAws
from waiting import wait_for

pytestmark = pytest.mark.local

HANDLERS = """
import json, os

def model_fn(model_dir):
    with open(os.path.join(model_dir, "bias.json")) as file:
        return json.load(file)

def input_fn(body, content_type):
    return json.loads(body)

def predict_fn(data, bias):
    if data == "raise":
        raise RuntimeError("cannot add that")
    return sum(data) + bias

def output_fn(prediction, accept):
    return json.dumps(prediction)
"""


@pytest.fixture
def create_config(
    aws: LocalAws, name: str, put_archive: Callable[..., str], sagemaker_role: str, inference_image: str
) -> Callable[..., str]:
    """Create a model that adds `bias` and an endpoint configuration for it; return the name of both."""

    def create(bias: str, version: str, image: str = inference_image) -> str:
        uri = put_archive(f"{version}/model.tar.gz", {"bias.json": bias, "code/inference.py": HANDLERS})
        sagemaker, config = aws.client("sagemaker"), f"{name}-{version}"
        sagemaker.create_model(
            ModelName=config,
            ExecutionRoleArn=sagemaker_role,
            PrimaryContainer={
                "Image": image,
                "ModelDataUrl": uri,
                "Environment": {
                    "SAGEMAKER_PROGRAM": "inference.py",
                    "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
                },
            },
        )
        variant = {
            "VariantName": "AllTraffic",
            "ModelName": config,
            "InstanceType": "ml.m5.large",
            "InitialInstanceCount": 1,
        }
        sagemaker.create_endpoint_config(EndpointConfigName=config, ProductionVariants=[variant])
        return config

    return create


@pytest.fixture
def settled(aws: LocalAws, name: str) -> Callable[[], dict[str, Any]]:
    """Wait until the endpoint is not changing, and return its description."""

    def look() -> dict[str, Any] | None:
        endpoint: dict[str, Any] = aws.client("sagemaker").describe_endpoint(EndpointName=name)
        return None if endpoint["EndpointStatus"] in ("Creating", "Updating") else endpoint

    return lambda: dict(wait_for(look))


@pytest.fixture
def gone(aws: LocalAws, name: str) -> Callable[[], None]:
    """Wait until the endpoint is deleted; until then it is seen being deleted."""

    def look() -> bool:
        try:
            status = aws.client("sagemaker").describe_endpoint(EndpointName=name)["EndpointStatus"]
        except ClientError as error:
            return "Could not find endpoint" in str(error)
        assert status == "Deleting"
        return False

    return lambda: wait_for(look)


@pytest.fixture
def invoke(aws: LocalAws, name: str) -> Callable[[Any], Any]:
    def send(data: Any) -> Any:
        answer = aws.client("sagemaker-runtime").invoke_endpoint(
            EndpointName=name,
            ContentType="application/json",
            Accept="application/json",
            Body=json.dumps(data),
        )
        assert answer["InvokedProductionVariant"] == "AllTraffic"
        return json.loads(answer["Body"].read())

    return send


def test_an_endpoint_answers_is_updated_and_goes(
    aws: LocalAws,
    name: str,
    create_config: Callable[..., str],
    settled: Callable[[], dict[str, Any]],
    invoke: Callable[[Any], Any],
    gone: Callable[[], None],
    children: Callable[[Path], list[str]],
) -> None:
    sagemaker = aws.client("sagemaker")
    first = create_config("10", "v1")
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=first)
    with pytest.raises(ClientError, match="is not in service: Creating"):
        invoke([1])
    endpoint = settled()
    assert (endpoint["EndpointStatus"], endpoint["EndpointConfigName"]) == ("InService", first)
    [variant] = endpoint["ProductionVariants"]
    assert variant["CurrentInstanceCount"] == 1
    assert "pytorch-inference" in variant["DeployedImages"][0]["SpecifiedImage"]
    assert invoke([1, 2]) == 13

    with pytest.raises(ClientError, match="cannot add that") as failure:
        invoke("raise")
    assert failure.value.response["Error"]["Code"] == "ModelError"
    assert failure.value.response["OriginalStatusCode"] == 500
    assert "cannot add that" in failure.value.response["OriginalMessage"]

    second = create_config("20", "v2")
    sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=second)
    assert invoke([1, 2]) in (13, 23)  # the old version serves until the new one is ready
    assert settled()["EndpointConfigName"] == second
    assert invoke([1, 2]) == 23

    broken = create_config("not json", "v3")
    sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=broken)
    endpoint = settled()
    assert (endpoint["EndpointStatus"], endpoint["EndpointConfigName"]) == ("InService", second)
    assert "did not pass the ping health check" in endpoint["FailureReason"]
    assert "JSONDecodeError" in endpoint["FailureReason"]
    assert invoke([1, 2]) == 23

    folder = aws.directory / "endpoints" / name
    assert children(folder)
    sagemaker.delete_endpoint(EndpointName=name)
    gone()
    assert not children(folder)
    assert list(folder.iterdir()) == []
    with pytest.raises(ClientError, match=f"Endpoint {name} of account 123456789012 not found"):
        invoke([1])
    with pytest.raises(ClientError, match=f'Could not find endpoint "arn:aws:sagemaker:.*endpoint/{name}"'):
        sagemaker.describe_endpoint(EndpointName=name)


def test_an_endpoint_is_restarted_changed_measured_and_limited(
    aws: LocalAws,
    name: str,
    create_config: Callable[..., str],
    settled: Callable[[], dict[str, Any]],
    invoke: Callable[[Any], Any],
    gone: Callable[[], None],
) -> None:
    sagemaker, runtime = aws.client("sagemaker"), aws.client("sagemaker-runtime")
    first, second = create_config("10", "v1"), create_config("20", "v2")
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=first)
    settled()

    # Weights and counts, which an update can keep.
    desired = {"VariantName": "AllTraffic", "DesiredWeight": 0.5, "DesiredInstanceCount": 3}
    shown = ("CurrentWeight", "DesiredWeight", "CurrentInstanceCount", "DesiredInstanceCount")
    seen = lambda: [settled()["ProductionVariants"][0][key] for key in shown]  # noqa: E731
    with pytest.raises(ClientError, match="Variant other not found"):
        sagemaker.update_endpoint_weights_and_capacities(
            EndpointName=name, DesiredWeightsAndCapacities=[desired, {"VariantName": "other"}]
        )
    assert seen() == [1.0, 1.0, 1, 1]
    sagemaker.update_endpoint_weights_and_capacities(EndpointName=name, DesiredWeightsAndCapacities=[desired])
    assert seen() == [0.5, 0.5, 3, 3]
    excluded = [{"VariantPropertyType": "DesiredWeight"}]
    sagemaker.update_endpoint(
        EndpointName=name,
        EndpointConfigName=second,
        RetainAllVariantProperties=True,
        ExcludeRetainedVariantProperties=excluded,
    )
    assert seen() == [1.0, 1.0, 3, 3]

    # A container that ends is started again.
    folder = str(aws.directory / "endpoints" / name)
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            command = " ".join(process.cmdline())
            if "asgi_host.py" in command and folder in command and "supervisor.py" not in command:
                process.kill()

    def answers() -> bool:
        try:
            return bool(invoke([1]) == 21)
        except runtime.exceptions.ModelError:
            return False

    wait_for(answers)
    assert settled()["EndpointStatus"] == "InService"

    # Metrics are data points.
    with pytest.raises(ClientError, match="cannot add that"):
        invoke("raise")

    def total(metric: str) -> float:
        now = dt.datetime.now(dt.UTC)
        points = aws.client("cloudwatch").get_metric_statistics(
            Namespace="AWS/SageMaker",
            MetricName=metric,
            Dimensions=[
                {"Name": "EndpointName", "Value": name},
                {"Name": "VariantName", "Value": "AllTraffic"},
            ],
            StartTime=now - dt.timedelta(hours=1),
            EndTime=now + dt.timedelta(hours=1),
            Period=3600,
            Statistics=["Sum"],
        )["Datapoints"]
        return float(sum(point["Sum"] for point in points))

    wait_for(lambda: total("Invocation5XXErrors") >= 1)
    assert total("Invocations") >= 2
    assert total("ModelLatency") > 0

    # The service's limits, before the container sees anything.
    request = {"EndpointName": name, "ContentType": "application/json"}
    with pytest.raises(ClientError, match="HTTP content length exceeded 26214400 bytes") as failure:
        runtime.invoke_endpoint(**request, Body=b"0" * (26214400 + 1))
    assert failure.value.response["ResponseMetadata"]["HTTPStatusCode"] == 413
    for parameter in ("TargetModel", "TargetContainerHostname", "InferenceComponentName"):
        with pytest.raises(ClientError, match=f"{parameter} is for .*; {name} is no such endpoint"):
            runtime.invoke_endpoint(**request, Body=b"[1]", **{parameter: "other"})
    sagemaker.delete_endpoint(EndpointName=name)
    gone()


def test_an_endpoint_that_changes_says_so(
    aws: LocalAws,
    name: str,
    create_config: Callable[..., str],
    settled: Callable[[], dict[str, Any]],
    gone: Callable[[], None],
) -> None:
    sagemaker = aws.client("sagemaker")
    describe = lambda: sagemaker.describe_endpoint(EndpointName=name)  # noqa: E731
    first, second = create_config("1", "v1"), create_config("2", "v2")

    def check_pending(config: str) -> dict[str, Any]:
        endpoint = dict(describe())
        pending = endpoint["PendingDeploymentSummary"]
        assert pending["EndpointConfigName"] == config
        assert [variant["VariantName"] for variant in pending["ProductionVariants"]] == ["AllTraffic"]
        for change in (
            lambda: sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=second),
            lambda: sagemaker.delete_endpoint(EndpointName=name),
        ):
            with pytest.raises(ClientError, match=f"while it is {endpoint['EndpointStatus']}") as failure:
                change()
            assert failure.value.response["Error"]["Code"] == "ValidationException"
        return endpoint

    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=first)
    creating = check_pending(first)
    assert creating["PendingDeploymentSummary"]["StartTime"] == creating["CreationTime"]
    created = settled()
    assert "PendingDeploymentSummary" not in created
    assert created["LastModifiedTime"] > creating["LastModifiedTime"]
    sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=second)
    updating = check_pending(second)
    assert updating["EndpointConfigName"] == first
    assert updating["PendingDeploymentSummary"]["StartTime"] == updating["LastModifiedTime"]
    assert updating["LastModifiedTime"] > created["LastModifiedTime"]
    # What is in service needs neither its configuration nor its model any more.
    sagemaker.delete_endpoint_config(EndpointConfigName=first)
    sagemaker.delete_model(ModelName=first)
    updated = settled()
    assert updated["EndpointConfigName"] == second
    assert updated["LastModifiedTime"] > updating["LastModifiedTime"]
    sagemaker.delete_endpoint(EndpointName=name)
    gone()


def test_fails_when_the_model_does_not_load(
    aws: LocalAws,
    name: str,
    create_config: Callable[..., str],
    settled: Callable[[], dict[str, Any]],
    log_lines: Callable[[str], list[str]],
) -> None:
    sagemaker = aws.client("sagemaker")
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=create_config("{", "v1"))
    endpoint = settled()
    assert endpoint["EndpointStatus"] == "Failed"
    assert "JSONDecodeError" in endpoint["FailureReason"]
    assert "JSONDecodeError" in "\n".join(log_lines(f"/aws/sagemaker/Endpoints/{name}"))
    with pytest.raises(ClientError, match="while it is Failed"):
        sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=f"{name}-v1")
    sagemaker.delete_endpoint(EndpointName=name)


def test_fails_when_the_model_data_is_missing(
    aws: LocalAws,
    bucket: str,
    name: str,
    create_config: Callable[..., str],
    settled: Callable[[], dict[str, Any]],
) -> None:
    config = create_config("1", "v1")
    aws.client("s3").delete_object(Bucket=bucket, Key="v1/model.tar.gz")
    aws.client("sagemaker").create_endpoint(EndpointName=name, EndpointConfigName=config)
    endpoint = settled()
    assert endpoint["EndpointStatus"] == "Failed"
    assert f"Could not access model data at s3://{bucket}/v1/model.tar.gz" in endpoint["FailureReason"]
    aws.client("sagemaker").delete_endpoint(EndpointName=name)


def test_fails_when_the_image_is_not_known(
    aws: LocalAws, name: str, create_config: Callable[..., str], settled: Callable[[], dict[str, Any]]
) -> None:
    config = create_config("1", "v1", image="123456789012.dkr.ecr.us-east-1.amazonaws.com/mine:1")
    aws.client("sagemaker").create_endpoint(EndpointName=name, EndpointConfigName=config)
    assert "cannot run '123456789012.dkr.ecr" in settled()["FailureReason"]
    aws.client("sagemaker").delete_endpoint(EndpointName=name)


def test_records_are_listed_described_tagged_and_deleted(
    aws: LocalAws, name: str, create_config: Callable[..., str]
) -> None:
    sagemaker, config = aws.client("sagemaker"), create_config("1", "v1")
    [model] = sagemaker.list_models(NameContains=name)["Models"]
    assert model["ModelName"] == config
    assert sagemaker.describe_model(ModelName=config)["PrimaryContainer"]["ModelDataUrl"].endswith(".tar.gz")
    arn = sagemaker.describe_endpoint_config(EndpointConfigName=config)["EndpointConfigArn"]
    sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "a", "Value": "1"}])
    sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "a", "Value": "2"}, {"Key": "b", "Value": "3"}])
    sagemaker.delete_tags(ResourceArn=arn, TagKeys=["b"])
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "a", "Value": "2"}]
    with pytest.raises(ClientError, match="Cannot create already existing model"):
        create_config("1", "v1")
    sagemaker.delete_endpoint_config(EndpointConfigName=config)
    sagemaker.delete_model(ModelName=config)
    assert sagemaker.list_endpoint_configs(NameContains=name)["EndpointConfigs"] == []
    with pytest.raises(ClientError, match="Could not find model"):
        sagemaker.delete_model(ModelName=config)


def test_lists_have_pages(aws: LocalAws, name: str, create_config: Callable[..., str]) -> None:
    for version in ("v1", "v2", "v3"):
        create_config("1", version)
    pages = (
        aws.client("sagemaker")
        .get_paginator("list_models")
        .paginate(NameContains=name, SortBy="Name", SortOrder="Ascending", PaginationConfig={"PageSize": 2})
    )
    assert [[model["ModelName"][-2:] for model in page["Models"]] for page in pages] == [["v1", "v2"], ["v3"]]
