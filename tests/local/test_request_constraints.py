"""Requests to the services that are moto's are held against the models of their APIs, in each protocol."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from cdk_sagemaker_pytorch.local import LocalAws

pytestmark = pytest.mark.local

FUNCTION = {
    "FunctionName": "never",
    "Role": "arn:aws:iam::123456789012:role/never",
    "Runtime": "python3.13",
    "Handler": "index.handler",
    "Code": {"ZipFile": b"never"},
}


@pytest.mark.parametrize(
    ("service", "operation", "parameters", "code", "place"),
    [
        ("iam", "create_role", {"RoleName": "r" * 65}, "ValidationError", "roleName"),
        ("iam", "create_role", {"RoleName": "a b"}, "ValidationError", "roleName"),
        ("iam", "get_role", {"RoleName": "a b"}, "ValidationError", "roleName"),
        ("sts", "get_federation_token", {"Name": "a b"}, "ValidationError", "name"),
        ("lambda", "create_function", {"Handler": "a b"}, "ValidationException", "handler"),
        ("lambda", "create_function", {"FunctionName": "f 1"}, "ValidationException", "functionName"),
        (
            "lambda",
            "create_function",
            {"Environment": {"Variables": {"1A": "x"}}},
            "ValidationException",
            "environment.variables.key",
        ),
        ("events", "put_rule", {"Name": "a b"}, "ValidationException", "name"),
        ("logs", "create_log_group", {"logGroupName": "a b"}, "ValidationException", "logGroupName"),
        ("ssm", "get_parameters", {"Names": ["x"] * 11}, "ValidationException", "names"),
        ("stepfunctions", "start_execution", {"name": "x" * 81}, "ValidationException", "name"),
    ],
)
def test_fails_with_the_place_that_is_wrong(
    aws: LocalAws, service: str, operation: str, parameters: dict[str, Any], code: str, place: str
) -> None:
    rest: dict[str, dict[str, Any]] = {
        "create_role": {"AssumeRolePolicyDocument": "{}"},
        "create_function": FUNCTION,
        "start_execution": {"stateMachineArn": "arn:aws:states:us-east-1:123456789012:stateMachine:never"},
    }
    with pytest.raises(ClientError, match=f"1 validation error detected: .* at '{place}' failed") as failure:
        getattr(aws.client(service), operation)(**rest.get(operation, {}) | parameters)
    assert failure.value.response["Error"]["Code"] == code


def test_a_value_of_a_million_characters_is_not_told_whole(aws: LocalAws) -> None:
    with pytest.raises(ClientError, match="at 'definition' failed") as failure:
        aws.client("stepfunctions").create_state_machine(
            name="never", roleArn=FUNCTION["Role"], definition="x" * (1024**2 + 1)
        )
    assert len(str(failure.value)) < 1000
