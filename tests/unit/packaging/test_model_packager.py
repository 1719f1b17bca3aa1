from collections.abc import Callable
from typing import Any

import pytest
from aws_cdk import Duration, Size, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk.assertions import Match, Template

from cdk_sagemaker_pytorch import ConfigurationError, ModelPackager, Networking, Processing

Statements = Callable[[str], list[dict[str, Any]]]


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
            "ReservedConcurrentExecutions": Match.absent(),
            "VpcConfig": Match.absent(),
        },
    )
    template.has_resource_properties("AWS::Logs::LogGroup", {"RetentionInDays": 90})


def test_its_role_may_log_and_nothing_else(stack: Stack, statements: Statements) -> None:
    ModelPackager(stack, "Packager")
    Template.from_stack(stack).has_resource_properties(
        "AWS::IAM::Role",
        {
            "ManagedPolicyArns": Match.absent(),
            "AssumeRolePolicyDocument": {
                "Statement": [
                    {
                        "Action": "sts:AssumeRole",
                        "Effect": "Allow",
                        "Principal": {"Service": ["lambda.amazonaws.com", "sagemaker.amazonaws.com"]},
                    }
                ]
            },
        },
    )
    (only,) = statements("PackagerServiceRole")
    assert only["Action"] == ["logs:CreateLogStream", "logs:PutLogEvents"]
    assert "PackagerLogs" in str(only["Resource"])


def test_memory_time_and_logs_can_be_set(stack: Stack) -> None:
    ModelPackager(
        stack,
        "Packager",
        memory_size=3008,
        timeout=Duration.minutes(5),
        architecture=lambda_.Architecture.X86_64,
        reserved_concurrent_executions=2,
        log_retention=logs.RetentionDays.ONE_WEEK,
        log_encryption_key=kms.Key.from_key_arn(
            stack, "Key", "arn:aws:kms:us-east-1:123456789012:key/0123abcd-0123-abcd-0123-0123456789ab"
        ),
    )
    template = Template.from_stack(stack)
    template.has_resource_properties(
        "AWS::Lambda::Function",
        {
            "Architectures": ["x86_64"],
            "MemorySize": 3008,
            "Timeout": 300,
            "ReservedConcurrentExecutions": 2,
        },
    )
    template.has_resource_properties(
        "AWS::Logs::LogGroup",
        {
            "RetentionInDays": 7,
            "KmsKeyId": "arn:aws:kms:us-east-1:123456789012:key/0123abcd-0123-abcd-0123-0123456789ab",
        },
    )


def test_it_runs_in_a_vpc(stack: Stack, statements: Statements) -> None:
    vpc = ec2.Vpc(stack, "Vpc", max_azs=2)
    group = ec2.SecurityGroup(stack, "Group", vpc=vpc)
    packager = ModelPackager(stack, "Packager", networking=Networking(vpc=vpc, security_groups=[group]))
    template = Template.from_stack(stack)
    template.has_resource_properties(
        "AWS::Lambda::Function",
        {
            "VpcConfig": {
                "SecurityGroupIds": [stack.resolve(group.security_group_id)],
                "SubnetIds": stack.resolve([subnet.subnet_id for subnet in vpc.private_subnets]),
            }
        },
    )
    (network,) = (s for s in statements("PackagerServiceRole") if "ec2:CreateNetworkInterface" in s["Action"])
    assert network["Resource"] == "*"
    assert packager.function.is_bound_to_vpc


def test_a_key_encrypts_what_it_writes_and_readers_may_decrypt(stack: Stack, statements: Statements) -> None:
    key = kms.Key(stack, "Key")
    packager = ModelPackager(stack, "Packager", encryption_key=key)
    bucket = s3.Bucket.from_bucket_name(stack, "Bucket", "models")
    role = iam.Role(stack, "Reader", assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"))
    packager.grant_read_output(role, bucket, "models/*")
    assert stack.resolve(packager.event({"output": "s3://models/out"})) == {
        "output": "s3://models/out",
        "kms_key_id": stack.resolve(key.key_arn),
    }
    reader = [s["Action"] for s in statements("Reader")]
    assert "kms:Decrypt" in reader
    writer = next(s for s in statements("PackagerServiceRole") if "kms:Decrypt" in s["Action"])
    assert set(writer["Action"]) == {
        "kms:Decrypt",
        "kms:Encrypt",
        "kms:GenerateDataKey*",
        "kms:ReEncrypt*",
    }


def test_a_stack_has_one_of_its_own(stack: Stack) -> None:
    assert ModelPackager.of(stack) is ModelPackager.of(stack)
    Template.from_stack(stack).resource_count_is("AWS::Lambda::Function", 1)


def test_it_may_write_where_it_was_granted_alone(stack: Stack, statements: Statements) -> None:
    packager = ModelPackager(stack, "Packager")
    bucket = s3.Bucket.from_bucket_name(stack, "Bucket", "models")
    packager.grant_output(bucket, "models/*")
    found = statements("PackagerServiceRole")
    objects = [s for s in found if "s3:PutObject" in str(s["Action"])]
    assert len(objects) == 1
    assert "models/models/*" in str(objects[0]["Resource"])
    assert all("s3:*" not in str(s["Action"]) for s in found)


def test_fails_when_values_cannot_work_with_all_of_them(stack: Stack) -> None:
    with pytest.raises(ConfigurationError) as raised:
        ModelPackager(
            stack,
            "Packager",
            memory_size=64,
            timeout=Duration.minutes(20),
            reserved_concurrent_executions=0,
            networking=Networking(vpc_subnets=ec2.SubnetSelection(), enable_network_isolation=True),
            function_limit=Size.gibibytes(1),
            processing=Processing(instance_type="m5.large", max_run=Duration.days(8)),
        )
    assert raised.value.problems == (
        "memory_size must be from 128 to 10240, got 64",
        "timeout in seconds must be from 1 to 900, got 1200",
        "reserved_concurrent_executions must be at least 1, got 0",
        "networking.vpc must be given with vpc_subnets and security_groups, got none",
        "networking.enable_network_isolation has no meaning here: leave it out",
        "processing.instance_type must be a SageMaker instance type such as ml.m5.large, got m5.large",
        "processing.max_run in seconds must be from 60 to 604800, got 691200",
    )
