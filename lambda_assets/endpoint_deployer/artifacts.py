"""The packaged models of a pipeline's versions, in S3."""

from typing import Any

from botocore.exceptions import ClientError

_TAG = {"Key": "cdk-sagemaker-pytorch:superseded", "Value": "true"}
_MOST_TAGS = 10  # of an S3 object


class Artifacts:
    """Packaged models: those of the version `v` lie below ``v/`` in a prefix.

    Parameters
    ----------
    s3
        A boto3 client.
    uri
        ``s3://bucket/prefix/``.
    """

    def __init__(self, s3: Any, uri: str) -> None:
        self._s3 = s3
        self._bucket, _, self._prefix = uri.removeprefix("s3://").partition("/")

    def supersede(self, version: str) -> None:
        """Tag what belongs to a version that nothing serves any more; a lifecycle rule may remove it.

        What cannot be tagged stays, and the log says so: nothing depends on it.
        """
        try:
            pages = self._s3.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self._bucket, Prefix=f"{self._prefix}{version}/"):
                for entry in page.get("Contents", []):
                    self._tag({"Bucket": self._bucket, "Key": entry["Key"]})
        except ClientError as error:
            print(f"the artifacts of {version} are not marked as superseded: {error}")  # noqa: T201 - the log

    def _tag(self, place: dict[str, str]) -> None:
        tags = [tag for tag in self._s3.get_object_tagging(**place)["TagSet"] if tag["Key"] != _TAG["Key"]]
        if len(tags) < _MOST_TAGS:
            self._s3.put_object_tagging(**place, Tagging={"TagSet": [*tags, _TAG]})
