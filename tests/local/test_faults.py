import io
import json
import re
import subprocess
import sys
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from cdk_sagemaker_pytorch.local import LocalAws
from waiting import wait_for

pytestmark = pytest.mark.local

ROOT = Path(__file__).parents[2]
ONCE = Config(retries={"total_max_attempts": 1})
HANDLERS = """
def model_fn(model_dir): return None
def input_fn(body, content_type): return body
def predict_fn(data, model): return data
def output_fn(prediction, accept): return prediction
"""


@pytest.fixture(autouse=True)
def nothing_left(aws: LocalAws) -> Iterator[None]:
    yield
    left = aws.faults.pending
    aws.faults.clear()
    assert left == []


def refusal(call: Callable[[], Any]) -> tuple[str, int]:
    with pytest.raises(ClientError) as failure:
        call()
    answer = failure.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


@pytest.mark.parametrize(
    ("service", "operation", "call", "expected"),
    [
        ("sagemaker", "sagemaker:ListModels", lambda c: c.list_models(), ("ThrottlingException", 400)),
        (
            "stepfunctions",
            "states:ListStateMachines",
            lambda c: c.list_state_machines(),
            ("ThrottlingException", 400),
        ),
        (
            "lambda",
            "lambda:InvokeFunction",
            lambda c: c.invoke(FunctionName="none"),
            ("ThrottlingException", 400),
        ),
        ("iam", "iam:ListRoles", lambda c: c.list_roles(), ("Throttling", 400)),
        ("cloudwatch", "cloudwatch:ListMetrics", lambda c: c.list_metrics(), ("ThrottlingException", 400)),
        (
            "s3",
            "s3:PutObject",
            lambda c: c.put_object(Bucket="b", Key="k", Body=b"x" * 99),
            ("SlowDown", 503),
        ),
        (
            "sagemaker-runtime",
            "sagemaker:InvokeEndpoint",
            lambda c: c.invoke_endpoint(EndpointName="e", Body=b"x"),
            ("ThrottlingException", 400),
        ),
    ],
)
def test_a_call_of_any_service_is_throttled_once(
    aws: LocalAws, service: str, operation: str, call: Callable[[Any], Any], expected: tuple[str, int]
) -> None:
    aws.faults.throttle(operation)
    [pending] = aws.faults.pending
    assert (pending.kind, pending.nth, pending.times) == ("throttle", 1, 1)
    client = aws.client(service, config=ONCE)
    assert refusal(lambda: call(client)) == expected
    assert aws.faults.pending == []


def test_calls_are_counted(aws: LocalAws) -> None:
    client = aws.client("sagemaker", config=ONCE)
    aws.faults.fail("sagemaker:ListModels", nth=2, times=2, code="Odd", message="so it is", status=418)
    client.list_models()
    client.list_endpoints()
    assert refusal(client.list_models) == ("Odd", 418)
    with pytest.raises(ClientError, match="so it is"):
        client.list_models()
    client.list_models()


def test_faults_that_are_due_at_once_hit_one_call_after_the_other(aws: LocalAws) -> None:
    client = aws.client("sagemaker", config=ONCE)
    aws.faults.throttle("sagemaker:ListModels")
    aws.faults.fail("sagemaker:ListModels")
    assert refusal(client.list_models) == ("ThrottlingException", 400)
    assert refusal(client.list_models) == ("InternalFailure", 500)
    client.list_models()


def test_boto3_tries_again(aws: LocalAws) -> None:
    aws.faults.throttle("sagemaker:ListModels", times=2)
    answer = aws.client("sagemaker").list_models()
    assert answer["ResponseMetadata"]["RetryAttempts"] == 2


def test_a_call_whose_answer_is_lost_took_effect(aws: LocalAws, name: str) -> None:
    aws.faults.lose_answer("s3:CreateBucket")
    aws.faults.lose_answer("dynamodb:CreateTable")
    s3 = aws.client("s3", config=ONCE)
    assert refusal(lambda: s3.create_bucket(Bucket=name)) == ("InternalFailure", 500)
    assert name in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
    with pytest.raises(ClientError, match="already exists"):  # boto3 tried again
        aws.client("dynamodb").create_table(
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        )


