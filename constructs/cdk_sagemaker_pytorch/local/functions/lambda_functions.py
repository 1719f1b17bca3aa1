"""Lambda functions of the local AWS: their real code, in execution environments."""

import base64
import io
import json
import logging
import os
import stat
import threading
import time
import uuid
import zipfile
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from moto.awslambda.exceptions import InvalidParameterValueException, LambdaClientError
from moto.awslambda.models import LambdaFunction
from moto.awslambda.utils import get_backend

from cdk_sagemaker_pytorch.local.base.errors import NOT_RUN
from cdk_sagemaker_pytorch.local.base.moto_parts import replace
from cdk_sagemaker_pytorch.local.base.path_parts import path_part
from cdk_sagemaker_pytorch.local.base.processes import host_environment, without_leads_elsewhere
from cdk_sagemaker_pytorch.local.base.server_state import aws_environment, settings
from cdk_sagemaker_pytorch.local.iam.access import role_credentials

from . import function_rules
from .execution_environments import ExecutionEnvironment, ExecutionEnvironments, Runtime, RuntimeExitError
from .layers import Layers
from .runtime_programs import runtime_program, runtime_variables

_LOG_TAIL_BYTES = 4096
# "Lambda quotas", of synchronous and of asynchronous invocations. moto holds the answers to theirs.
_MOST_REQUEST_BYTES = 6 * 1024 * 1024
_MOST_EVENT_BYTES = 1024 * 1024

_logger = logging.getLogger(__name__)
_unpack_lock = threading.Lock()
_environments = ExecutionEnvironments()


class _RequestTooLargeError(LambdaClientError):
    code = 413

    def __init__(self, message: str) -> None:
        super().__init__("RequestEntityTooLargeException", message)


@dataclass(frozen=True)
class Outcome:
    """How an invocation ended: its JSON payload, whether that is an error, and its log."""

    payload: Any
    failed: bool
    log: str


def install() -> None:
    """Let moto's Lambda run functions here."""
    function_rules.install()
    replace(LambdaFunction, "invoke", _invoke)


def _invoke(
    function: LambdaFunction,
    body: str | bytes,
    request_headers: Mapping[str, str],
    response_headers: MutableMapping[str, str],
) -> bytes:
    """Stand in for moto's `LambdaFunction.invoke`, which wants Docker."""
    invocation_type = request_headers.get("x-amz-invocation-type", "RequestResponse")
    _check_size(len(body.encode() if isinstance(body, str) else body), invocation_type)
    try:
        event = json.loads(body) if body else {}
    except ValueError as error:
        raise InvalidParameterValueException(f"Could not parse request body into json: {error}") from error
    match invocation_type:
        case "DryRun":
            return b""
        case "Event":
            threading.Thread(target=run_function, args=(function, event), daemon=True).start()
            return b""
    outcome = run_function(function, event)
    if outcome.failed:
        response_headers["x-amz-function-error"] = "Unhandled"
    tail = outcome.log.encode()[-_LOG_TAIL_BYTES:]
    response_headers["x-amz-log-result"] = base64.b64encode(tail).decode()
    return json.dumps(outcome.payload).encode()


def _check_size(size: int, invocation_type: str) -> None:
    if size > _MOST_REQUEST_BYTES:
        raise _RequestTooLargeError(
            f"Request must be smaller than {_MOST_REQUEST_BYTES} bytes for the InvokeFunction operation"
        )
    if invocation_type == "Event" and size > _MOST_EVENT_BYTES:
        raise _RequestTooLargeError(
            f"{size} byte payload is too large for the Event invocation type"
            f" (limit {_MOST_EVENT_BYTES} bytes)"
        )


def run_function(function: LambdaFunction, event: Any) -> Outcome:
    """Run one invocation of a function.

    Parameters
    ----------
    function
        moto's record of it.
    event
        What the handler gets; any JSON value.
    """
    program = runtime_program(str(function.run_time))
    if program is None:
        message = (
            f"function {function.function_name} is not run: the local AWS has no program for its runtime,"
            f" {function.run_time} (it runs Python, and Node.js where `node` is found)"
        )
        _logger.warning("%s", message)
        return Outcome({"errorType": NOT_RUN, "errorMessage": message}, failed=True, log="")
    request_id = str(uuid.uuid4())
    with _environments.environment(_runtime(function, program)) as environment:
        started = time.monotonic()
        answer = _answer(environment, function, event, request_id)
        milliseconds = (time.monotonic() - started) * 1000
        environment.log(
            f"REPORT RequestId: {request_id}\tDuration: {milliseconds:.2f} ms\t"
            f"Memory Size: {function.memory_size} MB"
        )
        log = "\n".join(environment.lines) + "\n"
    error = answer.get("error")
    return Outcome(error or answer.get("result"), failed=error is not None, log=log)


