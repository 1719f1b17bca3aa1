from typing import Any

import pytest

from cdk_sagemaker_pytorch.local.base.sagemaker_records import ValidationError
from cdk_sagemaker_pytorch.local.serving.request_rules import (
    check_endpoint_config_request,
    check_model_request,
)

ROLE = "arn:aws:iam::123456789012:role/Model"
CONTAINER = {"Image": "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-inference:2.6.0-cpu-py312"}
SOURCE = {"S3DataSource": {"S3Uri": "s3://bucket/prefix/"}}
VARIANT = {
    "VariantName": "AllTraffic",
    "ModelName": "model",
    "InstanceType": "ml.m5.large",
    "InitialInstanceCount": 1,
}
SERVERLESS = {"VariantName": "AllTraffic", "ModelName": "model", "ServerlessConfig": {"MaxConcurrency": 1}}


def without(variant: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in variant.items() if name not in names}


@pytest.mark.parametrize("containers", [{"PrimaryContainer": CONTAINER}, {"Containers": [CONTAINER]}])
def test_a_model_can_be_made(containers: dict[str, Any]) -> None:
    check_model_request({"ExecutionRoleArn": ROLE, **containers})


@pytest.mark.parametrize(
    ("request_", "problem"),
    [
        ({"PrimaryContainer": CONTAINER}, "ExecutionRoleArn must be given"),
        ({}, "exactly one of PrimaryContainer and Containers"),
        ({"Containers": []}, "exactly one of PrimaryContainer and Containers"),
        ({"PrimaryContainer": CONTAINER, "Containers": [CONTAINER]}, "exactly one of PrimaryContainer"),
        ({"Containers": [CONTAINER, CONTAINER]}, "no inference pipelines"),
        ({"PrimaryContainer": {"ModelPackageName": "package"}}, "must have an Image"),
        (
            {"PrimaryContainer": CONTAINER | {"ModelDataUrl": "s3://b/k", "ModelDataSource": SOURCE}},
            "one of ModelDataUrl and ModelDataSource, got both",
        ),
    ],
)
def test_fails_where_no_model_can_be_made(request_: dict[str, Any], problem: str) -> None:
    role = {} if problem.startswith("ExecutionRoleArn") else {"ExecutionRoleArn": ROLE}
    with pytest.raises(ValidationError, match=problem):
        check_model_request(role | request_)


@pytest.mark.parametrize("variants", [[VARIANT], [VARIANT, VARIANT | {"VariantName": "Other"}], [SERVERLESS]])
def test_an_endpoint_config_can_be_made(variants: list[dict[str, Any]]) -> None:
    check_endpoint_config_request({"ProductionVariants": variants})


@pytest.mark.parametrize(
    ("variants", "problem"),
    [
        ([VARIANT, VARIANT], "VariantName must be unique, got AllTraffic 2 times"),
        ([without(VARIANT, "ModelName")], "ModelName of variant AllTraffic must be given"),
        ([without(VARIANT, "InstanceType")], "AllTraffic must have InstanceType$"),
        ([without(VARIANT, "InitialInstanceCount")], "AllTraffic must have InitialInstanceCount$"),
        (
            [without(VARIANT, "InstanceType", "InitialInstanceCount")],
            "AllTraffic must have InstanceType and InitialInstanceCount",
        ),
        ([VARIANT | SERVERLESS], "must have a ServerlessConfig or instances, got both"),
    ],
)
def test_fails_where_no_endpoint_config_can_be_made(variants: list[dict[str, Any]], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        check_endpoint_config_request({"ProductionVariants": variants})
