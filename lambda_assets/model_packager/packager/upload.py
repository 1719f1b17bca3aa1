"""Multipart uploads that are whole or not there at all."""

import contextlib
import hashlib
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import Any, Final, Self

from botocore.exceptions import BotoCoreError, ClientError

from .request import S3Uri
from .storage import Storage, StoredObject, storage_errors

MIN_PART_BYTES: Final = 5 * 1024**2
"""S3 takes no smaller part, except as the last one."""

# S3 would take 5 GiB, but answers when it is done: pieces keep the wait short, and travel side by side.
_COPY_BYTES: Final = 512 * 1024**2
_COPY_PARTS: Final = 5000
_WORKERS: Final = 4
_WAITING_BODIES: Final = 2
_ABORT_ATTEMPTS: Final = 3
_ABORT_WAIT_S: Final = 5.0


class MultipartUpload:
    """An upload whose parts travel side by side; its object appears at once when all have arrived.

    As a context manager it aborts on the way out unless `complete` was called.

    Parameters
    ----------
    storage : Storage
        Where to write.
    place : S3Uri
        What to write.
    """

    def __init__(self, storage: Storage, place: S3Uri) -> None:
        self._storage = storage
        self._client = storage.client
        self._place = place
        self._parts: list[Future[str] | None] = []
        self._bodies = threading.Semaphore(_WAITING_BODIES)
        self._failed = threading.Event()
        self._completed = False
        with storage_errors(place, "written"):
            answer = self._client.create_multipart_upload(
                Bucket=place.bucket, Key=place.key, **storage.settings
            )
        self._target = {"Bucket": place.bucket, "Key": place.key, "UploadId": answer["UploadId"]}
        self._pool = ThreadPoolExecutor(_WORKERS, thread_name_prefix="upload")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
        if not self._completed:
            self._abort()

    def reserve(self) -> int:
        """Take the next part's number for `send`, so that later parts can be on their way before it."""
        self._parts.append(None)
        return len(self._parts)

    def send(self, number: int, body: bytes | bytearray) -> None:
        """Upload `body` as a reserved part; waits while too many bodies are held in memory.

        Raises
        ------
        ModelPackagerError
            When an earlier part has failed, or no time is left.
        """
        while not self._bodies.acquire(timeout=1):
            self.check()
        self.check()
        self._storage.bytes_sent += len(body)
        self._start(number, self._send, number, body)

    def copy_range(self, stored: StoredObject, start: int, end: int) -> None:
        """Append the bytes from `start` up to `end` of an object, copied inside of S3.

        The range must hold at least 5 MiB unless nothing follows it.
        """
        for first, last in split_range(start, end):
            number = self.reserve()
            self._start(number, self._copy, number, stored, first, last)

    def check(self) -> None:
        """Raise the error of a part that failed, or DeadlineError when no time is left."""
        if self._failed.is_set():
            for part in self._parts:
                if part is not None and part.done():
                    part.result()
        self._storage.deadline.check(f"while {self._place} was written")

    def complete(self) -> None:
        """Wait for every part and make the object.

        Raises
        ------
        ModelPackagerError
            When a part failed, or no time is left; nothing was written.
        """
        parts = [part for part in self._parts if part is not None]
        while wait(parts, timeout=1, return_when="FIRST_EXCEPTION").not_done:
            self.check()
        etags = [part.result() for part in parts]
        numbered = [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(etags, 1)]
        self._storage.deadline.check(f"while {self._place} was written")
        with storage_errors(self._place, "written"):
            try:
                self._client.complete_multipart_upload(**self._target, MultipartUpload={"Parts": numbered})
            except (ClientError, BotoCoreError):
                # When the answer of a first attempt got lost, the retry finds no upload any more.
                if self._exists() or not self._is_made_of(etags):
                    raise
        self._completed = True

    def _is_made_of(self, etags: list[str]) -> bool:
        """Return whether the object is there and has these parts."""
        digests = b"".join(bytes.fromhex(etag.strip('"')) for etag in etags)
        expected = f"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(etags)}"
        with contextlib.suppress(ClientError, BotoCoreError):
            head = self._client.head_object(Bucket=self._place.bucket, Key=self._place.key)
            return bool(head["ETag"].strip('"') == expected)
        return False

    def _start(self, number: int, call: Any, *arguments: Any) -> None:
        part = self._pool.submit(call, *arguments)
        part.add_done_callback(self._note_failure)
        self._parts[number - 1] = part

    def _note_failure(self, part: "Future[str]") -> None:
        if not part.cancelled() and part.exception() is not None:
            self._failed.set()

    def _send(self, number: int, body: bytes | bytearray) -> str:
        try:
            with storage_errors(self._place, "written"):
                answer = self._client.upload_part(**self._target, PartNumber=number, Body=body)
        finally:
            self._bodies.release()
        return str(answer["ETag"])

    def _copy(self, number: int, stored: StoredObject, first: int, last: int) -> str:
        with storage_errors(stored.place, f"copied to {self._place}"):
            answer = self._client.upload_part_copy(
                **self._target,
                PartNumber=number,
                CopySource=stored.named,
                CopySourceIfMatch=stored.etag,
                CopySourceRange=f"bytes={first}-{last - 1}",
            )
        return str(answer["CopyPartResult"]["ETag"])

    def _abort(self) -> None:
        """Abort until the upload is gone: a part that was still on its way can outlive one abort."""
        running = [part for part in self._parts if part is not None and not part.cancelled()]
        wait(running, timeout=_ABORT_WAIT_S)
        for _ in range(_ABORT_ATTEMPTS):
            # What is left is for the bucket's lifecycle rule; the error that led here matters more.
            with contextlib.suppress(ClientError, BotoCoreError):
                self._client.abort_multipart_upload(**self._target)
                if not self._exists():
                    return

    def _exists(self) -> bool:
        try:
            self._client.list_parts(**self._target, MaxParts=1)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") == "NoSuchUpload":
                return False
            raise
        return True


