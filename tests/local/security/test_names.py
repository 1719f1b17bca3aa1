"""Names that come with API calls never become paths outside the folder of the local AWS."""

import contextlib
import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError, ParamValidationError

from cdk_sagemaker_pytorch.local import LocalAws

pytestmark = pytest.mark.local

HOSTILE = [
    "../../escaped",
    "{above}/escaped",
    "a/../../../escaped",
    "escaped\0",
    "..",
    "escaped" * 40,
    "escaped-ünï",
]


@pytest.fixture(params=HOSTILE)
def hostile(request: pytest.FixtureRequest, aws: LocalAws) -> str:
    return str(request.param).replace("{above}", str(aws.directory.parent))


def zipped(source: str) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as code:
        code.writestr("index.py", source)
    return archive.getvalue()


def files(aws: LocalAws) -> list[str]:
    """Everything beside and below the folder of the local AWS that a name could have made."""
    found = [*aws.directory.parent.rglob("*escaped*"), *aws.directory.parent.parent.glob("*escaped*")]
    return [str(path) for path in found if aws.directory not in path.parents]


def test_a_function_runs_and_logs_inside_whatever_its_name(
    aws: LocalAws, create_role: Callable[..., str], hostile: str, log_lines: Callable[[str], list[str]]
) -> None:
    functions = aws.client("lambda")
    role = create_role("lambda.amazonaws.com")
    code = {"ZipFile": zipped("def handler(event, context): print('was here'); return 1")}
    settings = {"Role": role, "Runtime": "python3.13", "Handler": "index.handler"}
    try:
        arn = functions.create_function(FunctionName=hostile, Code=code, **settings)["FunctionArn"]
        functions.invoke(FunctionName=arn)
    except ClientError:
        pass  # refused is as good
    else:
        logs = aws.logs_directory / "lambda"
        assert [path for path in logs.iterdir() if "%" in path.name and "was here" in path.read_text()]
    assert files(aws) == []


def test_fails_when_a_name_is_none_of_sagemaker(
    aws: LocalAws, sagemaker_role: str, training_image: str, inference_image: str, name: str, hostile: str
) -> None:
    sagemaker = aws.client("sagemaker")
    job: dict[str, Any] = {
        "TrainingJobName": name,
        "AlgorithmSpecification": {"TrainingImage": training_image, "TrainingInputMode": "File"},
        "RoleArn": sagemaker_role,
        "OutputDataConfig": {"S3OutputPath": "s3://b/out"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
    }
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://b/in"}}
    processing = {
        "ProcessingResources": {
            "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}
        },
        "AppSpecification": {"ImageUri": training_image, "ContainerEntrypoint": ["true"]},
        "RoleArn": sagemaker_role,
    }
    sagemaker.create_model(
        ModelName=name, ExecutionRoleArn=sagemaker_role, PrimaryContainer={"Image": inference_image}
    )
    variant = {
        "VariantName": "v",
        "ModelName": name,
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
    }
    calls: list[Callable[[], Any]] = [
        lambda: sagemaker.create_training_job(**job | {"TrainingJobName": hostile}),
        lambda: sagemaker.create_processing_job(ProcessingJobName=hostile, **processing),
        lambda: sagemaker.create_model(ModelName=hostile, ExecutionRoleArn=sagemaker_role),
        lambda: sagemaker.create_endpoint_config(EndpointConfigName=hostile, ProductionVariants=[variant]),
        lambda: sagemaker.create_endpoint_config(
            EndpointConfigName=name, ProductionVariants=[variant | {"VariantName": hostile}]
        ),
        lambda: sagemaker.create_endpoint(EndpointName=hostile, EndpointConfigName=name),
    ]
    if hostile != "..":  # fits the pattern of channels; see below
        channels = [{"ChannelName": hostile, "DataSource": source}]
        calls.append(lambda: sagemaker.create_training_job(**job, InputDataConfig=channels))
    for call in calls:
        with pytest.raises(ClientError, match="failed to satisfy constraint: Member must") as failure:
            call()
        assert failure.value.response["Error"]["Code"] == "ValidationException"
    assert files(aws) == []


def test_no_other_name_becomes_a_path(
    aws: LocalAws, bucket: str, create_role: Callable[..., str], hostile: str
) -> None:
    states = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Succeed"}}})
    role = create_role("states.amazonaws.com")
    machines = aws.client("stepfunctions")
    machine = machines.create_state_machine(name=bucket, definition=states, roleArn=role)["stateMachineArn"]
    pattern = json.dumps({"source": ["x"]})
    calls: list[Callable[[], Any]] = [
        lambda: aws.client("logs").create_log_group(logGroupName=hostile),
        lambda: aws.client("s3").put_object(Bucket=bucket, Key=hostile, Body=b"x"),
        lambda: machines.create_state_machine(name=hostile, definition=states, roleArn=role),
        lambda: machines.start_execution(stateMachineArn=machine, name=hostile),
        lambda: aws.client("cloudformation").create_stack(
            StackName=hostile, TemplateBody='{"Resources": {"B": {"Type": "AWS::S3::Bucket"}}}'
        ),
        lambda: aws.client("events").put_rule(Name=hostile, EventPattern=pattern),
        lambda: aws.client("ssm").put_parameter(Name=hostile, Value="x", Type="String"),
    ]
    for call in calls:
        with contextlib.suppress(ClientError, ParamValidationError):  # refused is as good
            call()
    assert files(aws) == []


def test_fails_when_a_channel_is_called_as_the_folder_above(
    aws: LocalAws, bucket: str, train: Callable[..., dict[str, Any]]
) -> None:
    aws.client("s3").put_object(Bucket=bucket, Key="in/escaped.txt", Body=b"x")
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{bucket}/in/"}}
    job = train("", InputDataConfig=[{"ChannelName": "..", "DataSource": source}])
    assert job["TrainingJobStatus"] == "Failed"
    assert "a channel's name must be fit for a folder, got '..'" in job["FailureReason"]
    assert not (aws.directory / "training" / job["TrainingJobName"] / "escaped.txt").exists()


def test_fails_when_a_key_would_leave_its_channel(
    aws: LocalAws, bucket: str, train: Callable[..., dict[str, Any]]
) -> None:
    for key in ("in/../../../../escaped.txt", "in//tmp/escaped.txt"):
        aws.client("s3").put_object(Bucket=bucket, Key=key, Body=b"x")
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{bucket}/in/"}}
    job = train("", InputDataConfig=[{"ChannelName": "train", "DataSource": source}])
    assert "would be written outside its channel" in job["FailureReason"]
    assert files(aws) == []
    assert json.dumps(job["InputDataConfig"][0]["ChannelName"]) == '"train"'
