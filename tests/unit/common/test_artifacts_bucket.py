import pytest
from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_kms as kms
from aws_cdk.assertions import Match, Template

from cdk_sagemaker_pytorch import ArtifactsBucket, ConfigurationError


def test_safe_by_default(stack: Stack) -> None:
    ArtifactsBucket(stack, "Bucket")
    template = Template.from_stack(stack)
    template.has_resource(
        "AWS::S3::Bucket",
        {
            "DeletionPolicy": "Retain",
            "Properties": {
                "BucketEncryption": {
                    "ServerSideEncryptionConfiguration": [
                        {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
                    ]
                },
                "PublicAccessBlockConfiguration": {
                    "BlockPublicAcls": True,
                    "BlockPublicPolicy": True,
                    "IgnorePublicAcls": True,
                    "RestrictPublicBuckets": True,
                },
                "LifecycleConfiguration": {
                    "Rules": [
                        {"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}, "Status": "Enabled"}
                    ]
                },
            },
        },
    )
    template.has_resource_properties(
        "AWS::S3::BucketPolicy",
        {
            "PolicyDocument": {
                "Statement": Match.array_with(
                    [
                        Match.object_like(
                            {"Effect": "Deny", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
                        )
                    ]
                )
            }
        },
    )


def test_a_key_encrypts_with_kms(stack: Stack) -> None:
    ArtifactsBucket(stack, "Bucket", encryption_key=kms.Key(stack, "Key"))
    Template.from_stack(stack).has_resource_properties(
        "AWS::S3::Bucket",
        {
            "BucketEncryption": {
                "ServerSideEncryptionConfiguration": [
                    {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}
                ]
            }
        },
    )


def test_properties_replace_the_defaults(stack: Stack) -> None:
    ArtifactsBucket(stack, "Bucket", versioned=True, removal_policy=RemovalPolicy.DESTROY)
    Template.from_stack(stack).has_resource(
        "AWS::S3::Bucket",
        {
            "DeletionPolicy": "Delete",
            "Properties": {"VersioningConfiguration": {"Status": "Enabled"}},
        },
    )


def test_superseded_artifacts_expire_where_that_is_asked_for(stack: Stack) -> None:
    ArtifactsBucket(stack, "Bucket", versioned=True, superseded_expiration=Duration.days(30))
    Template.from_stack(stack).has_resource_properties(
        "AWS::S3::Bucket",
        {
            "LifecycleConfiguration": {
                "Rules": [
                    {"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}, "Status": "Enabled"},
                    {
                        "Id": "Superseded",
                        "ExpirationInDays": 30,
                        "TagFilters": [{"Key": "cdk-sagemaker-pytorch:superseded", "Value": "true"}],
                        "Status": "Enabled",
                    },
                    {
                        "Id": "Replaced",
                        "NoncurrentVersionExpiration": {"NoncurrentDays": 30},
                        "Status": "Enabled",
                    },
                ]
            }
        },
    )


def test_fails_when_artifacts_would_expire_within_a_day(stack: Stack) -> None:
    with pytest.raises(
        ConfigurationError, match="superseded_expiration in seconds must be at least 86400, got"
    ):
        ArtifactsBucket(stack, "Bucket", superseded_expiration=Duration.hours(2))
