"""Nobody calls without the secret, and what SDKs sign gets through."""

import functools
import json
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from cdk_sagemaker_pytorch.local import LocalAws

pytestmark = pytest.mark.local

ONCE = {"total_max_attempts": 1}
MISMATCH = [
    ("s3", "list_buckets", {}, "SignatureDoesNotMatch"),
    ("s3", "put_object", {"Bucket": "b", "Key": "k", "Body": b"x" * 300_000}, "SignatureDoesNotMatch"),
    ("sts", "get_caller_identity", {}, "SignatureDoesNotMatch"),
    ("cloudformation", "list_stacks", {}, "SignatureDoesNotMatch"),
    ("lambda", "list_functions", {}, "InvalidSignatureException"),
    ("sagemaker", "list_models", {}, "InvalidSignatureException"),
    ("dynamodb", "list_tables", {}, "InvalidSignatureException"),
    ("sagemaker-runtime", "invoke_endpoint", {"EndpointName": "e", "Body": b""}, "InvalidSignatureException"),
]


@pytest.fixture
def session_keys(aws: LocalAws, create_role: Callable[..., str]) -> dict[str, str]:
    """Keys of a session of a role that may read objects."""
    statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
    arn = create_role("lambda.amazonaws.com", statement)
    return dict(aws.client("sts").assume_role(RoleArn=arn, RoleSessionName="me")["Credentials"])


def code_of(call: Callable[[], Any]) -> str:
    with pytest.raises(ClientError) as failure:
        call()
    return str(failure.value.response["Error"]["Code"])


def open_url(url: str, **more: Any) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, **more)) as answer:  # noqa: S310
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


@pytest.mark.parametrize(("service", "operation", "parameters", "code"), MISMATCH)
def test_fails_when_a_caller_has_the_key_id_alone(
    aws: LocalAws,
    session_keys: dict[str, str],
    service: str,
    operation: str,
    parameters: dict[str, Any],
    code: str,
) -> None:
    options = {"endpoint_url": aws.endpoint_url, "config": Config(retries=ONCE)}
    for keys in (
        (aws.environment["AWS_ACCESS_KEY_ID"], "guessed"),
        (session_keys["AccessKeyId"], "guessed", session_keys["SessionToken"]),
    ):
        client = boto3.Session(*keys, region_name="us-east-1").client(service, **options)
        assert code_of(functools.partial(getattr(client, operation), **parameters)) == code


def test_sdks_set_their_clocks_right(aws: LocalAws, door: Any) -> None:
    """What is too old is said in the words that they look for."""
    for service, words in (("s3", b"RequestTimeTooSkewed"), ("sagemaker", b"InvalidSignatureException")):
        headers = door.signed("GET", "/", service) | {"X-Amz-Date": "20200101T000000Z"}
        scope = headers["Authorization"].split("/", 2)
        headers["Authorization"] = f"{scope[0]}/20200101/{scope[2]}"
        status, _, body = door.send("GET", "/", headers)
        assert (status, words in body, b"too large" in body) == (403, True, True)


@pytest.mark.parametrize("version", ["s3", "s3v4"])
def test_presigned_urls_hold_for_one_thing(aws: LocalAws, bucket: str, version: str) -> None:
    s3 = aws.client("s3")
    names = {"Bucket": bucket, "Key": "a b/ä+#?%"}
    s3.put_object(**names, Body=b"x")
    signer = aws.client("s3", config=Config(signature_version=version))
    url = signer.generate_presigned_url("get_object", names)
    assert open_url(url) == (200, b"x")
    for changed in (url.replace("a%20b", "a%20c"), url.replace("%23", "#"), url[:-1]):
        assert open_url(changed)[0] in (400, 403)
    assert open_url(url, method="DELETE")[0] == 403
    assert s3.get_object(**names)["Body"].read() == b"x"


def test_a_presigned_url_uploads(aws: LocalAws, bucket: str) -> None:
    s3 = aws.client("s3", config=Config(signature_version="s3v4"))
    url = s3.generate_presigned_url("put_object", {"Bucket": bucket, "Key": "k"})
    assert open_url(url, method="PUT", data=b"any body", headers={"Content-Type": "a/b"})[0] == 200
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"any body"


