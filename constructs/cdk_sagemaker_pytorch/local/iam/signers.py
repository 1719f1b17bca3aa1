"""What the signature of a request must be, computed by botocore's own signers from the request as it came."""

import hashlib
import urllib.parse
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from botocore.auth import HmacV1Auth, SigV4Auth
from botocore.compat import HTTPHeaders
from botocore.credentials import ReadOnlyCredentials

from cdk_sagemaker_pytorch.local.base.server_state import Credentials

from .signed_request import SignedRequest, header_value, raw_path

_UNRESERVED = "-_.~"


class _SignedHeaders(dict[str, str]):
    """Headers as botocore's signers ask for them, for a tenth of the time that `HTTPHeaders` takes."""

    def get_all(self, name: str) -> list[str]:
        return [self[name]]


class _Arrived:
    """A request as botocore's signers read it: the signed headers alone, in the URL as it was sent."""

    params = None

    def __init__(self, method: str, url: str, headers: Mapping[str, str], timestamp: str) -> None:
        self.method = method
        self.url = url
        self.headers = headers
        self.context = {"timestamp": timestamp}


class _Signer(SigV4Auth):  # type: ignore[misc]
    """botocore's signer, told which headers are signed and what the payload's hash is."""

    def __init__(self, credentials: Credentials, request: SignedRequest, payload_hash: str) -> None:
        super().__init__(_read_only(credentials), request.service, request.region)
        self._payload_hash = payload_hash

    def headers_to_sign(self, request: _Arrived) -> Mapping[str, str]:
        return request.headers

    def payload(self, request: _Arrived) -> str:
        return self._payload_hash

    def _normalize_url_path(self, path: str) -> str:
        if self._service_name == "s3":
            return urllib.parse.quote(urllib.parse.unquote_to_bytes(path), safe=f"/{_UNRESERVED}")
        # Encoded twice, and never with "..": what is signed is what the server looks up.
        return urllib.parse.quote(path, safe=f"/{_UNRESERVED}")

    def signature(self, string_to_sign: str, request: _Arrived) -> str:
        # As the base class does it, with the key of this day's scope kept.
        key = _signing_key(
            self.credentials.secret_key,
            request.context["timestamp"][:8],
            self._region_name,
            self._service_name,
        )
        return str(self._sign(key, string_to_sign, hex=True))


class ChunkSigner:
    """Computes the signatures of the chunks of a body, each from the one before.

    Parameters
    ----------
    credentials
        Of the sender.
    request
        Whose body it is.
    """

    def __init__(self, credentials: Credentials, request: SignedRequest) -> None:
        self._signer = _Signer(credentials, request, "")
        self._arrived = _Arrived("", "", {}, request.timestamp)
        self._previous = request.signature

    def chunk(self, data: bytes) -> str:
        """Return the signature of the next chunk."""
        return self._next("AWS4-HMAC-SHA256-PAYLOAD", [hashlib.sha256(b"").hexdigest()], data)

    def trailer(self, data: bytes) -> str:
        """Return the signature of the trailing headers, each line ended by a line feed."""
        return self._next("AWS4-HMAC-SHA256-TRAILER", [], data)

    def _next(self, kind: str, more: list[str], data: bytes) -> str:
        scope = self._signer.credential_scope(self._arrived)
        content = hashlib.sha256(data).hexdigest()
        text = "\n".join([kind, self._arrived.context["timestamp"], scope, self._previous, *more, content])
        self._previous = self._signer.signature(text, self._arrived)
        return self._previous


def expected_signature(
    credentials: Credentials, request: SignedRequest, environ: Mapping[str, Any], payload_hash: str
) -> str:
    """Return what the signature of a request must be.

    Parameters
    ----------
    credentials
        Of the sender that the request names.
    request, environ
        What it says of its signature, and the request itself.
    payload_hash
        What stands for its body.
    """
    url = f"http://{environ['HTTP_HOST']}{raw_path(environ)}?{_query(environ)}"
    if request.version == 2:
        return _version_2(credentials, request, environ)
    headers = _SignedHeaders({name: header_value(environ, name) or "" for name in request.signed_headers})
    arrived = _Arrived(environ["REQUEST_METHOD"], url, headers, request.timestamp)
    signer = _Signer(credentials, request, payload_hash)
    canonical = signer.canonical_request(arrived)
    return str(signer.signature(signer.string_to_sign(arrived, canonical), arrived))


class _Version2Signer(HmacV1Auth):  # type: ignore[misc]
    """botocore's signer of presigned URLs of Version 2, told when they expire."""

    def __init__(self, credentials: Credentials, expires: str) -> None:
        super().__init__(_read_only(credentials))
        self._expires = expires

    def _get_date(self) -> str:
        return self._expires


def _version_2(credentials: Credentials, request: SignedRequest, environ: Mapping[str, Any]) -> str:
    headers = HTTPHeaders()
    for key in environ:
        name = key.removeprefix("HTTP_").replace("_", "-").lower()
        if name in ("content-md5", "content-type") or key.startswith("HTTP_X_AMZ_"):
            headers[name] = header_value(environ, name)
    if request.token is not None:
        del headers["x-amz-security-token"]
        headers["x-amz-security-token"] = request.token
    split = urllib.parse.urlsplit(f"http://{environ['HTTP_HOST']}{environ['REQUEST_URI']}")
    signer = _Version2Signer(credentials, request.timestamp)
    return str(signer.sign_string(signer.canonical_string(environ["REQUEST_METHOD"], split, headers)))


def _query(environ: Mapping[str, Any]) -> str:
    """Return the query with its names and values encoded as AWS does, without the signature itself."""
    query = environ["QUERY_STRING"]
    encoded = []
    for item in query.split("&") if query else []:
        name, _, value = (_encode(part) for part in item.partition("="))
        if name != "X-Amz-Signature":
            encoded.append(f"{name}={value}")
    return "&".join(encoded)


def _encode(text: str) -> str:
    return urllib.parse.quote(urllib.parse.unquote_to_bytes(text.replace("+", " ")), safe=_UNRESERVED)


def _read_only(credentials: Credentials) -> ReadOnlyCredentials:
    return ReadOnlyCredentials(
        credentials.access_key_id, credentials.secret_access_key, credentials.session_token
    )


@lru_cache(maxsize=256)
def _signing_key(secret: str, date: str, region: str, service: str) -> bytes:
    sign = SigV4Auth(None, service, region)._sign
    key: bytes = sign(sign(sign(sign(f"AWS4{secret}".encode(), date), region), service), "aws4_request")
    return key
