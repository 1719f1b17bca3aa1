from collections.abc import Callable
from typing import Any

import pytest
from aws_cdk import Duration, Stack
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk.assertions import Template

from cdk_sagemaker_pytorch import ConfigurationError, ModelPackager


def test_defaults(stack: Stack) -> None:
    ModelPackager(stack, "Packager")
    template = Template.from_stack(stack)
    template.has_resource_properties(
        "AWS::Lambda::Function",
        {
            "Runtime": "python3.13",
            "Architectures": ["arm64"],
            "Handler": "index.handler",
            "MemorySize": 1769,
            "Timeout": 900,
        },
    )
    template.has_resource_properties("AWS::Logs::LogGroup", {"RetentionInDays": 90})
    template.resource_count_is("AWS::IAM::Policy", 0)


def test_every_option(stack: Stack) -> None:
    ModelPackager(
        stack,
        "Packager",
        memory_size=3008,
        timeout=Duration.minutes(5),
        architecture=lambda_.Architecture.X86_64,
        log_retention=logs.RetentionDays.ONE_WEEK,
    )
    template = Template.from_stack(stack)
    template.has_resource_properties(
        "AWS::Lambda::Function", {"Architectures": ["x86_64"], "MemorySize": 3008, "Timeout": 300}
    )
    template.has_resource_properties("AWS::Logs::LogGroup", {"RetentionInDays": 7})


def test_a_stack_has_one_of_its_own(stack: Stack) -> None:
    assert ModelPackager.of(stack) is ModelPackager.of(stack)
    Template.from_stack(stack).resource_count_is("AWS::Lambda::Function", 1)


def test_it_may_write_where_it_was_granted_alone(
    stack: Stack, statements: Callable[[str], list[dict[str, Any]]]
) -> None:
    packager = ModelPackager(stack, "Packager")
    bucket = s3.Bucket.from_bucket_name(stack, "Bucket", "models")
    packager.grant_output(bucket, "models/*")
    found = statements("PackagerServiceRole")
    objects = [s for s in found if "s3:PutObject" in str(s["Action"])]
    assert len(objects) == 1
    assert "models/models/*" in str(objects[0]["Resource"])
    assert all("s3:*" not in str(s["Action"]) for s in found)


def test_fails_when_memory_and_timeout_are_not_lambdas(stack: Stack) -> None:
    with pytest.raises(ConfigurationError) as raised:
        ModelPackager(stack, "Packager", memory_size=64, timeout=Duration.minutes(20))
    assert raised.value.problems == (
        "memory_size must be from 128 to 10240 MB, got 64",
        "timeout must be from 1 second to 15 minutes, got 1200 seconds",
    )
