"""S3 as packaging needs it: pinned reads that resume, uploads that leave nothing behind."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, IncompleteReadError
from botocore.session import get_session
from urllib3.exceptions import HTTPError

from .deadline import Deadline
from .errors import (
    AccessDeniedError,
    EmptyObjectError,
    ModelPackagerError,
    ObjectNotFoundError,
    SourceChangedError,
    StorageError,
)
from .request import S3Uri

_BLOCK_BYTES: Final = 1024**2
_READ_ATTEMPTS: Final = 5
_CONTENT_TYPE: Final = "application/gzip"
_NOT_FOUND: Final = ("404", "NoSuchKey", "NoSuchBucket", "NoSuchVersion", "NotFound")
_DENIED: Final = ("403", "AccessDenied", "Forbidden", "KMS.AccessDeniedException")
_BROKEN_CONNECTION: Final = (HTTPClientError, IncompleteReadError, HTTPError, ConnectionError)
_CHANGED: Final = ("412", "PreconditionFailed")


@dataclass(frozen=True)
class StoredObject:
    """One version of an S3 object.

    Attributes
    ----------
    place : S3Uri
        Where it is.
    size : int
        Its length in bytes.
    etag : str
        Its entity tag, which changes with its content.
    version_id : str or None
        Its version, if one was asked for. Defaults to none: the present one.
    """

    place: S3Uri
    size: int
    etag: str
    version_id: str | None = None

    @property
    def named(self) -> dict[str, str]:
        """How requests name it: bucket, key and version."""
        version = {} if self.version_id is None else {"VersionId": self.version_id}
        return {"Bucket": self.place.bucket, "Key": self.place.key, **version}


@contextlib.contextmanager
def storage_errors(place: S3Uri, what: str) -> Iterator[None]:
    """Turn the client's errors into those of packaging, with the place and what was tried."""
    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        raise _error_of(code, place, what, error) from error
    except BotoCoreError as error:
        raise StorageError(f"{place} could not be {what}: {error}") from error


def _error_of(code: str, place: S3Uri, what: str, error: Exception) -> ModelPackagerError:
    if code in _NOT_FOUND:
        return ObjectNotFoundError(f"{place} could not be {what}: it does not exist")
    if code in _DENIED:
        return AccessDeniedError(
            f"{place} could not be {what}: access denied; it may not exist, or the function's role lacks the "
            "permission on the bucket or on its KMS key"
        )
    if code in _CHANGED:
        return SourceChangedError(f"{place} was replaced while it was read: package it again")
    return StorageError(f"{place} could not be {what}: {error}")


class Storage:
    """Reads and writes S3 objects.

    Parameters
    ----------
    client : Any
        A boto3 or botocore S3 client; `default_client` makes one.
    deadline : Deadline
        When reading must stop. Defaults to never.
    kms_key_id : str or None
        The key that encrypts what is written. Defaults to the bucket's own encryption.
    tags, metadata : mapping of str to str
        Object tags and user metadata of what is written. Default to none.
    content_type : str
        Media type of what is written. Defaults to ``application/gzip``.

    Attributes
    ----------
    client : Any
        The S3 client.
    settings : dict
        Arguments for every request that makes an object.
    bytes_sent : int
        What this process uploaded; copies inside of S3 do not count.
    """

    def __init__(
        self,
        client: Any,
        *,
        deadline: Deadline | None = None,
        kms_key_id: str | None = None,
        tags: Mapping[str, str] | None = None,
        metadata: Mapping[str, str] | None = None,
        content_type: str = _CONTENT_TYPE,
    ) -> None:
        self.client = client
        self.deadline = deadline or Deadline()
        self.settings: dict[str, Any] = {"ContentType": content_type, "Metadata": dict(metadata or {})}
        if tags:
            self.settings["Tagging"] = urlencode(dict(tags))
        if kms_key_id:
            self.settings |= {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key_id}
        self.bytes_sent = 0

    def head(self, place: S3Uri, version_id: str | None = None) -> StoredObject:
        """Return a version of an object, by default the present one.

        Raises
        ------
        ObjectNotFoundError, AccessDeniedError, StorageError
            When it cannot be had.
        EmptyObjectError
            When it has no bytes.
        """
        with storage_errors(place, "read"):
            answer = self.client.head_object(**StoredObject(place, 0, "", version_id).named)
        if answer["ContentLength"] == 0:
            raise EmptyObjectError(f"{place} is empty: it has zero bytes")
        return StoredObject(place, answer["ContentLength"], answer["ETag"], version_id)

    def blocks(self, stored: StoredObject, *, limit: int | None = None) -> Iterator[bytes]:
        """Yield the content of that version in blocks; a broken connection is taken up where it broke.

        Parameters
        ----------
        stored : StoredObject
            What to read.
        limit : int or None
            Read only so many bytes. Defaults to all.

        Raises
        ------
        SourceChangedError
            When the object is not that version any more.
        DeadlineError
            When no time is left.
        """
        end = stored.size if limit is None else min(limit, stored.size)
        position = 0
        failures = 0
        while position < end:
            started = position
            problem: object = "the connection was closed too early"
            try:
                for block in self._request(stored, position, end):
                    position += len(block)
                    yield block
                    self.deadline.check(f"after {position} of {stored.size} bytes of {stored.place}")
            except _BROKEN_CONNECTION as error:
                problem = error
            failures = 1 if position > started else failures + 1
            if position < end and failures >= _READ_ATTEMPTS:
                raise StorageError(f"{stored.place} could not be read: {problem}")
            self.deadline.check(f"after {position} of {stored.size} bytes of {stored.place}")

    def _request(self, stored: StoredObject, position: int, end: int) -> Iterator[bytes]:
        ranged = {} if (position, end) == (0, stored.size) else {"Range": f"bytes={position}-{end - 1}"}
        with storage_errors(stored.place, "read"):
            answer = self.client.get_object(**stored.named, IfMatch=stored.etag, **ranged)
        with contextlib.closing(answer["Body"]) as body:
            while block := body.read(_BLOCK_BYTES):
                yield block

    def objects(self, prefix: S3Uri) -> Iterator[StoredObject]:
        """Yield the present version of every object whose key begins with a prefix."""
        with storage_errors(prefix, "listed"):
            pages = self.client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=prefix.bucket, Prefix=prefix.key):
                self.deadline.check(f"while {prefix} was listed")
                for entry in page.get("Contents", []):
                    place = S3Uri(prefix.bucket, entry["Key"])
                    yield StoredObject(place, entry["Size"], entry["ETag"])

    def delete(self, place: S3Uri) -> None:
        """Delete an object; one that is gone already will do."""
        with storage_errors(place, "deleted"):
            self.client.delete_object(Bucket=place.bucket, Key=place.key)

    def put(self, place: S3Uri, body: bytes) -> None:
        """Write a small object."""
        with storage_errors(place, "written"):
            self.client.put_object(Bucket=place.bucket, Key=place.key, Body=body, **self.settings)
        self.bytes_sent += len(body)


def default_client() -> Any:
    """Return the S3 client of this environment, which AWS_ENDPOINT_URL and the like describe."""
    return get_session().create_client(
        "s3",
        config=Config(
            connect_timeout=5,
            read_timeout=20,  # below the deadline's margin: a hung request cannot outlive the function
            retries={"mode": "standard", "total_max_attempts": 6},
            max_pool_connections=10,
            # gzip carries its own checksum; parts that S3 copies have none that the client could name.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )
