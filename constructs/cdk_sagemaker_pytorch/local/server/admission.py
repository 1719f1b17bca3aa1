"""Who may talk to the local AWS at all: programs of its user, with a key, under its own address.

A port of 127.0.0.1 is open to every user of the machine, and to every web page that the user has open: a page
can send requests to it, and under a name of its own that resolves to 127.0.0.1 it could read the answers.
"""

import urllib.parse
from collections.abc import Mapping
from typing import Any

from cdk_sagemaker_pytorch.local.base.server_state import settings
from cdk_sagemaker_pytorch.local.iam.authentication import authenticate
from cdk_sagemaker_pytorch.local.iam.signed_request import SignatureError

from .error_answers import StartResponse, refusal_code


class RefusedError(Exception):
    """A request that is not let in.

    Parameters
    ----------
    code
        The error's code.
    message
        What is wrong, and what is allowed.
    status
        Of HTTP, with its phrase.
    """

    def __init__(self, code: str, message: str, status: str = "403 Forbidden") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


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


def check_key(environ: dict[str, Any]) -> None:
    """Raise RefusedError unless the request is signed by the user or by a session of a role."""
    try:
        authenticate(environ)
    except SignatureError as error:
        status, code = refusal_code(error.refusal, environ)
        raise RefusedError(code, str(error), status) from error


def check_user(environ: dict[str, Any]) -> None:
    """Raise RefusedError unless the request is signed by the user; what runs here has other keys."""
    check_key(environ)
    if f"Credential={settings().user.access_key_id}/" not in environ["HTTP_AUTHORIZATION"]:
        raise RefusedError("AccessDenied", "this is for the user of the local AWS alone")


def without_cors(start_response: StartResponse) -> StartResponse:
    """Return a `start_response` that drops the headers which would open answers to web pages."""

    def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
        kept = [item for item in headers if not item[0].lower().startswith("access-control-")]
        return start_response(status, kept, *rest)

    return start
