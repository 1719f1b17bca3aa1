"""Removing multipart uploads that a killed run left behind; their parts cost storage until then."""

from datetime import UTC, datetime, timedelta

from .request import S3Uri
from .storage import Storage, storage_errors


def sweep(storage: Storage, place: S3Uri, older_than: timedelta) -> list[str]:
    """Abort the unfinished uploads below a prefix.

    Parameters
    ----------
    storage : Storage
        Where to look.
    place : S3Uri
        Bucket, and the prefix that the keys begin with.
    older_than : timedelta
        Leave alone what was begun more recently: it may be alive.

    Returns
    -------
    list of str
        The S3 URIs whose uploads were aborted, sorted.
    """
    begun_before = datetime.now(UTC) - older_than
    aborted = []
    with storage_errors(place, "swept"):
        pages = storage.client.get_paginator("list_multipart_uploads")
        for page in pages.paginate(Bucket=place.bucket, Prefix=place.key):
            for upload in page.get("Uploads", []):
                if upload["Initiated"] <= begun_before:
                    storage.client.abort_multipart_upload(
                        Bucket=place.bucket, Key=upload["Key"], UploadId=upload["UploadId"]
                    )
                    aborted.append(str(S3Uri(place.bucket, upload["Key"])))
    return sorted(aborted)
