import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from cdk_sagemaker_pytorch.local import LocalAws

pytestmark = pytest.mark.local

ONCE = {"total_max_attempts": 1}
# With the code that an unknown key gets.
EVERY_PROTOCOL = [
    ("s3", "list_buckets", {}, "InvalidAccessKeyId"),
    ("sts", "get_caller_identity", {}, "InvalidClientTokenId"),
    ("iam", "list_roles", {}, "InvalidClientTokenId"),
    ("cloudformation", "list_stacks", {}, "InvalidClientTokenId"),
    ("lambda", "list_functions", {}, "UnrecognizedClientException"),
    ("sagemaker", "list_models", {}, "UnrecognizedClientException"),
    ("stepfunctions", "list_state_machines", {}, "UnrecognizedClientException"),
    (
        "sagemaker-runtime",
        "invoke_endpoint",
        {"EndpointName": "e", "Body": b""},
        "UnrecognizedClientException",
    ),
    ("route53", "list_hosted_zones", {}, "InvalidClientTokenId"),
    ("ec2", "describe_vpcs", {}, "InvalidClientTokenId"),
]
MOTO_PAGES = [
    "/moto-api/",
    "/moto-api/reset",
    "//moto-api/reset",
    "/%6doto-api/reset",
    "/moto-api//reset",
    "/./moto-api/reset",
    "/x/../moto-api/reset",
    "/moto-api/recorder/start-recording",
    "/moto-api/state-manager/set-transition",
    "/latest/meta-data/iam/security-credentials/",
    "/latest/api/token",
    "/favicon.ico",
    "http://motoapi.amazonaws.com/moto-api/reset",
    "http://127.0.0.1:{port}/moto-api/reset",
]


@pytest.mark.parametrize("target", MOTO_PAGES)
def test_no_page_of_moto_itself_answers(aws: LocalAws, door: Any, bucket: str, target: str) -> None:
    for service in (
        "s3",
        "motoapi",
        "motoapi.amazonaws.com",
        "169.254.169.254",
        "moto_api",
        "instance_metadata",
    ):
        for method in ("GET", "POST"):
            status, _, body = door.send_signed(method, target, service, body=b"0")
            assert status >= 400, (service, method, body)
            assert b"AccessKeyId" not in body
    assert door.send("POST", target, {}, body=b"0")[0] == 403
    aws.client("s3").head_bucket(Bucket=bucket)  # nothing was reset


@pytest.mark.parametrize(
    "hosts",
    [
        [],
        [""],
        ["evil.example"],
        ["evil.example:{port}"],
        ["127.0.0.1"],
        ["127.0.0.1:1"],
        ["127.0.0.1.evil.example:{port}"],
        ["bucket.localhost:{port}"],
        ["[::1]:{port}"],
        ["0.0.0.0:{port}"],
        ["s3.amazonaws.com"],
        ["motoapi.amazonaws.com"],
        ["169.254.169.254"],
        ["127.0.0.1:{port}", "evil.example"],
    ],
)
def test_fails_when_the_host_is_another(door: Any, hosts: list[str]) -> None:
    hosts = [host.replace("{port}", str(door.port)) for host in hosts]
    for target in ("/", "/_local/health"):
        headers = door.signed("GET", target, host="".join(hosts[:1]))
        status, _, body = door.send("GET", target, headers, hosts)
        assert (status, b"the local AWS answers as" in body) == (403, True)


def test_it_answers_as_loopback_under_two_names(door: Any) -> None:
    for host in (door.host, f"localhost:{door.port}", f"LOCALHOST:{door.port}"):
        assert door.send("GET", "/", door.signed("GET", "/", host=host), [host])[0] == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:3000"},
        {"Origin": ""},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_fails_when_a_web_page_asks(door: Any, headers: dict[str, str]) -> None:
    assert door.send("GET", "/", door.signed("GET", "/", headers=headers))[0] == 403
    assert door.send("PUT", "/_local/cloudformation-response/x", headers, body=b"{}")[0] == 403


def test_no_answer_is_opened_to_web_pages(aws: LocalAws, door: Any, bucket: str) -> None:
    s3 = aws.client("s3")
    rule = {"AllowedMethods": ["GET", "PUT"], "AllowedOrigins": ["*"], "AllowedHeaders": ["*"]}
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [rule]})
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    asked = {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "authorization"}
    own = {"Origin": f"http://{door.host}", "Sec-Fetch-Site": "same-origin"}
    for path in ("/", f"/{bucket}", f"/{bucket}/k", "/_local/health"):
        for origin in ("https://evil.example", own["Origin"]):
            given = door.signed("OPTIONS", path, headers=asked | {"Origin": origin})
            status, headers, _ = door.send("OPTIONS", path, given)
            assert status == 403
            assert not [name for name in headers if name.lower().startswith("access-control-")]
        status, headers, _ = door.send("GET", path, door.signed("GET", path, headers=own))
        assert status == 200
        assert not [name for name in headers if name.lower().startswith("access-control-")]


