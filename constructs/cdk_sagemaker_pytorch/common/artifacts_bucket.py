"""The bucket for what training and packaging make."""

from typing import Any

from aws_cdk import Duration
from aws_cdk import aws_s3 as s3
from constructs import Construct

from .option_kinds import Days, check_arguments

__all__ = ["SUPERSEDED_TAG", "ArtifactsBucket"]

SUPERSEDED_TAG = "cdk-sagemaker-pytorch:superseded"
"""Tag of packaged models that nothing serves any more; the functions that set it know it by this name."""


class ArtifactsBucket(s3.Bucket):
    """A bucket for model artifacts: encrypted, TLS only, closed to the public, kept on deletion.

    An upload that was cut off is removed after a day: a Lambda function that is killed in the
    middle of a multipart upload cannot do it itself.

    Parameters
    ----------
    scope, construct_id
        As for every construct.
    superseded_expiration : Duration, optional
        Age, counted from when it was made, at which a packaged model is removed once nothing serves it any
        more: its version was pruned, or its stack deleted. In a versioned bucket versions that were replaced
        go after that time too. In whole days. Defaults to keeping all.
    **props
        Properties of `aws_s3.Bucket`, which replace the defaults above.

    Raises
    ------
    ConfigurationError
        When the expiration is no whole number of days.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        superseded_expiration: Duration | None = None,
        **props: Any,
    ) -> None:
        if superseded_expiration is not None:
            kind = Days(least=24 * 3600)
            check_arguments("ArtifactsBucket", superseded_expiration=(kind, superseded_expiration))
        rules = [s3.LifecycleRule(abort_incomplete_multipart_upload_after=Duration.days(1))]
        if superseded_expiration is not None:
            rules.append(
                s3.LifecycleRule(
                    id="Superseded", expiration=superseded_expiration, tag_filters={SUPERSEDED_TAG: "true"}
                )
            )
            if props.get("versioned"):
                rules.append(
                    s3.LifecycleRule(id="Replaced", noncurrent_version_expiration=superseded_expiration)
                )
        defaults: dict[str, Any] = {
            "encryption": s3.BucketEncryption.KMS
            if "encryption_key" in props
            else s3.BucketEncryption.S3_MANAGED,
            "enforce_ssl": True,
            "block_public_access": s3.BlockPublicAccess.BLOCK_ALL,
            "object_ownership": s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            "lifecycle_rules": rules,
        }
        super().__init__(scope, construct_id, **{**defaults, **props})
