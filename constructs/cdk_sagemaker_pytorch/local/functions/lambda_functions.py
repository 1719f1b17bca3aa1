"""Lambda functions of the local AWS: their real code, one process per invocation."""

import base64
import datetime as dt
import io
import json
import logging
import shutil
import sys
import tempfile
import threading
import time
import uuid
import zipfile
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from moto.awslambda.exceptions import InvalidParameterValueException
from moto.awslambda.models import LambdaFunction
from moto.awslambda.utils import get_backend

from cdk_sagemaker_pytorch.local.base.logs import LogStream
from cdk_sagemaker_pytorch.local.base.moto_parts import replace
from cdk_sagemaker_pytorch.local.base.path_parts import path_part
from cdk_sagemaker_pytorch.local.base.processes import (
    SupervisedProcess,
    host_environment,
    without_leads_elsewhere,
)
from cdk_sagemaker_pytorch.local.base.server_state import aws_environment, settings
from cdk_sagemaker_pytorch.local.iam.access import role_credentials

_RUNTIME = Path(__file__).with_name("lambda_runtime.py")
_LOG_TAIL_BYTES = 4096

_logger = logging.getLogger(__name__)
_unpack_lock = threading.Lock()


@dataclass(frozen=True)
class Outcome:
    """How an invocation ended: its JSON payload, whether that is an error, and its log."""

    payload: Any
    failed: bool
    log: str


def install() -> None:
    """Let moto's Lambda run functions here."""
    replace(LambdaFunction, "invoke", _invoke)


def _invoke(
    function: LambdaFunction,
    body: str | bytes,
    request_headers: Mapping[str, str],
    response_headers: MutableMapping[str, str],
) -> bytes:
    """Stand in for moto's `LambdaFunction.invoke`, which wants Docker."""
    try:
        event = json.loads(body) if body else {}
    except ValueError as error:
        raise InvalidParameterValueException(f"Could not parse request body into json: {error}") from error
    match request_headers.get("x-amz-invocation-type", "RequestResponse"):
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


def run_function(function: LambdaFunction, event: Any) -> Outcome:
    """Run one invocation of a function.

    Parameters
    ----------
    function
        moto's record of it.
    event
        What the handler gets; any JSON value.
    """
    if not str(function.run_time).startswith("python"):
        _logger.warning(
            "function %s not run, it answers null: its runtime is %s, and the local AWS runs Python",
            function.function_name,
            function.run_time,
        )
        return Outcome(None, failed=False, log="")
    request_id = str(uuid.uuid4())
    today = dt.datetime.now(dt.UTC).strftime("%Y/%m/%d")
    stream_name = f"{today}/[$LATEST]{request_id.replace('-', '')}"
    log_file = settings().logs_directory / "lambda" / f"{path_part(function.function_name)}.log"
    lines: list[str] = []
    with LogStream(function.logs_group_name, stream_name) as stream:

        def log(line: str) -> None:
            lines.append(line)
            stream.write(line)

        log(f"START RequestId: {request_id} Version: $LATEST")
        started = time.monotonic()
        answer = _run_process(function, event, request_id, stream_name, log_file, log)
        milliseconds = (time.monotonic() - started) * 1000
        log(f"END RequestId: {request_id}")
        log(
            f"REPORT RequestId: {request_id}\tDuration: {milliseconds:.2f} ms\t"
            f"Memory Size: {function.memory_size} MB"
        )
    error = answer.get("error")
    return Outcome(error or answer.get("result"), failed=error is not None, log="\n".join(lines) + "\n")


def _run_process(
    function: LambdaFunction,
    event: Any,
    request_id: str,
    stream_name: str,
    log_file: Path,
    log: Any,
) -> dict[str, Any]:
    task_root = _unpack(function.function_name, function.code_sha_256, function.code_bytes)
    layers = [_layer_path(function, layer["Arn"]) for layer in function.layers]
    timeout = float(function.timeout)
    scratch = Path(tempfile.mkdtemp(prefix="invocation-", dir=settings().directory))
    try:
        invocation, answer = scratch / "invocation.json", scratch / "answer.json"
        (scratch / "tmp").mkdir()
        context = {
            "aws_request_id": request_id,
            "function_name": function.function_name,
            "function_version": "$LATEST",
            "invoked_function_arn": function.function_arn,
            "memory_limit_in_mb": str(function.memory_size),
            "log_group_name": function.logs_group_name,
            "log_stream_name": stream_name,
            "deadline_ms": time.time_ns() // 1_000_000 + int(timeout * 1000),
        }
        invocation.write_text(
            json.dumps(
                {
                    "handler": function.handler,
                    "path": [str(task_root), *map(str, layers)],
                    "event": event,
                    "context": context,
                }
            ),
            encoding="utf-8",
        )
        environment = _environment(function, task_root, stream_name) | {"TMPDIR": str(scratch / "tmp")}
        process = SupervisedProcess(
            [sys.executable, _RUNTIME, invocation, answer],
            cwd=task_root,
            env=environment,
            log_path=log_file,
            on_line=log,
            grace_period=0.0,  # Lambda gives none either
        )
        try:
            process.wait(timeout)
        except TimeoutError:
            process.stop()
            message = f"RequestId: {request_id} Error: Task timed out after {timeout:.2f} seconds"
            log(message)
            return {"error": {"errorType": "Sandbox.Timedout", "errorMessage": message}}
        if not answer.exists():
            message = (
                f"RequestId: {request_id} Error: Runtime exited with error: exit status {process.returncode}"
            )
            log(message)
            return {"error": {"errorType": "Runtime.ExitError", "errorMessage": message}}
        result: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
        return result
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _environment(function: LambdaFunction, task_root: Path, stream_name: str) -> dict[str, str]:
    credentials = role_credentials(
        function.role, service="lambda.amazonaws.com", session_name=function.function_name
    )
    return (
        host_environment()
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
            "AWS_LAMBDA_LOG_STREAM_NAME": stream_name,
            "LAMBDA_TASK_ROOT": str(task_root),
        }
    )


def _layer_path(function: LambdaFunction, arn: str) -> Path:
    layer: Any = get_backend(function.account_id, function.region).layers_versions_by_arn(arn)
    # No function is called so.
    return _unpack(f"layer:{layer.name}", layer.code_sha_256, layer.code_bytes) / "python"


def _unpack(name: str, code_sha_256: str, archive: bytes) -> Path:
    """Unpack the code of a function or layer, once per version of it."""
    digest = base64.b64decode(code_sha_256).hex()[:16]
    folder = settings().directory / "lambda" / path_part(name) / digest
    with _unpack_lock:
        if not folder.exists():
            partial = folder.with_suffix(".partial")
            with zipfile.ZipFile(io.BytesIO(archive)) as code:
                code.extractall(partial)  # zipfile keeps members inside the folder
            partial.rename(folder)
    return folder
