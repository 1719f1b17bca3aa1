"""How a request is signed: what it says of its signature, in the Authorization header or in the query.

A presigned URL of Signature Version 2 is read too, for boto3 makes such for S3 unless it is told otherwise.
"""

import datetime as dt
import email.utils
import re
import urllib.parse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from moto.core.request import PRESERVED_HEADER_NAMES_ENVIRON_KEY, environ_key_for_header

ALGORITHM = "AWS4-HMAC-SHA256"
TIMESTAMP = "%Y%m%dT%H%M%SZ"
_CREDENTIAL = re.compile(
    r"(?P<key>\w+)/(?P<date>\d{8})/(?P<region>[\w-]+)/(?P<service>[\w.-]+)/aws4_request", re.ASCII
)
_KEY_ID = re.compile(r"\w+", re.ASCII)
_SIGNED_HEADERS = re.compile(r"[a-z0-9_.-]+(;[a-z0-9_.-]+)*")
_SIGNATURE = re.compile(r"[0-9a-f]{64}")
# A "#" would hide from the server what the signer had signed as a part of a name.
_TARGET = re.compile(r"/[!-\"$-~]*", re.ASCII)
_QUERY_NAMES = ("Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature")
_VERSION_2_NAMES = ("AWSAccessKeyId", "Signature", "Expires")
_LONGEST_EXPIRES = 7 * 24 * 3600


class Refusal(Enum):
    """Why a request does not count as signed."""

    MISSING = auto()
    MALFORMED = auto()
    UNSUPPORTED = auto()
    UNKNOWN_KEY = auto()
    WRONG_TOKEN = auto()
    EXPIRED_TOKEN = auto()
    WRONG_SIGNATURE = auto()
    SKEWED = auto()
    EXPIRED = auto()
    WRONG_BODY = auto()


class SignatureError(Exception):
    """A request whose signature does not hold."""

    def __init__(self, refusal: Refusal, message: str) -> None:
        super().__init__(message)
        self.refusal = refusal


@dataclass(frozen=True)
class SignedRequest:
    """What a request says of its signature; nothing of it is verified.

    Parameters
    ----------
    access_key_id, date, region, service
        The scope that it is signed for.
    timestamp
        When it was signed, as `TIMESTAMP` has it; for Version 2 when it expires, in seconds since 1970.
    signed_headers
        Their names in lower case; none for Version 2.
    signature
        As sent.
    token
        The session token, or None.
    expires
        Seconds that a presigned URL holds; None for the Authorization header.
    version
        Of the signature: 4 or 2.
    """

    access_key_id: str
    date: str
    region: str
    service: str
    timestamp: str
    signed_headers: tuple[str, ...]
    signature: str
    token: str | None
    expires: int | None
    version: int = 4

    @property
    def authorization(self) -> str:
        """The Authorization header that says the same."""
        scope = f"{self.access_key_id}/{self.date}/{self.region}/{self.service}/aws4_request"
        headers = ";".join(self.signed_headers)
        return f"{ALGORITHM} Credential={scope}, SignedHeaders={headers}, Signature={self.signature}"


def read_signed_request(environ: Mapping[str, Any], region: str) -> SignedRequest:
    """Return what a request says of its signature.

    Parameters
    ----------
    environ
        As WSGI has it.
    region
        Of what is signed for none.

    Raises
    ------
    SignatureError
        If it is not signed, in two ways at once, or in a way that is not known.
    """
    if not _TARGET.fullmatch(environ["REQUEST_URI"]):
        raise SignatureError(Refusal.MALFORMED, "The path and the query must be percent-encoded.")
    header = environ.get("HTTP_AUTHORIZATION", "")
    query = urllib.parse.parse_qsl(environ["QUERY_STRING"], keep_blank_values=True)
    presigned = any(name in ("X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature") for name, _ in query)
    version_2 = any(name == "AWSAccessKeyId" for name, _ in query)
    if bool(header) + presigned + version_2 > 1:
        raise SignatureError(Refusal.MALFORMED, "Only one auth mechanism allowed.")
    if presigned:
        return _from_query(query)
    if version_2:
        return _from_version_2(query, region)
    if not header:
        form = environ.get("CONTENT_TYPE", "").startswith("multipart/form-data")
        why = (
            "The local AWS takes no POST forms, use a presigned URL."
            if form
            else "The request is not signed."
        )
        raise SignatureError(Refusal.MISSING, why)
    return _from_header(header, environ)


def raw_path(environ: Mapping[str, Any]) -> str:
    """Return the path as it was sent."""
    return str(environ["REQUEST_URI"]).partition("?")[0]


def header_value(environ: Mapping[str, Any], name: str) -> str | None:
    """Return the value of a header as its sender meant it, or None; `name` is in lower case."""
    key = environ_key_for_header(name)
    # Names with underscores and with dashes meet in one variable.
    spelled = environ.get(PRESERVED_HEADER_NAMES_ENVIRON_KEY, {}).get(key)
    if key not in environ or (spelled or name.replace("_", "-")).lower() != name:
        return None
    return _as_utf8(environ[key])


def amazon_headers(environ: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names of the headers that AWS's services obey, in lower case."""
    spelled = environ.get(PRESERVED_HEADER_NAMES_ENVIRON_KEY, {})
    for key in environ:
        if key.startswith("HTTP_X_AMZ_"):
            yield spelled.get(key, key.removeprefix("HTTP_").replace("_", "-")).lower()


def parse_time(timestamp: str) -> dt.datetime:
    """Return the time of a timestamp.

    Raises
    ------
    SignatureError
        If it is none.
    """
    try:
        return dt.datetime.strptime(timestamp, TIMESTAMP).replace(tzinfo=dt.UTC)
    except ValueError:
        raise SignatureError(
            Refusal.MALFORMED, f"Date must be in ISO8601 basic format, got {timestamp!r}."
        ) from None


def _from_header(header: str, environ: Mapping[str, Any]) -> SignedRequest:
    algorithm, _, rest = header.partition(" ")
    if algorithm != ALGORITHM:
        raise _unsupported(algorithm)
    pairs = [part.strip().partition("=")[::2] for part in rest.split(",")]
    parts = dict(pairs)
    if len(pairs) != 3 or parts.keys() != {"Credential", "SignedHeaders", "Signature"}:
        raise SignatureError(
            Refusal.MALFORMED, "Authorization must have Credential, SignedHeaders and Signature, each once."
        )
    return _signed(
        parts["Credential"],
        parts["SignedHeaders"],
        parts["Signature"],
        timestamp=header_value(environ, "x-amz-date") or _http_date(header_value(environ, "date")),
        token=header_value(environ, "x-amz-security-token"),
    )


def _from_query(query: list[tuple[str, str]]) -> SignedRequest:
    algorithm, credential, date, expires, headers, signature = (
        _single(query, f"X-Amz-{name}") for name in _QUERY_NAMES
    )
    if algorithm != ALGORITHM:
        raise _unsupported(algorithm)
    if not expires.isdecimal() or not 0 < int(expires) <= _LONGEST_EXPIRES:
        raise SignatureError(
            Refusal.MALFORMED, f"X-Amz-Expires must be 1 to {_LONGEST_EXPIRES}, got {expires!r}."
        )
    return _signed(credential, headers, signature, timestamp=date, token=_token(query), expires=int(expires))


def _from_version_2(query: list[tuple[str, str]], region: str) -> SignedRequest:
    if any(name == "SignatureVersion" for name, _ in query):
        raise _unsupported("Signature Version 2")
    key, signature, expires = (_single(query, name) for name in _VERSION_2_NAMES)
    if not _KEY_ID.fullmatch(key) or not re.fullmatch(r"\d{1,11}", expires, re.ASCII):
        raise SignatureError(Refusal.MALFORMED, "AWSAccessKeyId and Expires must be a key id and seconds.")
    date = dt.datetime.now(dt.UTC).strftime("%Y%m%d")
    tokens = [value for name, value in query if name.lower() == "x-amz-security-token"]
    if len(tokens) > 1:
        raise SignatureError(Refusal.MALFORMED, "x-amz-security-token must be there once.")
    return SignedRequest(
        key, date, region, "s3", expires, (), signature, "".join(tokens) or None, None, version=2
    )


def _signed(
    credential: str,
    headers: str,
    signature: str,
    *,
    timestamp: str,
    token: str | None,
    expires: int | None = None,
) -> SignedRequest:
    scope = _CREDENTIAL.fullmatch(credential)
    if scope is None or not _SIGNED_HEADERS.fullmatch(headers) or not _SIGNATURE.fullmatch(signature):
        raise SignatureError(
            Refusal.MALFORMED,
            "Credential, SignedHeaders or Signature is not as AWS Signature Version 4 has it.",
        )
    if timestamp[:8] != scope["date"]:
        raise SignatureError(
            Refusal.WRONG_SIGNATURE,
            f"Date in Credential scope does not match that of the request: {scope['date']}, {timestamp}.",
        )
    return SignedRequest(
        scope["key"],
        scope["date"],
        scope["region"],
        scope["service"],
        timestamp,
        tuple(headers.split(";")),
        signature,
        token,
        expires,
    )


def _single(query: list[tuple[str, str]], wanted: str) -> str:
    values = [value for name, value in query if name == wanted]
    if len(values) != 1:
        raise SignatureError(Refusal.MALFORMED, f"{wanted} must be there once, got it {len(values)} times.")
    return values[0]


def _token(query: list[tuple[str, str]]) -> str | None:
    return _single(query, "X-Amz-Security-Token") if "X-Amz-Security-Token" in dict(query) else None


def _http_date(value: str | None) -> str:
    """Return the timestamp of a Date header."""
    if value is None:
        raise SignatureError(Refusal.MALFORMED, "A signed request needs X-Amz-Date or Date.")
    try:
        return email.utils.parsedate_to_datetime(value).astimezone(dt.UTC).strftime(TIMESTAMP)
    except ValueError:
        return value  # the basic format of ISO 8601 is allowed too


def _as_utf8(value: str) -> str:
    """Return a header as its sender wrote it; servers of Python read it as Latin-1."""
    try:
        return value.encode("latin-1").decode("utf-8")
    except UnicodeError:
        raise SignatureError(Refusal.MALFORMED, "Headers must be UTF-8.") from None


def _unsupported(what: str) -> SignatureError:
    return SignatureError(
        Refusal.UNSUPPORTED,
        f"The authorization mechanism you have provided is not supported, use {ALGORITHM}: {what}",
    )
