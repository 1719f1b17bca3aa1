"""Who sent a request: its signature must be the one that the holder of the secret computes."""

import datetime as dt
import hashlib
import hmac
import io
import re
from typing import Any

from moto.sts.models import sts_backends

from cdk_sagemaker_pytorch.local.base.server_state import Credentials, settings

from . import chunked_body
from .signed_request import (
    Refusal,
    SignatureError,
    SignedRequest,
    amazon_headers,
    header_value,
    parse_time,
    read_signed_request,
)
from .signers import ChunkSigner, expected_signature

_MAX_SKEW = dt.timedelta(minutes=15)
_HASH = re.compile(r"[0-9a-f]{64}")
_UNSIGNED = "UNSIGNED-PAYLOAD"
_MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret "
    "Access Key and signing method."
)


def authenticate(environ: dict[str, Any]) -> None:
    """Verify the signature of a request.

    From here on its Authorization header names who sent it and what for: a presigned URL is given one.

    Parameters
    ----------
    environ
        As WSGI has it.

    Raises
    ------
    SignatureError
        If it is not signed, by an unknown key, by somebody without the secret, or for something else.
    """
    request = read_signed_request(environ, settings().region)
    credentials = _credentials(request)
    _check_time(request)
    _check_signed_headers(request, environ)
    payload_hash = _payload_hash(request, environ)
    expected = expected_signature(credentials, request, environ, payload_hash)
    if not hmac.compare_digest(expected.encode(), request.signature.encode()):
        raise SignatureError(Refusal.WRONG_SIGNATURE, _MISMATCH)
    _check_body(request, credentials, environ, payload_hash)
    environ["HTTP_AUTHORIZATION"] = request.authorization


def read_body(environ: dict[str, Any]) -> bytes:
    """Return the body of a request, and leave it to be read again.

    Parameters
    ----------
    environ
        As WSGI has it.
    """
    stream = environ["wsgi.input"]
    if environ.get("wsgi.input_terminated"):
        body = bytes(stream.read())
    else:
        length = environ.get("CONTENT_LENGTH") or "0"
        if not length.isdecimal():
            raise SignatureError(Refusal.MALFORMED, f"Content-Length must be a number, got {length!r}.")
        body = bytes(stream.read(int(length)))
    environ["wsgi.input"] = io.BytesIO(body)
    return body


def _credentials(request: SignedRequest) -> Credentials:
    """Return the keys of the sender that a request names."""
    user = settings().user
    if hmac.compare_digest(request.access_key_id.encode(), user.access_key_id.encode()):
        credentials = user
    else:
        backend = sts_backends[settings().account]["aws"]
        session = backend.get_assumed_role_from_access_key(request.access_key_id)
        if session is None:
            raise SignatureError(
                Refusal.UNKNOWN_KEY, "The security token included in the request is invalid."
            )
        credentials = Credentials(session.access_key_id, session.secret_access_key, session.session_token)
    expected, got = credentials.session_token or "", request.token or ""
    if not hmac.compare_digest(expected.encode(), got.encode()):
        raise SignatureError(Refusal.WRONG_TOKEN, "The security token included in the request is invalid.")
    return credentials


def _check_time(request: SignedRequest) -> None:
    now = dt.datetime.now(dt.UTC)
    if request.version == 2:
        if now.timestamp() > int(request.timestamp):
            raise SignatureError(Refusal.EXPIRED, "Request has expired")
        return
    signed = parse_time(request.timestamp)
    if request.expires is None:
        if abs(now - signed) > _MAX_SKEW:
            raise SignatureError(
                Refusal.SKEWED,
                "The difference between the request time and the current time is too large: it was signed at "
                f"{request.timestamp}, and came at {now:%Y%m%dT%H%M%SZ}.",
            )
    elif signed - now > _MAX_SKEW:
        raise SignatureError(Refusal.EXPIRED, "Request is not yet valid")
    elif now > signed + dt.timedelta(seconds=request.expires):
        raise SignatureError(Refusal.EXPIRED, "Request has expired")


def _check_signed_headers(request: SignedRequest, environ: dict[str, Any]) -> None:
    """Refuse what services obey though the sender has not signed it."""
    if request.version == 2:
        return  # covers all of them by itself
    date = [] if request.expires is not None or header_value(environ, "x-amz-date") else ["date"]
    unsigned = {"host", *date, *amazon_headers(environ)} - set(request.signed_headers)
    if unsigned:
        raise SignatureError(
            Refusal.WRONG_SIGNATURE,
            f"There were headers present in the request which were not signed: {', '.join(sorted(unsigned))}",
        )


def _payload_hash(request: SignedRequest, environ: dict[str, Any]) -> str:
    """Return what stands for the body in what is signed."""
    given = header_value(environ, "x-amz-content-sha256")
    if request.version == 2 or (request.service == "s3" and request.expires is not None):
        return given or _UNSIGNED
    return given or hashlib.sha256(read_body(environ)).hexdigest()


def _check_body(
    request: SignedRequest, credentials: Credentials, environ: dict[str, Any], payload_hash: str
) -> None:
    if payload_hash == _UNSIGNED or header_value(environ, "x-amz-content-sha256") is None:
        return  # the hash is that of the body, or nobody has signed it
    if _HASH.fullmatch(payload_hash):
        if hashlib.sha256(read_body(environ)).hexdigest() != payload_hash:
            raise SignatureError(
                Refusal.WRONG_BODY,
                "The provided 'x-amz-content-sha256' header does not match what was computed.",
            )
    elif payload_hash in (*chunked_body.SIGNED, chunked_body.UNSIGNED):
        length = header_value(environ, "x-amz-decoded-content-length")
        signer = ChunkSigner(credentials, request)
        chunked_body.check_chunks(payload_hash, read_body(environ), length, signer)
    else:
        raise SignatureError(
            Refusal.WRONG_BODY,
            "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, "
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER, STREAMING-UNSIGNED-PAYLOAD-TRAILER or a SHA-256 in "
            f"hexadecimal digits, got {payload_hash!r}.",
        )
