"""Faults of calls, as they are on order: throttled, failed, or done with the answer lost."""

import http.client
import json
from collections.abc import Callable, Iterable
from typing import Any

from cdk_sagemaker_pytorch.local.base.fault_registry import CallFault, EndpointFault, registry
from cdk_sagemaker_pytorch.local.base.sagemaker_records import ValidationError
from cdk_sagemaker_pytorch.local.iam.access import signing_service
from cdk_sagemaker_pytorch.local.iam.authentication import read_body
from cdk_sagemaker_pytorch.local.sagemaker.api import interrupt_training_job
from cdk_sagemaker_pytorch.local.training.attempts import Interruption

from .error_answers import StartResponse, answer_error
from .operations import operation_of

Application = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]


def call_with_faults(
    application: Application, environ: dict[str, Any], start_response: StartResponse
) -> Iterable[bytes]:
    """Answer a request, unless a fault hits it.

    Parameters
    ----------
    application
        Answers it otherwise.
    environ, start_response
        As WSGI has them.
    """
    fault = _fault_of(environ)
    if fault is None:
        return application(environ, start_response)
    if fault.kind == "lose_answer":
        _run(application, environ)
        code, message, status = "InternalFailure", "the answer of this call is lost, as ordered", 500
    else:
        read_body(environ)  # an answer before the end of the request would break the connection
        code, message, status = fault.code, fault.message, fault.status
        if fault.kind == "throttle":
            code, status = _throttling(environ)
            message = "Rate exceeded"
    phrase = http.client.responses.get(status, "Unknown")
    return answer_error(f"{status} {phrase}", code, message, environ, start_response)


def answer_control(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    """Answer `LocalAws.faults`: order faults, forget them, or tell what has not happened yet.

    And `LocalAws.interrupt`, which happens at once, or is refused with status 400 and the reason.

    Parameters
    ----------
    environ, start_response
        As WSGI has them; the body is JSON.
    """
    request = json.loads(read_body(environ))
    status, answer = "200 OK", b""
    match request["action"]:
        case "add":
            content = request["fault"]
            kind = EndpointFault if content["kind"].endswith("_endpoint") else CallFault
            registry.add(kind(**content))
        case "clear":
            registry.clear()
        case "interrupt":
            try:
                interrupt_training_job(request["training_job"], Interruption(**request["interruption"]))
            except ValidationError as error:
                status, answer = "400 Bad Request", str(error.message).encode()
    body = answer or json.dumps(registry.pending()).encode()
    start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


def _fault_of(environ: dict[str, Any]) -> CallFault | None:
    """Count the call, and return the fault that hits it."""
    signing_name = signing_service(environ.get("HTTP_AUTHORIZATION", ""))
    services = {fault.service for fault in registry.call_faults(signing_name)}
    if not services:
        return None
    form = b""
    if environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded"):
        form = read_body(environ)
    for service in sorted(services):
        operation = operation_of(service, environ, form)
        if operation is not None and (fault := registry.take_call(service, operation)):
            return fault
    return None


def _throttling(environ: dict[str, Any]) -> tuple[str, int]:
    """Return the code and status with which a service says that it is called too often."""
    if signing_service(environ.get("HTTP_AUTHORIZATION", "")) in ("", "s3"):
        return "SlowDown", 503
    if environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded"):
        return "Throttling", 400
    return "ThrottlingException", 400


def _run(application: Application, environ: dict[str, Any]) -> None:
    answer = application(environ, lambda *_: None)
    try:
        for _ in answer:
            pass
    finally:
        if hasattr(answer, "close"):
            answer.close()
