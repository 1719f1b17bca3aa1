"""The endpoint as SageMaker shows it: in moto, so that the texts of its errors are not our own."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from .fakes import STACK, api_error


@pytest.fixture
def sagemaker(aws: None) -> Iterator[Any]:
    client = boto3.client("sagemaker")
    client.create_model(ModelName="v1", ExecutionRoleArn="arn:aws:iam::123456789012:role/any")
    client.create_endpoint_config(
        EndpointConfigName="v1",
        ProductionVariants=[
            {
                "VariantName": "AllTraffic",
                "ModelName": "v1",
                "InstanceType": "ml.m5.large",
                "InitialInstanceCount": 1,
            }
        ],
    )
    return client


@pytest.fixture
def endpoint(sagemaker: Any, code: SimpleNamespace) -> Any:
    return code.endpoint.Endpoint(sagemaker, "digits")


def test_an_endpoint_that_does_not_exist_is_missing(endpoint: Any) -> None:
    look = endpoint.look()
    assert (look.is_missing, look.is_changing, look.config, look.modified) == (True, False, None, None)
    assert look.serves(None)
    assert not look.serves("v1")


def test_an_endpoint_belongs_to_the_stack_that_has_made_it(endpoint: Any) -> None:
    endpoint.ask(endpoint.look(), "v1", STACK)
    look = endpoint.look()
    assert (look.status, look.config) == ("InService", "v1")
    assert look.serves("v1")
    assert not look.serves(None)
    assert endpoint.owner(look) == STACK


def test_an_endpoint_without_the_tag_belongs_to_nobody(endpoint: Any, sagemaker: Any) -> None:
    tags = [{"Key": "team", "Value": "vision"}]
    sagemaker.create_endpoint(EndpointName="digits", EndpointConfigName="v1", Tags=tags)
    assert endpoint.owner(endpoint.look()) is None


def test_the_mark_of_a_stack_comes_and_goes(endpoint: Any, sagemaker: Any) -> None:
    sagemaker.create_endpoint(EndpointName="digits", EndpointConfigName="v1")
    endpoint.mark(endpoint.look(), STACK)
    assert endpoint.owner(endpoint.look()) == STACK
    endpoint.unmark(endpoint.look())
    assert endpoint.owner(endpoint.look()) is None


def test_asking_for_no_configuration_deletes_the_endpoint(endpoint: Any) -> None:
    endpoint.ask(endpoint.look(), "v1", STACK)
    endpoint.ask(endpoint.look(), None, STACK)
    assert endpoint.look().is_missing


@pytest.mark.parametrize(
    ("status", "changing"),
    [
        ("InService", False),
        ("OutOfService", False),
        ("Failed", False),
        ("UpdateRollbackFailed", False),
        ("Creating", True),
        ("Updating", True),
        ("SystemUpdating", True),
        ("RollingBack", True),
        ("Deleting", True),
        ("ANewOne", True),
    ],
)
def test_an_endpoint_is_changing_in_any_status_but_those_that_stay(
    code: SimpleNamespace, status: str, changing: bool
) -> None:
    assert code.endpoint.Look(status, "v1").is_changing is changing


@pytest.mark.parametrize("status", ["Updating", "OutOfService", "Failed"])
def test_only_an_endpoint_in_service_serves(code: SimpleNamespace, status: str) -> None:
    assert not code.endpoint.Look(status, "v1").serves("v1")


@pytest.mark.parametrize(
    "text",
    ['Could not find endpoint "arn".', "Requested resource not found.", "Model v1 does not exist"],
)
def test_what_does_not_exist_is_none(code: SimpleNamespace, text: str) -> None:
    def call() -> None:
        raise api_error("ValidationException", text)

    assert code.endpoint.ignore_missing(call) is None


def test_fails_when_sagemaker_refuses(code: SimpleNamespace) -> None:
    def call() -> None:
        raise api_error("AccessDeniedException", "not authorized")

    with pytest.raises(ClientError, match="AccessDenied"):
        code.endpoint.ignore_missing(call)
