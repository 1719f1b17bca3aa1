"""One local AWS for all tests, and short ways to use it."""

import io
import json
import tarfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.model import OperationModel
from botocore.validate import ParamValidator

from cdk_sagemaker_pytorch.local import LocalAws
from waiting import end_of_execution, wait_for

REGISTRY = "763104351884.dkr.ecr.us-east-1.amazonaws.com"


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    with LocalAws(tmp_path_factory.mktemp("local-aws")) as running:
        running.session().events.register("after-call.sagemaker", check_answer)
        yield running


def check_answer(parsed: dict[str, Any], model: OperationModel, http_response: Any, **_: Any) -> None:
    """Hold an answer of SageMaker against the API's model: required members, types, minima."""
    if http_response.status_code < 300 and model.output_shape is not None:
        answer = {name: value for name, value in parsed.items() if name != "ResponseMetadata"}
        report = ParamValidator().validate(answer, model.output_shape)
        assert not report.has_errors(), f"{model.name}: {report.generate_report()}"


@pytest.fixture
def name() -> str:
    """A name that no other test has."""
    return f"t-{uuid.uuid4().hex[:12]}"


@pytest.fixture(scope="session")
def training_image() -> str:
    return f"{REGISTRY}/pytorch:2.13.0-cpu-amzn2023-sagemaker"


@pytest.fixture(scope="session")
def inference_image() -> str:
    """Stands for TorchServe; where that is not installed the ASGI host takes its place."""
    return f"{REGISTRY}/pytorch-inference:2.6.0-cpu-py312"


@pytest.fixture
def create_role(aws: LocalAws, name: str) -> Callable[..., str]:
    """Create a role for a service with some statements, and return its ARN."""

    def create(service: str, *statements: dict[str, Any], suffix: str = "") -> str:
        iam, role = aws.client("iam"), f"{name}-{service.split('.')[0]}{suffix}"
        trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        arn: str = iam.create_role(RoleName=role, AssumeRolePolicyDocument=document)["Role"]["Arn"]
        if statements:
            document = json.dumps({"Version": "2012-10-17", "Statement": statements})
            iam.put_role_policy(RoleName=role, PolicyName="p", PolicyDocument=document)
        return arn

    return create


@pytest.fixture
def sagemaker_role(create_role: Callable[..., str]) -> str:
    return create_role("sagemaker.amazonaws.com", {"Effect": "Allow", "Action": "s3:*", "Resource": "*"})


@pytest.fixture
def bucket(aws: LocalAws, name: str) -> str:
    aws.client("s3").create_bucket(Bucket=name)
    return name


@pytest.fixture
def put_archive(aws: LocalAws, bucket: str) -> Callable[..., str]:
    """Put a .tar.gz with some files into the bucket, and return its URI."""

    def put(key: str, files: dict[str, str]) -> str:
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w:gz") as tar:
            for path, text in files.items():
                member = tarfile.TarInfo(path)
                member.size = len(text.encode())
                tar.addfile(member, io.BytesIO(text.encode()))
        aws.client("s3").put_object(Bucket=bucket, Key=key, Body=archive.getvalue())
        return f"s3://{bucket}/{key}"

    return put


@pytest.fixture
def train(
    aws: LocalAws,
    name: str,
    bucket: str,
    put_archive: Callable[..., str],
    sagemaker_role: str,
    training_image: str,
) -> Callable[..., dict[str, Any]]:
    """Run a training job with this script to its end, and return its description."""

    def run(script: str, *, wait: bool = True, **changes: Any) -> dict[str, Any]:
        uri = put_archive("code/sourcedir.tar.gz", {"train.py": script})
        hyperparameters = {"sagemaker_program": "train.py", "sagemaker_submit_directory": uri, "epochs": 2}
        request = {
            "TrainingJobName": name,
            "AlgorithmSpecification": {"TrainingImage": training_image, "TrainingInputMode": "File"},
            "RoleArn": sagemaker_role,
            "HyperParameters": {key: json.dumps(value) for key, value in hyperparameters.items()},
            "OutputDataConfig": {"S3OutputPath": f"s3://{bucket}/out"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
            "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        } | changes
        sagemaker = aws.client("sagemaker")
        sagemaker.create_training_job(**request)

        def ended() -> dict[str, Any] | None:
            job: dict[str, Any] = sagemaker.describe_training_job(TrainingJobName=request["TrainingJobName"])
            return job if job["TrainingJobStatus"] in ("Completed", "Failed", "Stopped") else None

        if not wait:
            return dict(sagemaker.describe_training_job(TrainingJobName=request["TrainingJobName"]))
        return dict(wait_for(ended))

    return run


@pytest.fixture
def execute(aws: LocalAws, name: str, create_role: Callable[..., str]) -> Callable[..., dict[str, Any]]:
    """Run a state machine with these states under a role with these statements; return the execution."""

    def run(
        states: dict[str, Any],
        *statements: dict[str, Any],
        execution_input: Any = None,
        language: str = "JSONata",
        wait: bool = True,
    ) -> dict[str, Any]:
        definition = {"QueryLanguage": language, "StartAt": next(iter(states)), "States": states}
        client = aws.client("stepfunctions")
        machine = client.create_state_machine(
            name=name,
            definition=json.dumps(definition),
            roleArn=create_role("states.amazonaws.com", *statements),
        )["stateMachineArn"]
        arn = client.start_execution(stateMachineArn=machine, input=json.dumps(execution_input or {}))[
            "executionArn"
        ]
        if not wait:
            return dict(client.describe_execution(executionArn=arn))
        return end_of_execution(client, arn)

    return run


@pytest.fixture
def deploy(aws: LocalAws, name: str) -> Callable[..., dict[str, Any]]:
    """Create or update the test's stack and return its description when it is settled."""
    cloudformation = aws.client("cloudformation")

    def run(resources: dict[str, Any], *, update: bool = False, **more: Any) -> dict[str, Any]:
        action = cloudformation.update_stack if update else cloudformation.create_stack
        action(
            StackName=name,
            TemplateBody=json.dumps({"Resources": resources} | more),
            Capabilities=["CAPABILITY_NAMED_IAM"],
        )
        return settled()

    def settled() -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            stack: dict[str, Any] = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
            return None if stack["StackStatus"].endswith("IN_PROGRESS") else stack

        return dict(wait_for(look))

    return run


@pytest.fixture
def delete(aws: LocalAws, name: str) -> Callable[[], None]:
    def run() -> None:
        cloudformation = aws.client("cloudformation")
        stack_id = cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackId"]
        cloudformation.delete_stack(StackName=name)
        status = lambda: cloudformation.describe_stacks(StackName=stack_id)["Stacks"][0]["StackStatus"]  # noqa: E731
        assert wait_for(lambda: status() != "DELETE_IN_PROGRESS" and status()) == "DELETE_COMPLETE"

    return run


@pytest.fixture
def log_lines(aws: LocalAws) -> Callable[[str], list[str]]:
    """Return all messages of a log group."""

    def read(group: str) -> list[str]:
        events = aws.client("logs").filter_log_events(logGroupName=group)["events"]
        return [event["message"] for event in events]

    return read


@pytest.fixture
def children() -> Callable[[Path], list[str]]:
    """Return the command lines of all processes that have a folder in them."""
    import psutil

    def find(folder: Path) -> list[str]:
        found = []
        for process in psutil.process_iter():
            try:
                command = " ".join(process.cmdline())
            except psutil.Error:
                continue
            if str(folder) in command:
                found.append(command)
        return found

    return find
