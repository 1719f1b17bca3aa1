"""Errors as the services of AWS answer them: in S3's XML, in that of the query protocol, or in JSON."""

import json
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal
from xml.sax.saxutils import escape

from cdk_sagemaker_pytorch.local.iam.access import signing_service
from cdk_sagemaker_pytorch.local.iam.signed_request import Refusal

StartResponse = Callable[..., Any]
Protocol = Literal["s3", "query", "json"]

_BAD_REQUEST, _FORBIDDEN = "400 Bad Request", "403 Forbidden"
# Status, and the code in each protocol.
_REFUSALS: Mapping[Refusal, tuple[str, Mapping[Protocol, str]]] = {
    Refusal.MISSING: (
        _FORBIDDEN,
        {
            "s3": "AccessDenied",
            "query": "MissingAuthenticationToken",
            "json": "MissingAuthenticationTokenException",
        },
    ),
    Refusal.MALFORMED: (
        _BAD_REQUEST,
        {
            "s3": "AuthorizationHeaderMalformed",
            "query": "IncompleteSignature",
            "json": "IncompleteSignatureException",
        },
    ),
    Refusal.UNSUPPORTED: (
        _BAD_REQUEST,
        {"s3": "InvalidRequest", "query": "IncompleteSignature", "json": "IncompleteSignatureException"},
    ),
    Refusal.UNKNOWN_KEY: (
        _FORBIDDEN,
        {"s3": "InvalidAccessKeyId", "query": "InvalidClientTokenId", "json": "UnrecognizedClientException"},
    ),
    Refusal.WRONG_TOKEN: (
        _FORBIDDEN,
        {"s3": "InvalidToken", "query": "InvalidClientTokenId", "json": "UnrecognizedClientException"},
    ),
    Refusal.EXPIRED_TOKEN: (
        _FORBIDDEN,
        {"s3": "ExpiredToken", "query": "ExpiredToken", "json": "ExpiredTokenException"},
    ),
    Refusal.WRONG_SIGNATURE: (
        _FORBIDDEN,
        {
            "s3": "SignatureDoesNotMatch",
            "query": "SignatureDoesNotMatch",
            "json": "InvalidSignatureException",
        },
    ),
    # SDKs set their clocks right by these.
    Refusal.SKEWED: (
        _FORBIDDEN,
        {"s3": "RequestTimeTooSkewed", "query": "SignatureDoesNotMatch", "json": "InvalidSignatureException"},
    ),
    Refusal.EXPIRED: (
        _FORBIDDEN,
        {"s3": "AccessDenied", "query": "SignatureDoesNotMatch", "json": "InvalidSignatureException"},
    ),
    Refusal.WRONG_BODY: (
        _BAD_REQUEST,
        {
            "s3": "XAmzContentSHA256Mismatch",
            "query": "SignatureDoesNotMatch",
            "json": "InvalidSignatureException",
        },
    ),
}
# Services with XML whose requests are not forms.
_REST_XML_SERVICES = ("route53", "cloudfront", "s3-control")


def refusal_code(refusal: Refusal, environ: Mapping[str, Any]) -> tuple[str, str]:
    """Return the status and the code with which the service that was called refuses a signature.

    Parameters
    ----------
    refusal
        What is wrong.
    environ
        The request, as WSGI has it.
    """
    status, codes = _REFUSALS[refusal]
    return status, codes[_protocol(environ)]


def answer_error(
    status: str, code: str, message: str, environ: Mapping[str, Any], start_response: StartResponse
) -> Iterable[bytes]:
    """Answer an error in the protocol that the caller is likely to read.

    Parameters
    ----------
    status
        Of HTTP, with its phrase.
    code, message
        Of the error.
    environ, start_response
        As WSGI has them.
    """
    request_id = str(uuid.uuid4())
    protocol = _protocol(environ)
    content = f"<Code>{code}</Code><Message>{escape(message)}</Message>"
    if protocol == "json":
        body = json.dumps({"__type": code, "message": message})
    elif protocol == "s3":
        body = f"<Error>{content}<RequestId>{request_id}</RequestId></Error>"
    else:
        body = f"<ErrorResponse><Error>{content}</Error><RequestId>{request_id}</RequestId></ErrorResponse>"
    data = body.encode()
    headers = [
        ("Content-Type", "application/json" if protocol == "json" else "text/xml"),
        ("Content-Length", str(len(data))),
        ("x-amzn-errortype", code),
        ("x-amzn-requestid", request_id),
        ("x-amz-request-id", request_id),  # S3's; what answers HEAD has nothing but headers
    ]
    start_response(status, headers)
    return [data]


def _protocol(environ: Mapping[str, Any]) -> Protocol:
    kind = environ.get("CONTENT_TYPE", "")
    query = environ.get("QUERY_STRING", "")
    service = _claimed_service(environ)
    if service == "s3":
        return "s3"
    if kind.startswith("application/x-www-form-urlencoded") or "Action=" in query:
        return "query"
    if "json" in kind or "HTTP_X_AMZ_TARGET" in environ:
        return "json"
    if service in _REST_XML_SERVICES:
        return "query"
    # What is not signed at all is most likely for S3.
    return "json" if service else "s3"


def _claimed_service(environ: Mapping[str, Any]) -> str:
    """Return the service that a request says it is for, or an empty string."""
    if service := signing_service(environ.get("HTTP_AUTHORIZATION", "")):
        return service
    _, found, credential = environ.get("QUERY_STRING", "").partition("X-Amz-Credential=")
    parts = credential.partition("&")[0].replace("%2F", "/").split("/")
    return parts[3] if found and len(parts) == 5 else ""