def refused(
    endpoint_url: str, service: str, operation: str, parameters: dict[str, Any], config: Any
) -> ClientError:
    stranger = boto3.Session("AKIAXXXXXXXXXXXXXXXX", "secret", region_name="us-east-1")
    client = stranger.client(service, endpoint_url=endpoint_url, config=Config(retries=ONCE, **config))
    with pytest.raises(ClientError) as failure:
        getattr(client, operation)(**parameters)
    return failure.value


@pytest.mark.parametrize(("service", "operation", "parameters", "code"), EVERY_PROTOCOL)
def test_fails_when_the_key_is_unknown_or_missing(
    aws: LocalAws, service: str, operation: str, parameters: dict[str, Any], code: str
) -> None:
    error = refused(aws.endpoint_url, service, operation, parameters, {})
    assert "The security token included in the request is invalid" in str(error)
    assert error.response["Error"]["Code"] == code
    error = refused(aws.endpoint_url, service, operation, parameters, {"signature_version": UNSIGNED})
    assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_without_enforcement_roles_may_do_everything_and_strangers_nothing(
    tmp_path: Path, children: Callable[[Path], list[str]]
) -> None:
    given = tmp_path / "given"
    with LocalAws(given, enforce_iam=False) as aws:
        for service, operation, parameters, _ in EVERY_PROTOCOL:
            for config in ({}, {"signature_version": UNSIGNED}):
                error = refused(aws.endpoint_url, service, operation, parameters, config)
                assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 403
        trust = {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        arn = aws.client("iam").create_role(RoleName="r", AssumeRolePolicyDocument=document)["Role"]["Arn"]
        keys = aws.client("sts").assume_role(RoleArn=arn, RoleSessionName="me")["Credentials"]
        session = boto3.Session(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])
        s3 = session.client("s3", endpoint_url=aws.endpoint_url, region_name="us-east-1")
        assert s3.list_buckets()["Buckets"] == []

        # What it made is open to its user alone, and its keys are in nobody's sight.
        assert stat.S_IMODE(given.stat().st_mode) == 0o700
        assert {stat.S_IMODE(path.stat().st_mode) for path in given.iterdir() if path.is_dir()} == {0o700}
        secret = aws.environment["AWS_SECRET_ACCESS_KEY"]
        for command in children(given):
            assert secret not in command
            assert aws.environment["AWS_ACCESS_KEY_ID"] not in command
        assert secret not in (given / "logs" / "server.log").read_text()


def test_every_start_has_keys_of_its_own(aws: LocalAws, door: Any, knock: Any) -> None:
    with LocalAws() as other:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            assert aws.environment[name] != other.environment[name]
        there = knock(other)
        assert there.send_signed("GET", "/", keys=there.keys)[0] == 200
        assert there.send_signed("GET", "/", keys=door.keys)[0] == 403


@pytest.mark.parametrize("version", ["s3", "s3v4"])
def test_a_presigned_url_opens_its_object(aws: LocalAws, door: Any, bucket: str, version: str) -> None:
    aws.client("s3").put_object(Bucket=bucket, Key="k", Body=b"x")
    s3 = aws.client("s3", config=Config(signature_version=version))
    url = s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "k"})
    target = url.removeprefix(aws.endpoint_url)
    assert door.send("GET", target, {})[::2] == (200, b"x")
    key_id = aws.environment["AWS_ACCESS_KEY_ID"]
    assert door.send("GET", target.replace(key_id, "AKIAXXXXXXXXXXXXXXXX"), {})[0] == 403


def test_fails_when_nobody_waits_for_the_answer_of_a_custom_resource(door: Any) -> None:
    answer = json.dumps({"Status": "SUCCESS"}).encode()
    for token in ("", "x", "00000000-0000-0000-0000-000000000000"):
        assert door.send("PUT", f"/_local/cloudformation-response/{token}", {}, body=answer)[0] == 403


@pytest.mark.parametrize("length", ["99999999999", "-1", "x"])
def test_fails_when_a_body_without_a_key_is_endless(door: Any, length: str) -> None:
    path, headers = "/_local/cloudformation-response/x", {"Content-Length": length}
    assert door.send("PUT", path, headers)[0] == 403


def test_the_health_check_reveals_nothing(door: Any) -> None:
    assert door.send("GET", "/_local/health", {})[::2] == (200, b"{}")


@pytest.mark.parametrize(
    ("service", "operation", "named"),
    [
        ("ec2", "describe_fast_launch_images", "describe_fast_launch_images"),
        ("sagemaker", "list_hubs", "list_hubs"),
        ("cloudformation", "list_types", "list_types"),
        ("lambda", "list_code_signing_configs", "GET /2020-04-22/code-signing-configs"),
    ],
)
def test_fails_with_its_name_when_an_operation_is_unknown(
    aws: LocalAws, service: str, operation: str, named: str
) -> None:
    with pytest.raises(ClientError, match=f"the local AWS: .*{named}.* has not been implemented") as failure:
        getattr(aws.client(service, config=Config(retries=ONCE)), operation)()
    assert failure.value.response["Error"]["Code"] == "NotImplemented"
