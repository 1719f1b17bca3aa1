"""Bodies in chunks, `aws-chunked`: each chunk is signed, and nothing is missing or added."""

import hmac
import io

from .signed_request import Refusal, SignatureError
from .signers import ChunkSigner

SIGNED = ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER")
UNSIGNED = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
_LONGEST_LINE = 8192
_TRAILER_SIGNATURE = b"x-amz-trailer-signature:"


def check_chunks(kind: str, body: bytes, length: str | None, signer: ChunkSigner) -> None:
    """Raise SignatureError unless a body holds what its sender signed.

    Parameters
    ----------
    kind
        What X-Amz-Content-SHA256 says: one of `SIGNED`, or `UNSIGNED`.
    body
        As it came, with the sizes of its chunks.
    length
        What X-Amz-Decoded-Content-Length says.
    signer
        Computes what each signature must be.
    """
    reader = io.BytesIO(body)
    total = 0
    while True:
        size, signature = _chunk_header(reader, kind in SIGNED)
        data = reader.read(size)
        total += size
        if len(data) != size:
            raise _incomplete()
        if kind in SIGNED:
            _check(signer.chunk(data), signature)
        if size == 0:
            break
        if reader.read(2) != b"\r\n":
            raise _incomplete()
    trailer = reader.read()
    if kind == SIGNED[1]:
        _check_trailer(trailer, signer)
    elif trailer != b"\r\n" and (kind == SIGNED[0] or not trailer.endswith(b"\r\n\r\n")):
        raise _incomplete()
    if length is None or not length.isdecimal() or int(length) != total:
        raise SignatureError(
            Refusal.WRONG_BODY, f"X-Amz-Decoded-Content-Length must be {total}, got {length or 'none'}."
        )


def _chunk_header(reader: io.BytesIO, signed: bool) -> tuple[int, str]:
    line = reader.readline(_LONGEST_LINE)
    size, separator, signature = line.removesuffix(b"\r\n").partition(b";chunk-signature=")
    try:
        # Plain digits: int() would take signs, spaces and underscores too, and the next reader may not.
        if not line.endswith(b"\r\n") or bool(separator) != signed or not size.isalnum():
            raise ValueError
        return int(size, 16), signature.decode("ascii")
    except ValueError:
        raise _incomplete() from None


def _check_trailer(trailer: bytes, signer: ChunkSigner) -> None:
    lines = [line.strip() for line in trailer.split(b"\r\n")]
    signatures = [line for line in lines if line.startswith(_TRAILER_SIGNATURE)]
    headers = [line for line in lines if line and not line.startswith(_TRAILER_SIGNATURE)]
    if len(signatures) != 1:
        raise _incomplete()
    signed = b"".join(line + b"\n" for line in headers)
    _check(signer.trailer(signed), signatures[0].removeprefix(_TRAILER_SIGNATURE).decode("latin-1").strip())


def _check(expected: str, got: str) -> None:
    if not hmac.compare_digest(expected.encode(), got.encode()):
        raise SignatureError(Refusal.WRONG_SIGNATURE, "The signature of a chunk does not match.")


def _incomplete() -> SignatureError:
    return SignatureError(
        Refusal.WRONG_BODY, "The body is not in the chunks that X-Amz-Content-SHA256 tells of."
    )
