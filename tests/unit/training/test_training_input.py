import pytest
from aws_cdk import Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3

from cdk_sagemaker_pytorch import ConfigurationError, TrainingInput
from cdk_sagemaker_pytorch.common.problems import Problems
from cdk_sagemaker_pytorch.training.training_input import check_inputs


@pytest.fixture
def bucket(stack: Stack) -> s3.IBucket:
    return s3.Bucket.from_bucket_name(stack, "Bucket", "data")


def test_defaults(bucket: s3.IBucket) -> None:
    assert TrainingInput.from_bucket(bucket, "digits/train/").render("train") == {
        "ChannelName": "train",
        "DataSource": {
            "S3DataSource": {
                "S3DataType": "S3Prefix",
                "S3Uri": "s3://data/digits/train/",
                "S3DataDistributionType": "FullyReplicated",
            }
        },
        "InputMode": "File",
    }


def test_every_option(bucket: s3.IBucket) -> None:
    channel = TrainingInput.from_bucket(
        bucket, distribution="ShardedByS3Key", input_mode="FastFile", content_type="text/csv"
    ).render("train")
    assert channel["DataSource"]["S3DataSource"]["S3Uri"] == "s3://data"
    assert channel["DataSource"]["S3DataSource"]["S3DataDistributionType"] == "ShardedByS3Key"
    assert channel["InputMode"] == "FastFile"
    assert channel["ContentType"] == "text/csv"


def test_read_access_is_to_the_prefix(stack: Stack, bucket: s3.IBucket, statements: object) -> None:
    role = iam.Role(stack, "Role", assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"))
    TrainingInput.from_bucket(bucket, "digits/").grant_read(role)
    ((statement),) = statements("Role")  # type: ignore[operator]
    assert [str(resource)[-15:] for resource in statement["Resource"]][1].endswith("/digits/*']]}")


def test_fails_when_values_are_not_allowed_with_all_of_them(bucket: s3.IBucket) -> None:
    channel = TrainingInput.from_bucket(
        bucket, "s3://data/x", distribution="Sharded", input_mode="Files", content_type="x" * 257
    )
    problems = Problems("Job")
    check_inputs(problems, {"train": channel, "val": TrainingInput("data")})  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError) as raised:
        problems.raise_if_any()
    assert list(raised.value.problems) == [
        "inputs['train'].distribution must be one of FullyReplicated, ShardedByS3Key, got Sharded",
        "inputs['train'].input_mode must be one of File, FastFile, Pipe, got Files",
        f"inputs['train'].content_type must have at most 256 characters, got 257: '{'x' * 60}'…",
        (
            "inputs['train'].prefix must be a key prefix inside the bucket without a leading slash,"
            " got s3://data/x"
        ),
        (
            "inputs['val'].bucket must be an s3.IBucket such as s3.Bucket.from_bucket_name(scope, id, name),"
            " got 'data' (str)"
        ),
    ]
