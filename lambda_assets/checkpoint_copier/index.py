"""Copies the checkpoints of one training job to where another one begins with them.

The event is ``{"training_job_name", "source", "target"}``: the job that wrote the checkpoints, the prefix
that they are in, and the new one, both as ``s3://bucket/prefix/``. The answer is ``{"objects", "bytes"}``. S3
does the copying; a copy that is done again is the same.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import Any, NamedTuple

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config

_WORKERS = 8
_MIB = 1024 * 1024
# CopyObject takes up to 5 GiB; parts of this size make 10,000 parts of up to 2.5 TiB.
_TRANSFER = TransferConfig(
    multipart_threshold=1024 * _MIB, multipart_chunksize=256 * _MIB, max_concurrency=_WORKERS
)
_CALLS = Config(
    max_pool_connections=_WORKERS * _WORKERS, retries={"mode": "standard", "total_max_attempts": 5}
)
# What is left of an invocation when it gives up.
_RESERVE_SECONDS = 10.0


class NoCheckpointsError(Exception):
    """The job wrote no checkpoints."""


class DeadlineError(Exception):
    """The copy takes longer than the function may."""


class Place(NamedTuple):
    """A prefix in a bucket."""

    bucket: str
    prefix: str

    @classmethod
    def of(cls, uri: str) -> "Place":
        """Read ``s3://bucket/prefix/``."""
        bucket, _, prefix = uri.removeprefix("s3://").partition("/")
        return cls(bucket, prefix.rstrip("/") + "/")

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}"


def copy_checkpoints(
    s3: Any, source: Place, target: Place, seconds_left: Callable[[], float], job: str
) -> dict[str, int]:
    """Copy everything below one prefix to below another.

    Raises
    ------
    NoCheckpointsError
        There is nothing.
    DeadlineError
        There is not time enough.
    """
    found = dict(_objects(s3, source))
    if not found:
        raise NoCheckpointsError(f"training job {job} has written no checkpoints to {source}")

    def copy(key: str) -> None:
        s3.copy(
            {"Bucket": source.bucket, "Key": key},
            target.bucket,
            target.prefix + key.removeprefix(source.prefix),
            ExtraArgs={"TaggingDirective": "REPLACE"},  # tags are no part of a checkpoint
            Config=_TRANSFER,
        )

    pool = ThreadPoolExecutor(_WORKERS, thread_name_prefix="copy")
    copies = [pool.submit(copy, key) for key in found]
    done, waiting = wait(
        copies, timeout=max(0.0, seconds_left() - _RESERVE_SECONDS), return_when=FIRST_EXCEPTION
    )
    pool.shutdown(wait=False, cancel_futures=True)
    for each in done:
        each.result()
    if waiting:
        raise DeadlineError(
            f"{len(done)} of {len(found)} checkpoints, of {sum(found.values())} bytes, were copied from"
            f" {source} in the time that the function has"
        )
    return {"objects": len(found), "bytes": sum(found.values())}


def _objects(s3: Any, place: Place) -> Iterator[tuple[str, int]]:
    """Find the objects below a prefix and their sizes, without those that stand for folders."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=place.bucket, Prefix=place.prefix)
    for page in pages:
        for found in page.get("Contents", []):
            if not found["Key"].endswith("/"):
                yield found["Key"], found["Size"]


def handler(event: dict[str, str], context: Any) -> dict[str, int]:
    """Answer an invocation."""
    return copy_checkpoints(
        boto3.client("s3", config=_CALLS),
        Place.of(event["source"]),
        Place.of(event["target"]),
        lambda: float(context.get_remaining_time_in_millis()) / 1000,
        event["training_job_name"],
    )