def test_calls_of_state_machines_and_functions_count(
    aws: LocalAws, name: str, execute: Callable[..., Any], create_role: Callable[..., str]
) -> None:
    aws.faults.throttle("sagemaker:ListModels")
    retry = [{"ErrorEquals": ["SageMaker.SageMakerException"], "IntervalSeconds": 1, "MaxAttempts": 1}]
    resource = "arn:aws:states:::aws-sdk:sagemaker:listModels"
    task = {"Type": "Task", "Resource": resource, "Arguments": {}, "Retry": retry, "End": True}
    allowed = {"Effect": "Allow", "Action": "sagemaker:*", "Resource": "*"}
    execution = execute({"List": task}, allowed)
    assert execution["status"] == "SUCCEEDED"
    history = aws.client("stepfunctions").get_execution_history(executionArn=execution["executionArn"])
    [failed] = [event for event in history["events"] if event["type"] == "TaskFailed"]
    assert failed["taskFailedEventDetails"]["error"] == "SageMaker.SageMakerException"
    assert "Rate exceeded (Service: SageMaker, Status Code: 400" in failed["taskFailedEventDetails"]["cause"]
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr(
            "index.py", "import boto3\ndef handler(e, c): boto3.client('sagemaker').list_models()"
        )
    aws.client("lambda").create_function(
        FunctionName=name,
        Role=create_role("lambda.amazonaws.com", allowed),
        Code={"ZipFile": code.getvalue()},
        Runtime="python3.13",
        Handler="index.handler",
        Timeout=60,
    )
    aws.faults.fail("sagemaker:ListModels", status=400, code="Odd")
    answer = json.loads(aws.client("lambda").invoke(FunctionName=name)["Payload"].read())
    assert "(Odd)" in answer["errorMessage"]


@pytest.fixture
def configs(
    aws: LocalAws, name: str, put_archive: Callable[..., str], sagemaker_role: str, inference_image: str
) -> list[str]:
    """Two configurations of an endpoint."""
    sagemaker, names = aws.client("sagemaker"), [f"{name}-v1", f"{name}-v2"]
    uri = put_archive("model.tar.gz", {"code/inference.py": HANDLERS})
    variables = {"SAGEMAKER_PROGRAM": "inference.py", "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code"}
    container = {"Image": inference_image, "ModelDataUrl": uri, "Environment": variables}
    for each in names:
        sagemaker.create_model(ModelName=each, ExecutionRoleArn=sagemaker_role, PrimaryContainer=container)
        variant = {"VariantName": "All", "ModelName": each, "InitialInstanceCount": 1}
        sagemaker.create_endpoint_config(
            EndpointConfigName=each, ProductionVariants=[variant | {"InstanceType": "ml.m5.large"}]
        )
    return names


@pytest.fixture
def settled(aws: LocalAws, name: str) -> Callable[[], tuple[str, str, str]]:
    """Wait until the endpoint is not changing; return status, configuration and reason."""

    def look() -> tuple[str, str, str] | None:
        endpoint = aws.client("sagemaker").describe_endpoint(EndpointName=name)
        if endpoint["EndpointStatus"] in ("Creating", "Updating"):
            return None
        reason = endpoint.get("FailureReason", "")
        return endpoint["EndpointStatus"], endpoint["EndpointConfigName"], reason

    return lambda: tuple(wait_for(look))


def test_an_endpoint_does_not_come_into_service(
    aws: LocalAws,
    name: str,
    configs: list[str],
    settled: Callable[[], tuple[str, str, str]],
) -> None:
    sagemaker, (first, second) = aws.client("sagemaker"), configs
    aws.faults.fail_endpoint(name)
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=first)
    status, _, reason = settled()
    assert (status, "InsufficientInstanceCapacity" in reason) == ("Failed", True)
    sagemaker.delete_endpoint(EndpointName=name)
    wait_for(lambda: sagemaker.list_endpoints(NameContains=name)["Endpoints"] == [])

    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=first)
    assert settled() == ("InService", first, "")
    aws.faults.fail_endpoint(name, reason="no luck")
    sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=second)
    assert settled() == ("InService", first, "no luck")
    aws.client("sagemaker-runtime").invoke_endpoint(EndpointName=name, Body=b"x")

    aws.faults.fail_endpoint(name, reason="worse", status="Failed")
    sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=second)
    assert settled() == ("Failed", first, "worse")
    with pytest.raises(ClientError, match="is not in service: Failed"):
        aws.client("sagemaker-runtime").invoke_endpoint(EndpointName=name, Body=b"x")
    with pytest.raises(ClientError, match="while it is Failed"):
        sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=second)
    sagemaker.delete_endpoint(EndpointName=name)


