"""A channel of training data."""

from dataclasses import dataclass
from typing import Any, Literal

from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3

from cdk_sagemaker_pytorch.common.problems import Problems

__all__ = ["TrainingInput"]

_DISTRIBUTIONS = ("FullyReplicated", "ShardedByS3Key")
_INPUT_MODES = ("File", "FastFile", "Pipe")


@dataclass(frozen=True)
class TrainingInput:
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

    bucket: s3.IBucket
    prefix: str = ""
    distribution: Literal["FullyReplicated", "ShardedByS3Key"] = "FullyReplicated"
    input_mode: Literal["File", "FastFile", "Pipe"] = "File"
    content_type: str | None = None

    def __post_init__(self) -> None:
        problems = Problems("TrainingInput")
        problems.check(
            self.distribution in _DISTRIBUTIONS,
            f"distribution must be one of {', '.join(_DISTRIBUTIONS)}, got {self.distribution}",
        )
        problems.check(
            self.input_mode in _INPUT_MODES,
            f"input_mode must be one of {', '.join(_INPUT_MODES)}, got {self.input_mode}",
        )
        problems.check(
            not self.prefix.startswith(("/", "s3://")),
            f"prefix must be a key prefix inside the bucket without a leading slash, got {self.prefix}",
        )
        problems.raise_if_any()

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

        Raises
        ------
        ConfigurationError
            When an option has a value that is not allowed.
        """
        return cls(bucket, prefix, **options)

    @property
    def s3_uri(self) -> str:
        """S3 URI of the prefix."""
        return self.bucket.s3_url_for_object(self.prefix or None)

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
        channel: dict[str, Any] = {
            "ChannelName": channel_name,
            "DataSource": {
                "S3DataSource": {
                    "S3DataType": "S3Prefix",
                    "S3Uri": self.s3_uri,
                    "S3DataDistributionType": self.distribution,
                }
            },
            "InputMode": self.input_mode,
        }
        if self.content_type is not None:
            channel["ContentType"] = self.content_type
        return channel
