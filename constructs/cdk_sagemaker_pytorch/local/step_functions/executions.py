"""Executions of the local Step Functions: how they begin, how they are found, and how they end.

An execution ends once, whoever is first: its own program, a StopExecution, the deletion of its machine.
"""

import datetime as dt
import json
import logging
import threading
import time
import uuid
from collections.abc import Callable, Collection
from typing import Any

from moto.core.responses import ActionResult
from moto.stepfunctions.exceptions import InvalidExecutionInput, ValidationException
from moto.stepfunctions.parser.api import ExecutionStatus
from moto.stepfunctions.parser.asl.eval.environment import Environment
from moto.stepfunctions.parser.asl.eval.program_state import (
    ProgramEnded,
    ProgramError,
    ProgramStopped,
    ProgramTimedOut,
)
from moto.stepfunctions.parser.backend.execution import BaseExecutionWorkerCommunication, Execution
from moto.stepfunctions.parser.backend.execution_worker import ExecutionWorker
from moto.stepfunctions.parser.models import StepFunctionsParserBackend
from moto.stepfunctions.parser.quotas import MAX_STATE_SIZE_UTF8_BYTES
from moto.stepfunctions.responses import StepFunctionResponse

from cdk_sagemaker_pytorch.local.base.moto_parts import replace, wrap

from .execution_events import emit_status

_logger = logging.getLogger(__name__)

_POLL_SECONDS = 0.02
_PATIENCE_SECONDS = 30.0
_PARSE_TIMEOUT_SECONDS = 60.0

_lock = threading.RLock()


def install() -> None:
    """Let executions of moto begin and end as they do on AWS."""
    wrap(StepFunctionsParserBackend, "start_execution", _start_execution)
    replace(StepFunctionsParserBackend, "stop_execution", _stop_execution)
    replace(StepFunctionResponse, "stop_execution", _answer_stop_execution)
    replace(StepFunctionResponse, "describe_execution", _answer_describe_execution)
    wrap(Execution, "start", _start)
    replace(Execution, "status", property(lambda execution: _status(execution).value))
    replace(BaseExecutionWorkerCommunication, "_reflect_execution_status", _reflect_execution_status)
    wrap(Environment, "set_error", _set_error)
    wrap(ExecutionWorker, "_execution_logic", _run_program)


def _start_execution(
    moto_method: Callable[..., Any],
    backend: Any,
    arn: str,
    name: str | None = None,
    execution_input: str | None = None,
    *args: Any,
) -> Any:
    """Begin an execution, with a UUID for a name where it has none.

    The same name with the same input, while that runs, is the same execution: moto holds that, and the lock
    that it is so for two at once.
    """
    if name:
        backend._validate_name(name)
    try:
        json.loads(execution_input or "{}")
    except ValueError as error:
        raise InvalidExecutionInput(f"Invalid State Machine Execution Input: '{error}'") from error
    if execution_input and len(execution_input.encode()) > MAX_STATE_SIZE_UTF8_BYTES:
        raise ValidationException(
            "1 validation error detected: Value at 'input' failed to satisfy constraint: Member must have"
            f" length less than or equal to {MAX_STATE_SIZE_UTF8_BYTES}"
        )
    with _lock:
        return moto_method(backend, arn, name or str(uuid.uuid4()), execution_input, *args)


def _run_program(moto_method: Callable[..., Any], worker: Any) -> None:
    run(worker._execution_communication.execution, lambda: moto_method(worker))


def run(execution: Any, program: Callable[[], Any]) -> None:
    """Run the program of an execution; one that cannot be run fails, and does not stay RUNNING.

    Parameters
    ----------
    execution
        The execution.
    program
        Runs it to its end.
    """
    try:
        program()
    except Exception as error:
        _logger.exception("execution %s", execution.exec_arn)
        _end(execution, ExecutionStatus.FAILED, error="States.Runtime", cause=f"the local AWS: {error}")
        execution.program_is_over = True


def _start(moto_method: Callable[..., Any], execution: Execution) -> None:
    moto_method(execution)
    emit_status(execution, ExecutionStatus.RUNNING)


def _stop_execution(
    backend: Any, execution_arn: str, error: str | None = None, cause: str | None = None
) -> Any:
    """Stand in for moto's method."""
    execution = backend.describe_execution(execution_arn)
    stop(execution, error, cause)
    return execution


def stop(execution: Execution, error: str | None = None, cause: str | None = None) -> None:
    """Abort an execution that runs at once; what it waits for is stopped in the background."""
    if _end(execution, ExecutionStatus.ABORTED, error=error, cause=cause):
        threading.Thread(target=_stop_program, args=(execution, error, cause), daemon=True).start()


def has_program(execution: Execution) -> bool:
    """Whether something still runs for an execution, which may have ended as far as one can see."""
    return not getattr(execution, "program_is_over", False)