def _answer(
    environment: ExecutionEnvironment, function: LambdaFunction, event: Any, request_id: str
) -> dict[str, Any]:
    timeout = float(function.timeout)
    context = {
        "aws_request_id": request_id,
        "function_name": function.function_name,
        "function_version": "$LATEST",
        "invoked_function_arn": function.function_arn,
        "memory_limit_in_mb": str(function.memory_size),
        "log_group_name": function.logs_group_name,
        "log_stream_name": environment.log_stream.stream,
        "deadline_ms": time.time_ns() // 1_000_000 + int(timeout * 1000),
    }
    path = [str(folder) for folder in environment.runtime.code]
    invocation = {"handler": function.handler, "path": path, "event": event, "context": context}
    try:
        answer: dict[str, Any] = json.loads(environment.invoke(json.dumps(invocation), request_id, timeout))
    except TimeoutError:
        kind, fault = "Sandbox.Timedout", f"Task timed out after {timeout:.2f} seconds"
    except RuntimeExitError as error:
        kind, fault = "Runtime.ExitError", f"Runtime exited with error: {error}"
    else:
        return answer
    message = f"RequestId: {request_id} Error: {fault}"
    environment.log(message)
    return {"error": {"errorType": kind, "errorMessage": message}}


def _runtime(function: LambdaFunction, program: tuple[str, ...]) -> Runtime:
    task_root = _unpack(function.function_name, function.code_sha_256, function.code_bytes)
    layers = _layers(function)
    variables = _variables(function, task_root)
    return Runtime(
        function,
        program,
        code=(task_root, *(layers.python_path if layers else ())),
        layers=layers,
        variables=variables | layers.variables(variables) if layers else variables,
        log_group=function.logs_group_name,
        log_path=settings().logs_directory / "lambda" / f"{path_part(function.function_name)}.log",
    )


def _variables(function: LambdaFunction, task_root: Path) -> dict[str, str]:
    credentials = role_credentials(
        function.role, service="lambda.amazonaws.com", session_name=function.function_name
    )
    return (
        host_environment()
        | runtime_variables()
        | without_leads_elsewhere(
            {name: str(value) for name, value in (function.environment_vars or {}).items()}
        )
        | aws_environment(credentials, region=settings().region, endpoint_url=settings().endpoint_url)
        | {
            "_HANDLER": str(function.handler),
            "AWS_EXECUTION_ENV": f"AWS_Lambda_{function.run_time}",
            "AWS_LAMBDA_FUNCTION_NAME": str(function.function_name),
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_size),
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_LOG_GROUP_NAME": str(function.logs_group_name),
            "LAMBDA_TASK_ROOT": str(task_root),
        }
    )


def _layers(function: LambdaFunction) -> Layers | None:
    backend = get_backend(function.account_id, function.region)
    layers: list[Any] = [backend.layers_versions_by_arn(layer["Arn"]) for layer in function.layers]
    if not layers:
        return None
    # No function is called as a layer is.
    folders = [_unpack(f"layer:{layer.name}", layer.code_sha_256, layer.code_bytes) for layer in layers]
    with _unpack_lock:
        return Layers.merged(folders, settings().directory / "lambda" / path_part("layers:"))


def _unpack(name: str, code_sha_256: str, archive: bytes) -> Path:
    """Unpack the code of a function or layer, once per version of it."""
    digest = base64.b64decode(code_sha_256).hex()[:16]
    folder = settings().directory / "lambda" / path_part(name) / digest
    with _unpack_lock:
        if not folder.exists():
            partial = folder.with_suffix(".partial")
            with zipfile.ZipFile(io.BytesIO(archive)) as code:
                for member in code.infolist():
                    file = code.extract(member, partial)  # zipfile keeps members inside the folder
                    if member.external_attr >> 16 & stat.S_IXUSR and not member.is_dir():
                        os.chmod(file, 0o700)
            partial.rename(folder)
    return folder
