"""The deflate splice: code in front of a model's compressed bytes, which stay as they are.

A gzip member is a header, a deflate stream and a trailer. A deflate stream may begin with any number of
complete blocks, so the compressed `code/` entries, ended on a byte boundary, followed by the model's own
deflate bytes, are one valid stream: the tar archive of both. Only the trailer has to be computed anew.
"""

import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Final

from .gzip_stream import TRAILER_BYTES, crc32_combine, header_length, in_blocks, open_head, trailer
from .request import S3Uri
from .scan import ModelArchive, RewriteNeededError, scan
from .storage import Storage, StoredObject
from .upload import MIN_PART_BYTES, MultipartUpload

_MAX_HEADER_BYTES: Final = 512 * 1024


def splice_bytes(archive: ModelArchive, data: bytes) -> bytes:
    """Return the model archive `data` with the code in it.

    Raises
    ------
    RewriteNeededError, ModelPackagerError
        As `scan` does.
    """
    length = scan(archive, in_blocks(data))
    entries = archive.code.entries
    return b"".join(
        (
            open_head(entries),
            data[_deflate_start(data) : -TRAILER_BYTES],
            _spliced_trailer(entries, data[-TRAILER_BYTES:], length),
        )
    )


def splice_object(archive: ModelArchive, storage: Storage, model: StoredObject, output: S3Uri) -> int:
    """Make `output` from `model`, whose bytes S3 copies itself; return the output's length in bytes.

    The copies run while the model is scanned; the object appears only after the scan has passed.

    Raises
    ------
    RewriteNeededError, ModelPackagerError
        As `scan` does, and for storage errors; nothing was written then.
    """
    entries = archive.code.entries
    head = open_head(entries)
    tail = b""
    deflate_start = 0

    with ExitStack() as stack:
        upload: MultipartUpload | None = None

        def tapped_blocks() -> Iterator[bytes]:
            nonlocal deflate_start, tail, upload
            start = bytearray()
            for block in storage.blocks(model):
                yield block
                # Here the block has been scanned: a bad beginning costs no upload.
                tail = (tail + block[-TRAILER_BYTES:])[-TRAILER_BYTES:]
                if upload is not None:
                    upload.check()
                    continue
                start += block
                deflate_start = _deflate_start(start)
                copied_from = deflate_start + MIN_PART_BYTES
                if len(start) >= copied_from:
                    upload = stack.enter_context(MultipartUpload(storage, output))
                    upload.send(upload.reserve(), head + start[deflate_start:copied_from])
                    upload.copy_range(model, copied_from, model.size - TRAILER_BYTES)
                    start.clear()

        length = scan(archive, tapped_blocks())
        assert upload is not None  # noqa: S101 - the model is larger than the first part
        upload.send(upload.reserve(), _spliced_trailer(entries, tail, length))
        upload.complete()
    return len(head) + model.size - deflate_start


def _deflate_start(data: bytes | bytearray) -> int:
    start = header_length(data[:_MAX_HEADER_BYTES])
    if start is None:
        raise RewriteNeededError("its gzip header is unusually long")
    return start


def _spliced_trailer(entries: bytes, model_trailer: bytes, model_length: int) -> bytes:
    model_crc = int.from_bytes(model_trailer[:4], "little")
    crc = crc32_combine(zlib.crc32(entries), model_crc, model_length)
    return trailer(crc, len(entries) + model_length)