def test_an_endpoint_takes_longer(
    aws: LocalAws, name: str, configs: list[str], settled: Callable[[], tuple[str, str, str]]
) -> None:
    sagemaker = aws.client("sagemaker")
    aws.faults.delay_endpoint(name, 2)
    created = sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=configs[0])
    assert created["EndpointArn"].endswith(name)
    assert settled()[0] == "InService"
    endpoint = sagemaker.describe_endpoint(EndpointName=name)
    assert (endpoint["LastModifiedTime"] - endpoint["CreationTime"]).total_seconds() >= 2
    sagemaker.delete_endpoint(EndpointName=name)


def test_faults_are_forgotten(aws: LocalAws, name: str) -> None:
    aws.faults.throttle("sagemaker:ListModels", nth=3, times=2)
    aws.faults.delay_endpoint(name, 5, times=2)
    seen = [(fault.kind, fault.target, fault.nth, fault.times) for fault in aws.faults.pending]
    assert seen == [("throttle", "sagemaker:ListModels", 3, 2), ("delay_endpoint", name, 1, 2)]
    aws.faults.clear()
    assert aws.faults.pending == []


@pytest.mark.parametrize(
    ("order", "message"),
    [
        (lambda f: f.throttle("UpdateEndpoint"), 'operation must be like "sagemaker:UpdateEndpoint"'),
        (lambda f: f.throttle("sagemakr:UpdateEndpoint"), "got 'sagemakr': did you mean sagemaker"),
        (lambda f: f.throttle("sagemaker:UpdateEndpont"), "did you mean UpdateEndpoint"),
        (lambda f: f.throttle("sts:Xyz"), "sts has no operation 'Xyz': it has AssumeRole"),
        (lambda f: f.throttle("sagemaker:ListModels", nth=0), "nth must be an integer of at least 1, got 0"),
        (lambda f: f.lose_answer("sagemaker:ListModels", times=0), "times must be an integer of at least 1"),
        (lambda f: f.fail("sagemaker:ListModels", status=200), "status must be from 400 to 599, got 200"),
        (lambda f: f.fail_endpoint("e", status="Gone"), "one of InService, Failed, got 'Gone'"),
        (lambda f: f.delay_endpoint("e", -1), "seconds must not be negative, got -1"),
    ],
)
def test_fails_when_a_fault_cannot_be(aws: LocalAws, order: Callable[[Any], Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        order(aws.faults)


def test_nobody_else_orders_faults(aws: LocalAws, create_role: Callable[..., str]) -> None:
    arn = create_role("lambda.amazonaws.com", {"Effect": "Allow", "Action": "*", "Resource": "*"})
    keys = aws.client("sts").assume_role(RoleArn=arn, RoleSessionName="me")["Credentials"]
    url, order = f"{aws.endpoint_url}/_local/faults", b'{"action": "clear"}'
    signed = AWSRequest("POST", url, data=order)
    session = Credentials(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])
    SigV4Auth(session, "local", "us-east-1").add_auth(signed)
    for headers in ({}, dict(signed.headers.items())):
        request = urllib.request.Request(url, order, headers)  # noqa: S310 - http
        with pytest.raises(urllib.error.HTTPError) as failure:
            urllib.request.urlopen(request)  # noqa: S310 - http
        assert failure.value.code == 403


def test_the_page_shows_how() -> None:
    text = (ROOT / "docs" / "local-aws.md").read_text()
    blocks = re.findall(r"<!-- runs on the local AWS -->\n```python\n(.*?)```", text, re.S)
    assert any("aws.faults" in code for code in blocks)
    for code in blocks:
        subprocess.run([sys.executable, "-c", code], check=True)
