"""A model that is packaged while its stack is deployed."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from aws_cdk import CustomResource, Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from constructs import Construct

from cdk_sagemaker_pytorch.common.artifacts_bucket import ArtifactsBucket

from .model_data import ModelDataLocation
from .model_packager import ModelPackager

__all__ = ["PackagedModel", "package_at_deployment"]


@dataclass(frozen=True)
class PackagedModel:
    """What comes of packaging; the URL is known only at deployment where something is packaged.

    Attributes
    ----------
    model_data_url : str
        S3 URI of the packaged model.tar.gz, or the prefix of uncompressed model data.
    submit_directory : str
        Where the container finds the code.
    environment : dict of str to str
        Variables that make it another model where the URL stays when the code changes. Defaults to none.
    """

    model_data_url: str
    submit_directory: str
    environment: dict[str, str] = field(default_factory=dict)


def package_at_deployment(
    scope: Construct,
    *,
    packager: ModelPackager,
    location: ModelDataLocation,
    compressed: bool,
    fields: Mapping[str, str],
    reader: iam.IGrantable,
    artifacts_bucket: s3.IBucket | None,
) -> PackagedModel:
    """Package a model by a custom resource.

    Parameters
    ----------
    scope : Construct
        The model; gets the resource, and a bucket if it needs one.
    packager : ModelPackager
        Packages; it is granted to read the model data here.
    location : ModelDataLocation
        The model data.
    compressed : bool
        Whether they are an archive.
    fields : Mapping of str to str
        Further fields of the packager's event.
    reader : iam.IGrantable
        Is granted to read the outcome.
    artifacts_bucket : s3.IBucket or None
        Where the outcome goes. None: to a new `ArtifactsBucket`.
    """
    event = packager.event({**location.event, **fields})
    inputs = json.dumps(Stack.of(scope).resolve(event), sort_keys=True)
    digest = hashlib.sha256(inputs.encode()).hexdigest()[:16]
    location.grant_read(packager)
    if location.s3_uri is not None and location.code_key_pattern is not None:
        event["output"] = location.s3_uri
        location.bucket.grant_put(packager, location.code_key_pattern)
        location.bucket.grant_delete(packager, location.code_key_pattern)
        location.grant_read(reader)
    else:
        bucket = artifacts_bucket or ArtifactsBucket(scope, "Artifacts")
        # Another input makes another key, and so another model for the endpoint to move to.
        folder = f"models/{scope.node.addr}"
        name = "model.tar.gz" if compressed else "model/"
        event["output"] = bucket.s3_url_for_object(f"{folder}/{digest}/{name}")
        packager.grant_output(bucket, f"{folder}/*")
        packager.grant_read_output(reader, bucket, f"{folder}/*")
    packaged = CustomResource(
        scope,
        "Packaged",
        resource_type="Custom::PackagedModel",
        service_token=packager.function.function_arn,
        properties=event,
        service_timeout=Duration.minutes(16),
    )
    packaged.node.add_dependency(packager)
    return PackagedModel(
        packaged.get_att_string("ModelDataUrl"),
        packaged.get_att_string("SubmitDirectory"),
        {"CDK_SAGEMAKER_PYTORCH_PACKAGED": digest} if location.code_key_pattern is not None else {},
    )
