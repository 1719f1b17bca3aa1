"""InvokeEndpoint: the request goes to the endpoint's own model server, the answer comes back unchanged."""

import http.client
import json
import re
import time
import urllib.parse
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from moto.core.utils import get_service_model
from moto.sagemaker.models import sagemaker_backends

from cdk_sagemaker_pytorch.local.base.constraints import constraint_problems
from cdk_sagemaker_pytorch.local.base.sagemaker_records import ValidationError, refuse_any
from cdk_sagemaker_pytorch.local.base.server_state import settings
from cdk_sagemaker_pytorch.local.iam.access import AccessDeniedError, authorize, caller_of
from cdk_sagemaker_pytorch.local.iam.authentication import read_body
from cdk_sagemaker_pytorch.local.iam.requests import ApiCall

from .endpoint_metrics import record_invocation

_PATH = re.compile(r"/endpoints/([^/]+)/invocations")
# Of real-time endpoints, see "Amazon SageMaker AI endpoints and quotas".
_MAX_BODY_BYTES = 25 * 1024 * 1024
_TIMEOUT_SECONDS = 60.0
_PART_BYTES = 1 << 20
_TIMED_OUT = (
    "Your invocation timed out while waiting for a response from container {}. Review the latency metrics"
    " for each container in Amazon CloudWatch, resolve the issue, and try again."
)
_ANSWER_HEADERS = ("content-type", "x-amzn-sagemaker-custom-attributes")
# What the adapter of AWS's Ray Serve container says where the caller does not: scripts/docker/ray/
# sagemaker_serve.py in aws/deep-learning-containers.
_DEFAULT_ACCEPT = "application/json"
# Headers that only endpoints of other kinds take.
_FOREIGN_TARGETS = {
    "HTTP_X_AMZN_SAGEMAKER_TARGET_MODEL": ("TargetModel", "multi-model endpoints"),
    "HTTP_X_AMZN_SAGEMAKER_TARGET_CONTAINER_HOSTNAME": (
        "TargetContainerHostname",
        "multi-container endpoints",
    ),
    "HTTP_X_AMZN_SAGEMAKER_INFERENCE_COMPONENT": ("InferenceComponentName", "inference components"),
}

StartResponse = Callable[[str, list[tuple[str, str]]], Any]


def endpoint_of(path: str) -> str | None:
    """Return the endpoint's name if the path of a request is that of InvokeEndpoint."""
    match = _PATH.fullmatch(path)
    return match[1] if match else None


