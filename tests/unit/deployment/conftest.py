"""A deployment of models that lie in a bucket."""

from collections.abc import Callable
from typing import Any

import pytest
from aws_cdk import Stack
from aws_cdk import aws_s3 as s3

from cdk_sagemaker_pytorch import PyTorchDeployment, SourceCode


@pytest.fixture
def make_deployment(stack: Stack, inference_code: SourceCode) -> Callable[..., PyTorchDeployment]:
    def make(construct_id: str = "Deployment", **options: Any) -> PyTorchDeployment:
        bucket = s3.Bucket.from_bucket_name(stack, f"{construct_id}Models", "models")
        defaults = {
            "framework_version": "2.13",
            "model_data_bucket": bucket,
            "source_code": inference_code,
            "endpoint_name": "digits",
        }
        return PyTorchDeployment(stack, construct_id, **{**defaults, **options})

    return make
