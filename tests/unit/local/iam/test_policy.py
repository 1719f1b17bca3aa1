import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdk_sagemaker_pytorch.local.iam.policy import PolicyRequest, is_allowed

SERVICE, REGION, CALLER = "iam:PassedToService", "aws:RequestedRegion", "aws:PrincipalArn"
JOB = "arn:aws:sagemaker:us-east-1:123456789012:training-job/digits-1"


def policy(*statements):
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allow(action, resource="*", **more):
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def test_nothing_is_allowed_without_a_statement():
    assert not is_allowed([], PolicyRequest("s3:GetObject"))
    assert not is_allowed([policy()], PolicyRequest("s3:GetObject"))


@pytest.mark.parametrize(
    "action", ["sagemaker:CreateTrainingJob", "SageMaker:createtrainingjob", "sagemaker:Create*", "*"]
)
def test_actions_match_without_regard_to_case(action):
    assert is_allowed([policy(allow(action))], PolicyRequest("sagemaker:CreateTrainingJob", JOB))


@pytest.mark.parametrize(
    ("pattern", "allowed"),
    [
        (JOB, True),
        ("arn:aws:sagemaker:*:123456789012:training-job/digits-*", True),
        ("arn:aws:sagemaker:us-east-1:123456789012:training-job/digits-?", True),
        ("arn:aws:sagemaker:us-east-1:123456789012:training-job/other-*", False),
        ("arn:aws:sagemaker:us-east-1:123456789012:training-job/Digits-1", False),
        (["arn:aws:s3:::bucket", JOB], True),
    ],
)
def test_resources_match_patterns(pattern, allowed):
    request = PolicyRequest("sagemaker:CreateTrainingJob", JOB)
    assert is_allowed([policy(allow("sagemaker:*", pattern))], request) is allowed


def test_a_deny_wins_wherever_it_stands():
    deny = {"Effect": "Deny", "Action": "s3:Delete*", "Resource": "*"}
    assert not is_allowed([policy(allow("s3:*")), policy(deny)], PolicyRequest("s3:DeleteObject"))
    assert is_allowed([policy(allow("s3:*")), policy(deny)], PolicyRequest("s3:GetObject"))


def test_not_action_and_not_resource_are_the_rest():
    documents = [policy({"Effect": "Allow", "NotAction": "iam:*", "NotResource": "arn:aws:s3:::secret/*"})]
    assert is_allowed(documents, PolicyRequest("s3:GetObject", "arn:aws:s3:::open/a"))
    assert not is_allowed(documents, PolicyRequest("s3:GetObject", "arn:aws:s3:::secret/a"))
    assert not is_allowed(documents, PolicyRequest("iam:PassRole", "arn:aws:s3:::open/a"))


@pytest.mark.parametrize(
    ("condition", "context", "allowed"),
    [
        ({"StringEquals": {SERVICE: "a.amazonaws.com"}}, {SERVICE: ["a.amazonaws.com"]}, True),
        ({"StringEquals": {SERVICE: "a.amazonaws.com"}}, {SERVICE: ["b.amazonaws.com"]}, False),
        ({"StringEquals": {SERVICE: "a.amazonaws.com"}}, {}, False),
        ({"StringEqualsIfExists": {"aws:RequestTag/a": "b"}}, {}, True),
        ({"StringLike": {"s3:prefix": ["models/*", "data/*"]}}, {"s3:prefix": ["data/train"]}, True),
        ({"StringNotEquals": {REGION: "us-east-1"}}, {REGION: ["us-east-1"]}, False),
        ({"Bool": {"aws:SecureTransport": "false"}}, {"aws:SecureTransport": ["true"]}, False),
        ({"Bool": {"aws:SecureTransport": True}}, {"aws:SecureTransport": ["true"]}, True),
        ({"Null": {"aws:RequestTag/owner": "true"}}, {}, True),
        ({"Null": {"aws:RequestTag/owner": "true"}}, {"aws:RequestTag/owner": ["me"]}, False),
        ({"ForAllValues:StringEquals": {"aws:TagKeys": ["a", "b"]}}, {"aws:TagKeys": ["a"]}, True),
        ({"ForAllValues:StringEquals": {"aws:TagKeys": ["a"]}}, {"aws:TagKeys": ["a", "c"]}, False),
        ({"ForAnyValue:StringEquals": {"aws:TagKeys": ["a"]}}, {"aws:TagKeys": ["a", "c"]}, True),
        ({"ArnLike": {CALLER: "arn:aws:iam::*:role/x"}}, {CALLER: ["arn:aws:iam::1:role/x"]}, True),
        ({"DateGreaterThan": {"aws:CurrentTime": "2020-01-01"}}, {"aws:CurrentTime": ["2026-01-01"]}, False),
    ],
)  # fmt: skip
def test_conditions(condition, context, allowed):
    documents = [policy(allow("*", Condition=condition))]
    assert is_allowed(documents, PolicyRequest("s3:GetObject", context=context)) is allowed


@pytest.mark.parametrize(
    ("principal", "allowed"),
    [
        ("*", True),
        ({"AWS": "*"}, True),
        ({"AWS": "arn:aws:iam::123456789012:role/r"}, True),
        ({"AWS": "arn:aws:iam::123456789012:root"}, True),
        ({"AWS": ["arn:aws:iam::123456789012:role/other"]}, False),
        ({"Service": "sagemaker.amazonaws.com"}, False),
    ],
)
def test_principals(principal, allowed):
    request = PolicyRequest("s3:GetObject", principal="arn:aws:iam::123456789012:role/r")
    assert is_allowed([policy(allow("s3:*", Principal=principal))], request) is allowed


def test_an_unknown_resource_matches_every_pattern():
    assert is_allowed(
        [policy(allow("bedrock:*", "arn:aws:bedrock:::x"))], PolicyRequest("bedrock:Invoke", None)
    )
    assert not is_allowed([policy(allow("s3:*", "*"))], PolicyRequest("bedrock:Invoke", None))


@given(st.text(max_size=30), st.text(max_size=30))
def test_a_pattern_without_wildcards_matches_itself_only(name, other):
    literal = name.replace("*", "").replace("?", "")
    documents = [policy(allow("s3:GetObject", literal))]
    assert is_allowed(documents, PolicyRequest("s3:GetObject", literal))
    assert is_allowed(documents, PolicyRequest("s3:GetObject", other)) is (other == literal)