def invoke_endpoint(name: str, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    """Answer InvokeEndpoint; a WSGI application but for the endpoint's name.

    Parameters
    ----------
    name
        The endpoint.
    environ, start_response
        As WSGI has them.
    """
    try:
        if settings().enforce_iam:
            call = ApiCall("sagemaker", "InvokeEndpoint", {"EndpointName": name})
            authorize(call, caller_of(environ.get("HTTP_AUTHORIZATION", "")))
        endpoint: Any = sagemaker_backends[settings().account][settings().region].endpoints.get(name)
        if endpoint is None:
            raise ValidationError(f"Endpoint {name} of account {settings().account} not found.")
        for header, (parameter, kind) in _FOREIGN_TARGETS.items():
            if header in environ:
                raise ValidationError(f"{parameter} is for {kind}; {name} is no such endpoint.")
        refuse_any(_header_problems(environ))
        served = endpoint.served_variant(environ.get("HTTP_X_AMZN_SAGEMAKER_TARGET_VARIANT"))
    except AccessDeniedError as error:
        return _error(start_response, 403, "AccessDeniedException", {"Message": str(error)})
    except ValidationError as error:
        return _error(start_response, 400, "ValidationError", {"Message": error.message})
    body = read_body(environ)
    if len(body) > _MAX_BODY_BYTES:
        message = f"HTTP content length exceeded {_MAX_BODY_BYTES} bytes."
        return _error(start_response, 413, "RequestEntityTooLarge", {"Message": message})
    is_ray = served.server.kind == "ray"
    began = time.monotonic()
    try:
        status, headers, answer = _forward(
            served.server.url_invocations,
            body,
            _request_headers(environ, is_ray=is_ray) | served.server.headers,
        )
    except TimeoutError:
        status, headers, answer = 0, {}, _TIMED_OUT.format(served.variant["VariantName"]).encode()
    except (OSError, http.client.HTTPException) as error:
        status, headers, answer = _gone(error, is_ray=is_ray)
    record_invocation(name, served.variant["VariantName"], status, time.monotonic() - began)
    if status == 0 or status >= 400:
        text = answer.decode("utf-8", "replace")
        return _error(
            start_response,
            424,
            "ModelError",
            {
                "Message": f"Received {'client' if 400 <= status < 500 else 'server'} error ({status}) from "
                f'{served.variant["VariantName"]} with message "{text}". See {served.server.log_path}',
                "OriginalStatusCode": status,
                "OriginalMessage": text,
                "LogStreamArn": served.log.arn,
            },
        )
    start_response(
        f"{status} {http.client.responses.get(status, '')}",
        [(header, value) for header, value in headers.items() if header.lower() in _ANSWER_HEADERS]
        + [
            ("x-amzn-invoked-production-variant", served.variant["VariantName"]),
            ("x-amzn-requestid", str(uuid.uuid4())),
            ("Content-Length", str(len(answer))),
        ],
    )
    return [answer]


def _header_problems(environ: Mapping[str, Any]) -> Iterator[str]:
    """Say which headers are longer, shorter or other than the API's model says."""
    request = get_service_model("sagemaker-runtime").operation_model("InvokeEndpoint").input_shape
    values = {}
    for name, shape in request.members.items():
        if shape.serialization.get("location") == "header":
            key = shape.serialization["name"].upper().replace("-", "_")
            values[name] = environ.get(key if key == "CONTENT_TYPE" else f"HTTP_{key}")
    return constraint_problems(request, values)


def _gone(error: Exception, *, is_ray: bool) -> tuple[int, dict[str, str], bytes]:
    """Say that the model server is gone, before Ray Serve as the container's adapter says it."""
    if not is_ray:
        return 500, {}, f"no answer from the container: {error}".encode()
    if isinstance(error, ConnectionRefusedError):
        return 503, {}, b'{"error": "Service unavailable"}'
    return 500, {}, json.dumps({"error": str(error)}).encode()


def _forward(url: str, body: bytes, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
    target = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(target.hostname or "", target.port, timeout=_TIMEOUT_SECONDS)
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    try:
        connection.request("POST", target.path or "/", body=body, headers=headers)
        link = connection.sock  # the response takes it over where the server closes it
        with connection.getresponse() as response:
            answer = bytearray()
            while part := response.read1(_PART_BYTES):
                answer += part
                # An answer in drops is late, too: a socket's own limit is for each of them.
                if (left := deadline - time.monotonic()) <= 0:
                    raise TimeoutError
                link.settimeout(left)
            if response.length:
                raise http.client.IncompleteRead(bytes(answer), response.length)
            return response.status, dict(response.getheaders()), bytes(answer)
    finally:
        connection.close()


def _request_headers(environ: dict[str, Any], *, is_ray: bool) -> dict[str, str]:
    headers = {"Content-Type": environ.get("CONTENT_TYPE") or "application/json"}
    if accept := environ.get("HTTP_ACCEPT") or (_DEFAULT_ACCEPT if is_ray else None):
        headers["Accept"] = accept
    for name, value in environ.items():
        if name.startswith("HTTP_X_AMZN_SAGEMAKER_"):
            headers["-".join(part.capitalize() for part in name[5:].split("_"))] = value
    return headers


def _error(
    start_response: StartResponse, status: int, error_type: str, content: dict[str, Any]
) -> Iterable[bytes]:
    body = json.dumps(content).encode()
    start_response(
        f"{status} {http.client.responses.get(status, '')}",
        [
            ("Content-Type", "application/json"),
            ("x-amzn-errortype", error_type),
            ("x-amzn-requestid", str(uuid.uuid4())),
            ("Content-Length", str(len(body))),
        ],
    )
    return [body]