class ObjectWriter:
    """Writes an object of unknown length from a stream: one request if it is small, else a multipart upload.

    As a context manager it leaves no object and no upload behind unless `close` was called.

    Parameters
    ----------
    storage : Storage
        Where to write.
    place : S3Uri
        What to write.
    expected_bytes : int
        About how long the object will be; parts grow with it, since S3 takes at most 10,000.

    Attributes
    ----------
    size : int
        Bytes written so far.
    """

    def __init__(self, storage: Storage, place: S3Uri, expected_bytes: int) -> None:
        self._storage = storage
        self._place = place
        self._part_bytes = max(8 * 1024**2, expected_bytes // _COPY_PARTS)
        self._buffer = bytearray()
        self._upload: MultipartUpload | None = None
        self._stack = contextlib.ExitStack()
        self.size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def write(self, data: bytes | memoryview) -> None:
        """Append `data`."""
        self._buffer += data
        self.size += len(data)
        while len(self._buffer) > self._part_bytes:
            body = self._buffer[: self._part_bytes]
            del self._buffer[: self._part_bytes]
            self._send(body)

    def close(self) -> None:
        """Write what is left and make the object."""
        if self._upload is None:
            self._storage.put(self._place, bytes(self._buffer))
            return
        self._send(self._buffer)
        self._upload.complete()

    def _send(self, body: bytearray) -> None:
        if self._upload is None:
            self._upload = self._stack.enter_context(MultipartUpload(self._storage, self._place))
        self._upload.send(self._upload.reserve(), body)


def split_range(start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield the bounds of even pieces of a byte range, 5,000 at most, each of 512 MiB if that suffices."""
    piece = max(_COPY_BYTES, -(-(end - start) // _COPY_PARTS))
    count = max(1, -(-(end - start) // piece))
    for number in range(count):
        yield start + (end - start) * number // count, start + (end - start) * (number + 1) // count


def copy_object(storage: Storage, stored: StoredObject, place: S3Uri) -> None:
    """Copy one version of an object to `place` inside of S3, with the settings of `storage`.

    Raises
    ------
    ModelPackagerError
        When it is another version by now, or S3 refuses.
    """
    if stored.size > _COPY_BYTES:
        with MultipartUpload(storage, place) as upload:
            upload.copy_range(stored, 0, stored.size)
            upload.complete()
        return
    with storage_errors(stored.place, f"copied to {place}"):
        storage.client.copy_object(
            Bucket=place.bucket,
            Key=place.key,
            CopySource=stored.named,
            CopySourceIfMatch=stored.etag,
            MetadataDirective="REPLACE",
            TaggingDirective="REPLACE",
            **storage.settings,
        )
