"""Who may talk to the local AWS at all: programs of its user, with a key, under its own address.

A port of 127.0.0.1 is open to every user of the machine, and to every web page that the user has open: a page
can send requests to it, and under a name of its own that resolves to 127.0.0.1 it could read the answers.
"""

import json
import urllib.parse
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from xml.sax.saxutils import escape

from cdk_sagemaker_pytorch.local.base.server_state import settings
from cdk_sagemaker_pytorch.local.iam.access import AccessDeniedError, caller_of, signing_service

StartResponse = Callable[..., Any]

# Services whose errors are XML and whose requests are not forms; an unsigned request is most likely for S3.
_XML_SERVICES = ("", "s3", "route53", "cloudfront")


class RefusedError(Exception):
    """A request that is not let in.

    Parameters
    ----------
    code
        The error's code.
    message
        What is wrong, and what is allowed.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def check_address(environ: Mapping[str, Any]) -> None:
    """Raise RefusedError unless the request is sent to this server by its own name, and by no web page."""
    authority = urllib.parse.urlsplit(settings().endpoint_url).netloc
    hosts = {authority, authority.replace("127.0.0.1", "localhost")}
    hosts |= {host.removesuffix(":80") for host in hosts}
    host = environ.get("HTTP_HOST", "").lower()
    if host not in hosts or not environ.get("REQUEST_URI", "/").startswith("/"):
        raise RefusedError(
            "AccessDenied", f"the local AWS answers as {' and '.join(sorted(hosts))}, got {host or 'no host'}"
        )
    # Only browsers ask what they may send; no AWS API has this method otherwise.
    if environ["REQUEST_METHOD"] == "OPTIONS":
        raise RefusedError("AccessDenied", "the local AWS allows no requests of web pages")
    origin, site = environ.get("HTTP_ORIGIN"), environ.get("HTTP_SEC_FETCH_SITE", "none")
    if origin not in (None, f"http://{host}") or site not in ("none", "same-origin"):
        raise RefusedError(
            "AccessDenied", f"the local AWS allows no requests of web pages, got {origin or site}"
        )


def check_key(environ: Mapping[str, Any]) -> None:
    """Raise RefusedError unless the request carries the key of the user or of a role's session."""
    query = urllib.parse.parse_qs(environ.get("QUERY_STRING", ""))
    try:
        caller_of(environ.get("HTTP_AUTHORIZATION", ""), query)
    except AccessDeniedError as error:
        raise RefusedError("UnrecognizedClientException", str(error)) from error


def check_user(environ: Mapping[str, Any]) -> None:
    """Raise RefusedError unless the request carries the user's own key; what runs here has others."""
    check_key(environ)
    if settings().user.access_key_id not in environ.get("HTTP_AUTHORIZATION", ""):
        raise RefusedError("AccessDenied", "this is for the user of the local AWS alone")


def answer_error(
    status: str, code: str, message: str, environ: Mapping[str, Any], start_response: StartResponse
) -> Iterable[bytes]:
    """Answer an error in the protocol, XML or JSON, that the caller is likely to read.

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
    kind = environ.get("CONTENT_TYPE", "")
    if kind.startswith("application/x-www-form-urlencoded"):
        as_json = False
    elif "json" in kind or "HTTP_X_AMZ_TARGET" in environ:
        as_json = True
    else:
        as_json = signing_service(environ.get("HTTP_AUTHORIZATION", "")) not in _XML_SERVICES
    if as_json:
        body = json.dumps({"__type": code, "message": message})
    else:
        content = f"<Code>{code}</Code><Message>{escape(message)}</Message>"
        body = f"<ErrorResponse><Error>{content}</Error><RequestId>{request_id}</RequestId></ErrorResponse>"
    data = body.encode()
    headers = [
        ("Content-Type", "application/json" if as_json else "text/xml"),
        ("Content-Length", str(len(data))),
        ("x-amzn-errortype", code),
        ("x-amzn-requestid", request_id),
        ("x-amz-request-id", request_id),  # S3's; what answers HEAD has nothing but headers
    ]
    start_response(status, headers)
    return [data]


def without_cors(start_response: StartResponse) -> StartResponse:
    """Return a `start_response` that drops the headers which would open answers to web pages."""

    def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
        kept = [item for item in headers if not item[0].lower().startswith("access-control-")]
        return start_response(status, kept, *rest)

    return start