def wait_for_programs(executions: Collection[Execution]) -> bool:
    """Wait until nothing runs any more for executions that were stopped; False if that takes too long.

    What a program does when it is stopped takes as long as its last call: a Lambda function may take minutes.
    """
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while any(map(has_program, executions)):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def _answer_stop_execution(response: Any) -> Any:
    """Answer StopExecution; moto leaves out the error and the cause."""
    execution = response.stepfunction_backend.stop_execution(
        response._get_param("executionArn"), response._get_param("error"), response._get_param("cause")
    )
    return ActionResult({"stopDate": execution.stop_date})


def _answer_describe_execution(response: Any) -> Any:
    """Answer DescribeExecution; moto leaves out when an execution timed out, and some nulls."""
    execution = response.stepfunction_backend.describe_execution(response._get_param("executionArn"))
    with _lock:
        description = {
            "executionArn": execution.execution_arn,
            "stateMachineArn": execution.state_machine_arn,
            "name": execution.name,
            "status": execution.status,
            "startDate": execution.start_date,
            "stopDate": execution.stop_date,
            "input": execution.execution_input,
            "inputDetails": {"included": True},
            "error": execution.error,
            "cause": execution.cause,
            **_redrive_fields(execution),
        }
        if execution.exec_status == ExecutionStatus.SUCCEEDED:
            description |= {"output": json.dumps(execution.output), "outputDetails": {"included": True}}
    return ActionResult({name: value for name, value in description.items() if value is not None})


def _stop_program(execution: Execution, error: str | None, cause: str | None) -> None:
    """Tell the program of an execution to stop, as soon as it has begun."""
    deadline = time.monotonic() + _PARSE_TIMEOUT_SECONDS
    worker: Any = execution.exec_worker
    while worker.env is None or worker.env._program_state is None:
        if time.monotonic() > deadline:
            return
        time.sleep(_POLL_SECONDS)
    worker.stop(stop_date=execution.stop_date, error=error, cause=cause)


def begin_again(execution: Any, worker: Any) -> bool:
    """Let an execution that ended without success run once more, by a new worker; False if it runs."""
    with _lock:
        if _status(execution) == ExecutionStatus.RUNNING:
            return False
        execution.redrive_count = getattr(execution, "redrive_count", 0) + 1
        execution.redrive_date = dt.datetime.now(dt.UTC)
        execution.program_is_over = False
        execution.exec_worker = worker
        execution.stop_date = execution.error = execution.cause = None
        execution.exec_status = ExecutionStatus.RUNNING
    emit_status(execution, ExecutionStatus.RUNNING)
    return True


def _status(execution: Execution) -> ExecutionStatus:
    # moto lists an execution before it has a status.
    return execution.exec_status or ExecutionStatus.RUNNING


def _end(
    execution: Execution,
    status: ExecutionStatus,
    *,
    output: Any = None,
    error: str | None = None,
    cause: str | None = None,
) -> bool:
    """Note how an execution ended, the status last: who sees it expects the rest. False if it has ended."""
    with _lock:
        if _status(execution) != ExecutionStatus.RUNNING:
            return False
        execution.stop_date = dt.datetime.now(dt.UTC)
        execution.output, execution.error, execution.cause = output, error, cause
        execution.exec_status = status
    emit_status(execution, status)
    return True


def _reflect_execution_status(worker: Any) -> None:
    """Take over how the program of an execution ended."""
    execution = worker.execution
    environment = execution.exec_worker.env
    state = environment.program_state()
    if isinstance(state, ProgramEnded):
        _end(execution, ExecutionStatus.SUCCEEDED, output=environment.states.get_input())
    elif isinstance(state, ProgramStopped):
        _end(execution, ExecutionStatus.ABORTED)
    elif isinstance(state, ProgramTimedOut):
        _end(execution, ExecutionStatus.TIMED_OUT)
    elif isinstance(state, ProgramError):
        error: Any = state.error or {}
        _end(execution, ExecutionStatus.FAILED, error=error.get("error"), cause=error.get("cause"))
    execution.program_is_over = True


def _set_error(moto_method: Callable[..., Any], environment: Environment, error: Any) -> None:
    """Leave a stopped execution ABORTED when a task that lost its result fails afterwards."""
    if not isinstance(environment.program_state(), ProgramStopped):
        moto_method(environment, error)


def _redrive_fields(execution: Any) -> dict[str, Any]:
    """Return what DescribeExecution tells of redrives."""
    status = ExecutionStatus(execution.status)
    fields: dict[str, Any] = {
        "redriveCount": getattr(execution, "redrive_count", 0),
        "redriveDate": getattr(execution, "redrive_date", None),
        "redriveStatus": "REDRIVABLE",
    }
    if status in (ExecutionStatus.RUNNING, ExecutionStatus.SUCCEEDED):
        reason = f"Execution is {status.value} and cannot be redriven"
        fields |= {"redriveStatus": "NOT_REDRIVABLE", "redriveStatusReason": reason}
    return fields
