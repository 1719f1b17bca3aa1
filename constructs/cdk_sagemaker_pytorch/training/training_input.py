"""The channels of training data."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from constructs import Construct

from cdk_sagemaker_pytorch.common.api_request import request
from cdk_sagemaker_pytorch.common.limits import check_limits, shown
from cdk_sagemaker_pytorch.common.option_kinds import BUCKET, Choice, Resource, Text
from cdk_sagemaker_pytorch.common.options import Options, option
from cdk_sagemaker_pytorch.common.problems import Problems
from cdk_sagemaker_pytorch.common.tokens import is_token

__all__ = ["TrainingInput", "check_inputs", "inputs_of"]

_S3_URI = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/.*)?")


@dataclass(frozen=True)
class TrainingInput(Options):
    """Data in S3 that a training job gets as a channel, in the folder ``SM_CHANNEL_<NAME>``.

    Attributes
    ----------
    bucket : s3.IBucket
        The bucket.
    prefix : str
        All objects whose keys begin with it belong to the channel. Defaults to the whole bucket.
    distribution : str
        ``FullyReplicated``: every host gets all objects; ``ShardedByS3Key``: each its share.
        Defaults to ``FullyReplicated``.
    input_mode : str
        ``File`` copies before the script starts, ``FastFile`` streams on first read, ``Pipe``
        gives a named pipe. Defaults to ``File``.
    content_type : str, optional
        MIME type that the container is told. Defaults to none.
    """

    bucket: s3.IBucket = option(Resource(attribute="bucket_arn", wanted=BUCKET))
    prefix: str = option(Text(), "")
    distribution: Literal["FullyReplicated", "ShardedByS3Key"] = option(
        Choice("DataSource.S3DataSource.S3DataDistributionType", words=("FullyReplicated", "ShardedByS3Key")),
        "FullyReplicated",
    )
    input_mode: Literal["File", "FastFile", "Pipe"] = option(
        Choice("InputMode", words=("File", "FastFile", "Pipe")), "File"
    )
    content_type: str | None = option(Text("ContentType", "ContentType"))

    @classmethod
    def from_bucket(cls, bucket: s3.IBucket, prefix: str = "", **options: Any) -> "TrainingInput":
        """Use the objects below a prefix of a bucket.

        Parameters
        ----------
        bucket : s3.IBucket
            The bucket.
        prefix : str, optional
            Defaults to the whole bucket.
        **options
            The other attributes of the class.
        """
        return cls(bucket, prefix, **options)

    @property
    def s3_uri(self) -> str:
        """S3 URI of the prefix."""
        return self.bucket.s3_url_for_object(self.prefix or None)

    def check(self, problems: Problems, name: str) -> None:
        """Note what is wrong with the channel."""
        super().check(problems, name)
        problems.check(self.bucket is not None, f"{name}.bucket must be {BUCKET}, got none")
        if isinstance(self.prefix, str) and self.prefix.startswith(("/", "s3://")):
            problems.add(
                f"{name}.prefix must be a key prefix inside the bucket without a leading slash,"
                f" got {self.prefix}"
            )

    def grant_read(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let `grantee` read the channel's objects and list the bucket."""
        return self.bucket.grant_read(grantee, f"{self.prefix}*")

    def render(self, channel_name: str) -> dict[str, Any]:
        """Render the channel as the SageMaker API's ``Channel``.

        Parameters
        ----------
        channel_name : str
            Its name.
        """
        source = {
            "ChannelName": channel_name,
            "DataSource.S3DataSource.S3DataType": "S3Prefix",
            "DataSource.S3DataSource.S3Uri": self.s3_uri,
        }
        return request(source, self.members())


def check_inputs(problems: Problems, inputs: Any) -> None:
    """Note what is wrong with channels.

    Parameters
    ----------
    problems : Problems
        Gets the findings.
    inputs : Any
        What was given: a mapping from channel name to `TrainingInput` or S3 URI, or None.
    """
    if inputs is None:
        return
    if not isinstance(inputs, Mapping):
        problems.add(
            f"inputs must be a dictionary from channel name to TrainingInput or S3 URI, got {shown(inputs)}:"
            ' write {"training": ...}'
        )
        return
    variables: dict[str, str] = {}
    for name, value in inputs.items():
        if not isinstance(name, str):
            problems.add(f"inputs must have names that are text, got {shown(name)}")
            continue
        check_limits(problems, f"channel name {name[:40]!r}", name, "ChannelName")
        twin = variables.setdefault(name.upper(), name)
        problems.check(
            twin == name,
            f"inputs must become different variables, got {twin} and {name}: SM_CHANNEL_{name.upper()}",
        )
        subject = f"inputs[{name!r}]"
        if isinstance(value, TrainingInput):
            value.check(problems, subject)
        elif isinstance(value, str) and is_token(value):
            problems.add(
                f"{subject} must name its bucket where it is a token, so that the job may read it:"
                " write TrainingInput.from_bucket(bucket, prefix)"
            )
        elif not isinstance(value, str) or _S3_URI.fullmatch(value) is None:
            problems.add(
                f"{subject} must be a TrainingInput or an S3 URI such as s3://bucket/train/,"
                f" got {shown(value)}"
            )
    if inputs:
        check_limits(problems, "inputs", inputs, "InputDataConfig")


def inputs_of(scope: Construct, inputs: Mapping[str, TrainingInput | str] | None) -> dict[str, TrainingInput]:
    """Turn channels without problems into inputs.

    Parameters
    ----------
    scope : Construct
        Gets the buckets that S3 URIs name.
    inputs : mapping of str to TrainingInput or str, or None
        The channels by name.
    """
    return {name: _input_of(scope, name, value) for name, value in (inputs or {}).items()}


def _input_of(scope: Construct, name: str, value: TrainingInput | str) -> TrainingInput:
    if isinstance(value, TrainingInput):
        return value
    bucket_name, _, prefix = value.removeprefix("s3://").partition("/")
    return TrainingInput.from_bucket(s3.Bucket.from_bucket_name(scope, f"Input-{name}", bucket_name), prefix)
