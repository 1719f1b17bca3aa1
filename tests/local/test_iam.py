import json
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from cdk_sagemaker_pytorch.local import LocalAws

pytestmark = pytest.mark.local


@pytest.fixture
def client_of_role(aws: LocalAws, create_role: Callable[..., str]) -> Callable[..., Any]:
    """Return a client with the session of a role that has these statements."""

    def make(service: str, *statements: dict[str, Any]) -> Any:
        arn = create_role("sagemaker.amazonaws.com", *statements, suffix=f"-{service}")
        keys = aws.client("sts").assume_role(RoleArn=arn, RoleSessionName="me")["Credentials"]
        session = boto3.Session(
            keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"], region_name="us-east-1"
        )
        return session.client(service, endpoint_url=aws.endpoint_url)

    return make


def allow(action: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def code_of(failure: pytest.ExceptionInfo[ClientError]) -> str:
    return str(failure.value.response["Error"]["Code"])


def test_objects_are_open_to_who_may_and_closed_to_others(
    aws: LocalAws, bucket: str, client_of_role: Callable[..., Any]
) -> None:
    for key in ("open/a", "closed/a"):
        aws.client("s3").put_object(Bucket=bucket, Key=key, Body=b"x")
    s3 = client_of_role(
        "s3",
        allow("s3:GetObject*", f"arn:aws:s3:::{bucket}/open/*"),
        allow("s3:ListBucket", f"arn:aws:s3:::{bucket}", Condition={"StringLike": {"s3:prefix": "open/*"}}),
    )
    assert s3.get_object(Bucket=bucket, Key="open/a")["Body"].read() == b"x"
    assert s3.list_objects_v2(Bucket=bucket, Prefix="open/")["KeyCount"] == 1
    for call in (
        lambda: s3.get_object(Bucket=bucket, Key="closed/a"),
        lambda: s3.put_object(Bucket=bucket, Key="open/b", Body=b"y"),
        lambda: s3.list_objects_v2(Bucket=bucket),
    ):
        with pytest.raises(ClientError, match="not authorized to perform: s3:") as failure:
            call()
        assert code_of(failure) == "AccessDenied"


def test_a_bucket_policy_allows_and_denies(
    aws: LocalAws, bucket: str, client_of_role: Callable[..., Any], name: str
) -> None:
    aws.client("s3").put_object(Bucket=bucket, Key="a", Body=b"x")
    s3 = client_of_role("s3", allow("s3:DeleteObject", f"arn:aws:s3:::{bucket}/*"))
    role = {"AWS": f"arn:aws:iam::123456789012:role/{name}-sagemaker-s3"}
    objects = f"arn:aws:s3:::{bucket}/*"
    insecure = {"Bool": {"aws:SecureTransport": "false"}}
    statements = [
        allow("s3:GetObject", objects, Principal=role),
        {"Effect": "Deny", "Principal": role, "Action": "s3:DeleteObject", "Resource": objects},
        {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": objects, "Condition": insecure},
    ]
    document = json.dumps({"Version": "2012-10-17", "Statement": statements})
    aws.client("s3").put_bucket_policy(Bucket=bucket, Policy=document)
    assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == b"x"
    with pytest.raises(ClientError, match="s3:DeleteObject"):
        s3.delete_object(Bucket=bucket, Key="a")


def test_sagemaker_is_checked_by_arn_tags_and_passed_role(
    aws: LocalAws, name: str, client_of_role: Callable[..., Any], sagemaker_role: str
) -> None:
    models = f"arn:aws:sagemaker:us-east-1:123456789012:model/{name}-*"
    sagemaker = client_of_role(
        "sagemaker",
        allow(["sagemaker:CreateModel", "sagemaker:AddTags"], models),
        allow(
            "iam:PassRole",
            sagemaker_role,
            Condition={"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
        ),
        allow(
            "sagemaker:DeleteModel", "*", Condition={"StringEquals": {"aws:ResourceTag/owner": "pipeline"}}
        ),
    )
    container = {"Image": "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-inference:2.6.0-cpu-py312"}

    def create(model: str, role: str = sagemaker_role, **more: Any) -> None:
        sagemaker.create_model(ModelName=model, ExecutionRoleArn=role, PrimaryContainer=container, **more)

    create(f"{name}-a", Tags=[{"Key": "owner", "Value": "pipeline"}])
    create(f"{name}-b")
    with pytest.raises(ClientError, match=f"sagemaker:CreateModel on resource: .*model/other-{name}"):
        create(f"other-{name}")
    with pytest.raises(ClientError, match=r"iam:PassRole on resource: .*-sagemaker-sagemaker"):
        create(f"{name}-c", role=sagemaker_role + "-sagemaker")
    sagemaker.delete_model(ModelName=f"{name}-a")
    with pytest.raises(ClientError, match="sagemaker:DeleteModel") as failure:
        sagemaker.delete_model(ModelName=f"{name}-b")
    assert code_of(failure) == "AccessDeniedException"


@pytest.mark.parametrize(
    ("service", "call", "action"),
    [
        ("lambda", lambda c: c.invoke(FunctionName="f"), "lambda:InvokeFunction"),
        ("stepfunctions", lambda c: c.list_state_machines(), "states:ListStateMachines"),
        ("iam", lambda c: c.list_roles(), "iam:ListRoles"),
        ("cloudformation", lambda c: c.describe_stacks(), "cloudformation:DescribeStacks"),
        ("cloudwatch", lambda c: c.put_metric_data(Namespace="n", MetricData=[]), "cloudwatch:PutMetricData"),
        (
            "sagemaker-runtime",
            lambda c: c.invoke_endpoint(EndpointName="e", Body=b""),
            "sagemaker:InvokeEndpoint",
        ),
    ],
)
def test_every_protocol_says_who_may_not_do_what(
    client_of_role: Callable[..., Any], service: str, call: Callable[[Any], Any], action: str
) -> None:
    with pytest.raises(
        ClientError, match=rf"assumed-role/.* is not authorized to perform: {action}"
    ) as failure:
        call(client_of_role(service))
    assert code_of(failure) in ("AccessDenied", "AccessDeniedException")


def policy_of(size: int) -> str:
    """Write a policy of this many characters, white space left out."""
    document = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "s3:Get*", "Resource": ""}],
    }
    missing = size - len(json.dumps(document, separators=(",", ":")))
    document["Statement"][0]["Resource"] = "arn:aws:s3:::".ljust(missing, "x")
    return json.dumps(document, indent=4)


def test_policies_are_as_large_as_on_aws(aws: LocalAws, create_role: Callable[..., str], name: str) -> None:
    iam = aws.client("iam")
    role = create_role("lambda.amazonaws.com").rpartition("/")[2]
    iam.put_role_policy(RoleName=role, PolicyName="One", PolicyDocument=policy_of(5_000))
    iam.put_role_policy(RoleName=role, PolicyName="Two", PolicyDocument=policy_of(5_240))
    iam.put_role_policy(RoleName=role, PolicyName="Two", PolicyDocument=policy_of(5_240))  # takes its place
    arn = iam.create_policy(PolicyName=name, PolicyDocument=policy_of(6_144))["Policy"]["Arn"]
    for call in (
        lambda: iam.put_role_policy(RoleName=role, PolicyName="Two", PolicyDocument=policy_of(5_241)),
        lambda: iam.create_policy(PolicyName=f"{name}-2", PolicyDocument=policy_of(6_145)),
        lambda: iam.create_policy_version(PolicyArn=arn, PolicyDocument=policy_of(6_145)),
    ):
        with pytest.raises(ClientError) as failure:
            call()
        assert failure.value.response["Error"]["Code"] == "LimitExceeded"
