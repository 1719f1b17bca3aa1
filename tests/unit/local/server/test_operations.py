from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSRequest
from botocore.config import Config

from cdk_sagemaker_pytorch.local.server.operations import operation_of


class _SentError(Exception):
    """Carries the request that would be sent."""


def environ_of(service: str, call: str, parameters: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """Return the request that boto3 makes of a call, as WSGI has it."""
    client = boto3.client(
        service,
        region_name="us-east-1",
        aws_access_key_id="a",
        aws_secret_access_key="b",  # noqa: S106
        endpoint_url="http://127.0.0.1:1",
        config=Config(s3={"addressing_style": "path"}),
    )

    def catch(request: AWSRequest, **_: Any) -> None:
        raise _SentError(request)

    client.meta.events.register("before-send.*.*", catch)
    with pytest.raises(_SentError) as sent:
        getattr(client, call)(**parameters)
    request = sent.value.args[0]
    path, _, query = request.url.removeprefix("http://127.0.0.1:1").partition("?")
    given = {name: v.decode() if isinstance(v, bytes) else v for name, v in request.headers.items()}
    headers = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in given.items()}
    environ = {"REQUEST_METHOD": request.method, "PATH_INFO": path, "QUERY_STRING": query, **headers}
    if "x-www-form-urlencoded" not in given.get("Content-Type", ""):
        return environ, b""
    return environ, request.body.encode() if isinstance(request.body, str) else bytes(request.body)


@pytest.mark.parametrize(
    ("service", "call", "parameters", "operation"),
    [
        ("sagemaker", "update_endpoint", {"EndpointName": "e", "EndpointConfigName": "c"}, "UpdateEndpoint"),
        ("stepfunctions", "list_state_machines", {}, "ListStateMachines"),
        ("dynamodb", "get_item", {"TableName": "ttt", "Key": {}}, "GetItem"),
        ("cloudwatch", "list_metrics", {}, "ListMetrics"),
        ("iam", "get_role", {"RoleName": "r"}, "GetRole"),
        ("sts", "get_caller_identity", {}, "GetCallerIdentity"),
        ("cloudformation", "describe_stacks", {}, "DescribeStacks"),
        ("lambda", "invoke", {"FunctionName": "f"}, "Invoke"),
        ("lambda", "get_function", {"FunctionName": "f"}, "GetFunction"),
        ("sagemaker-runtime", "invoke_endpoint", {"EndpointName": "e", "Body": b""}, "InvokeEndpoint"),
        ("s3", "list_buckets", {}, "ListBuckets"),
        ("s3", "get_object", {"Bucket": "b", "Key": "a/b"}, "GetObject"),
        ("s3", "put_object", {"Bucket": "b", "Key": "a/b", "Body": b"x"}, "PutObject"),
        ("s3", "head_object", {"Bucket": "b", "Key": "a/b"}, "HeadObject"),
        ("s3", "copy_object", {"Bucket": "b", "Key": "a", "CopySource": "b/c"}, "CopyObject"),
        ("s3", "list_objects_v2", {"Bucket": "b"}, "ListObjectsV2"),
        ("s3", "get_bucket_tagging", {"Bucket": "b"}, "GetBucketTagging"),
        (
            "s3",
            "upload_part",
            {"Bucket": "b", "Key": "a", "PartNumber": 1, "UploadId": "u", "Body": b"x"},
            "UploadPart",
        ),
    ],
)
def test_a_request_is_known_by_its_operation(
    service: str, call: str, parameters: dict[str, Any], operation: str
) -> None:
    environ, form = environ_of(service, call, parameters)
    assert operation_of(service, environ, form) == operation


def test_a_request_of_another_service_is_none() -> None:
    environ = {"REQUEST_METHOD": "POST", "PATH_INFO": "/endpoints/e/invocations"}
    assert operation_of("sagemaker", environ, b"") is None
