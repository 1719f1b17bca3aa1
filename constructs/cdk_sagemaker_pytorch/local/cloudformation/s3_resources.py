"""CloudFormation resources of S3: buckets and their policies."""

import json
from collections.abc import Mapping
from typing import Any

from cdk_sagemaker_pytorch.local.base.server_state import client, settings

from .resource_type import Created, ResourceRequest, ResourceType, changed, ignoring

#: Tag that the CDK puts on a bucket whose objects go with it. Its own function for that is a Node program.
_AUTO_DELETE_TAG = {"Key": "aws-cdk:auto-delete-objects", "Value": "true"}


class Bucket(ResourceType):
    """`AWS::S3::Bucket`: name, tags, versioning, encryption and public access block, nothing else."""

    type_name = "AWS::S3::Bucket"

    def needs_replacement(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
        """See `ResourceType`."""
        return changed(before, after, "BucketName")

    def create(self, request: ResourceRequest) -> Created:
        """See `ResourceType`."""
        name = request.properties.get("BucketName") or request.generated_name(63, lower=True)
        region = settings().region
        # us-east-1 is the one region that must not be named.
        place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        client("s3").create_bucket(Bucket=name, **place)
        return self._configure(name, request)

    def update(self, request: ResourceRequest, physical_id: str, before: Mapping[str, Any]) -> Created:
        """See `ResourceType`."""
        return self._configure(physical_id, request)

    def delete(self, request: ResourceRequest, physical_id: str) -> None:
        """See `ResourceType`."""
        with ignoring("NoSuchBucket"):
            if _AUTO_DELETE_TAG in (request.properties.get("Tags") or []):
                self._empty(physical_id)
            client("s3").delete_bucket(Bucket=physical_id)

    def _configure(self, name: str, request: ResourceRequest) -> Created:
        s3, properties = client("s3"), request.properties
        if request.tags:
            s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": request.tags})
        if versioning := properties.get("VersioningConfiguration"):
            s3.put_bucket_versioning(Bucket=name, VersioningConfiguration=versioning)
        if block := properties.get("PublicAccessBlockConfiguration"):
            s3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=block)
        if encryption := properties.get("BucketEncryption"):
            rules = [
                {"ApplyServerSideEncryptionByDefault": rule["ServerSideEncryptionByDefault"]}
                for rule in encryption["ServerSideEncryptionConfiguration"]
            ]
            s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": rules})
        region = settings().region
        return Created(
            name,
            {
                "Arn": f"arn:aws:s3:::{name}",
                "DomainName": f"{name}.s3.amazonaws.com",
                "RegionalDomainName": f"{name}.s3.{region}.amazonaws.com",
                "DualStackDomainName": f"{name}.s3.dualstack.{region}.amazonaws.com",
                "WebsiteURL": f"http://{name}.s3-website-{region}.amazonaws.com",
            },
        )

    def _empty(self, name: str) -> None:
        s3 = client("s3")
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=name):
            for item in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
                s3.delete_object(Bucket=name, Key=item["Key"], VersionId=item["VersionId"])


class BucketPolicy(ResourceType):
    """`AWS::S3::BucketPolicy`."""

    type_name = "AWS::S3::BucketPolicy"

    def needs_replacement(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
        """See `ResourceType`."""
        return changed(before, after, "Bucket")

    def create(self, request: ResourceRequest) -> Created:
        """See `ResourceType`."""
        bucket = request.properties["Bucket"]
        document = json.dumps(request.properties["PolicyDocument"])
        client("s3").put_bucket_policy(Bucket=bucket, Policy=document)
        return Created(bucket)

    def update(self, request: ResourceRequest, physical_id: str, before: Mapping[str, Any]) -> Created:
        """See `ResourceType`."""
        return self.create(request)

    def delete(self, request: ResourceRequest, physical_id: str) -> None:
        """See `ResourceType`."""
        with ignoring("NoSuchBucket"):
            client("s3").delete_bucket_policy(Bucket=physical_id)