def test_a_body_that_looks_like_a_form_is_the_object(aws: LocalAws, bucket: str) -> None:
    """What a presigned URL is for is in the URL alone."""
    s3 = aws.client("s3", config=Config(signature_version="s3v4"))
    url = s3.generate_presigned_url("put_object", {"Bucket": bucket, "Key": "k"})
    for body in (b"acl=&x=1", b"tagging=", b"key=other&file=x"):
        # As curl and urllib send what they are given.
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        assert open_url(url, method="PUT", data=body, headers=kind)[0] == 200
        answer = s3.get_object(Bucket=bucket, Key="k")
        assert (answer["Body"].read(), answer["ContentType"]) == (body, kind["Content-Type"])
    assert [item["Key"] for item in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["k"]


def test_a_presigned_call_of_another_service_is_verified(aws: LocalAws) -> None:
    """As EKS has its tokens."""
    url = aws.client("sts").generate_presigned_url("get_caller_identity", HttpMethod="GET")
    status, body = open_url(url)
    assert (status, b"user/local" in body or b"<Arn>" in body) == (200, True)
    assert open_url(url.replace("GetCallerIdentity", "GetSessionToken"))[0] == 403


def test_uploads_in_parts_and_streams_get_through(aws: LocalAws, bucket: str, tmp_path: Any) -> None:
    content = bytes(range(256)) * 40_000  # several parts
    (tmp_path / "file").write_bytes(content)
    s3 = aws.client("s3")
    s3.upload_file(str(tmp_path / "file"), bucket, "parts")
    assert s3.get_object(Bucket=bucket, Key="parts")["Body"].read() == content
    with (tmp_path / "file").open("rb") as stream:
        s3.put_object(Bucket=bucket, Key="stream", Body=stream, Metadata={"a_b": "1  2"})
    answer = s3.get_object(Bucket=bucket, Key="stream")
    assert (answer["Body"].read(), answer["Metadata"]) == (content, {"a_b": "1  2"})


def test_chunks_get_through_and_lose_their_signatures(aws: LocalAws, door: Any, bucket: str) -> None:
    body = b"3\r\none\r\n0\r\nx-amz-checksum-crc32:nVASIw==\r\n\r\n"
    more = {
        "x-amz-decoded-content-length": "3",
        "Content-Encoding": "aws-chunked",
        "x-amz-trailer": "x-amz-checksum-crc32",
    }

    class Signer(S3SigV4Auth):  # type: ignore[misc]
        def payload(self, _: Any) -> str:
            return "STREAMING-UNSIGNED-PAYLOAD-TRAILER"

    request = AWSRequest("PUT", f"{aws.endpoint_url}/{bucket}/k", more | {"Host": door.host}, body)
    Signer(door.keys, "s3", "us-east-1").add_auth(request)
    headers = {name: value for name, value in request.headers.items() if name != "Host"}
    assert door.send("PUT", f"/{bucket}/k", headers, body=body)[0] == 200
    assert aws.client("s3").get_object(Bucket=bucket, Key="k")["Body"].read() == b"one"


def test_fails_when_a_session_names_the_user_elsewhere_in_its_request(
    aws: LocalAws, door: Any, bucket: str, session_keys: dict[str, str]
) -> None:
    """Who calls is who signed, whatever else of the request looks like a key."""
    user = door.key_id
    keys = Credentials(
        session_keys["AccessKeyId"], session_keys["SecretAccessKey"], session_keys["SessionToken"]
    )
    scope = f"{user}/20260101/us-east-1/iam/aws4_request"
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    body = f"Action=CreateUser&Version=2010-05-08&UserName=x&X-Amz-Credential={scope}&AWSAccessKeyId={user}"
    headers = door.signed("POST", "/", "iam", headers=form, body=body.encode(), keys=keys)
    status, _, text = door.send("POST", "/", headers, body=body.encode())
    assert (status, b"is not authorized to perform: iam:CreateUser" in text) == (403, True)
    for more in (f"X-Amz-Credential={scope}", f"AWSAccessKeyId={user}"):
        target = f"/{bucket}?{more}"
        assert door.send("DELETE", target, door.signed("DELETE", target, keys=keys))[0] == 400
    aws.client("s3").head_bucket(Bucket=bucket)


def test_fails_when_a_presigned_url_is_sent_to_another_service(
    aws: LocalAws, door: Any, bucket: str, session_keys: dict[str, str]
) -> None:
    """The service is the one that it is signed for, whatever path, form or target say."""
    session = boto3.Session(
        session_keys["AccessKeyId"], session_keys["SecretAccessKey"], session_keys["SessionToken"]
    )
    s3 = session.client(
        "s3",
        region_name="us-east-1",
        endpoint_url=aws.endpoint_url,
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for service in ("iam", "sts", "moto_api", "cognito-identity"):
        url = s3.generate_presigned_url("put_object", {"Bucket": "b", "Key": "k"})
        target = url.removeprefix(aws.endpoint_url)
        body = (
            b"Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleSessionName=s&RoleArn="
            + service.encode()
        )
        status, _, text = door.send("PUT", target, form, body=body)
        assert status >= 400
        assert b"AccessKeyId>" not in text
        path = s3.generate_presigned_url("get_object", {"Bucket": f"{service}_us-east-1", "Key": "k"})
        status, _, text = door.send("GET", path.removeprefix(aws.endpoint_url), {})
        assert (status, b"<Code>NoSuchBucket</Code>" in text) == (404, True)


def test_fails_when_a_form_posts_to_a_bucket(aws: LocalAws, door: Any, bucket: str) -> None:
    post = aws.client("s3").generate_presigned_post(bucket, "k")
    boundary = "xyz"
    parts = "".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in (post["fields"] | {"file": "x"}).items()
    )
    body = f"{parts}--{boundary}--\r\n".encode()
    kind = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    status, _, text = door.send("POST", f"/{bucket}", kind, body=body)
    assert (status, b"forms" in text) == (403, True)
    assert aws.client("s3").list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_signatures_hold_where_policies_do_not() -> None:
    with LocalAws(enforce_iam=False) as aws:
        options = {"endpoint_url": aws.endpoint_url, "region_name": "us-east-1"}
        key = aws.environment["AWS_ACCESS_KEY_ID"]
        stranger = boto3.Session(key, "guessed").client("sts", config=Config(retries=ONCE), **options)
        assert code_of(stranger.get_caller_identity) == "SignatureDoesNotMatch"
        trust = {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        arn = aws.client("iam").create_role(RoleName="r", AssumeRolePolicyDocument=document)["Role"]["Arn"]
        keys = aws.client("sts").assume_role(RoleArn=arn, RoleSessionName="me")["Credentials"]
        for token in ("", "other"):
            session = boto3.Session(keys["AccessKeyId"], keys["SecretAccessKey"], token or None)
            assert code_of(session.client("sts", **options).get_caller_identity) == "InvalidClientTokenId"
