"""The bucket for what training and packaging make."""

from typing import Any

from aws_cdk import Duration
from aws_cdk import aws_s3 as s3
from constructs import Construct

__all__ = ["ArtifactsBucket"]


class ArtifactsBucket(s3.Bucket):
    """A bucket for model artifacts: encrypted, TLS only, closed to the public, kept on deletion.

    An upload that was cut off is removed after a day: a Lambda function that is killed in the
    middle of a multipart upload cannot do it itself.

    Parameters
    ----------
    scope, construct_id
        As for every construct.
    **props
        Properties of `aws_s3.Bucket`, which replace the defaults above.
    """

    def __init__(self, scope: Construct, construct_id: str, **props: Any) -> None:
        defaults: dict[str, Any] = {
            "encryption": s3.BucketEncryption.KMS
            if "encryption_key" in props
            else s3.BucketEncryption.S3_MANAGED,
            "enforce_ssl": True,
            "block_public_access": s3.BlockPublicAccess.BLOCK_ALL,
            "object_ownership": s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            "lifecycle_rules": [s3.LifecycleRule(abort_incomplete_multipart_upload_after=Duration.days(1))],
        }
        super().__init__(scope, construct_id, **{**defaults, **props})
