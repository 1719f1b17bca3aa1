"""Deleting a state machine of the local Step Functions: its executions are aborted first, as on AWS."""

import threading
from collections.abc import Callable
from typing import Any

from moto.core.exceptions import AWSError
from moto.stepfunctions.exceptions import ExecutionDoesNotExist
from moto.stepfunctions.parser.backend.execution import Execution
from moto.stepfunctions.parser.models import StepFunctionsParserBackend
from moto.stepfunctions.responses import StepFunctionResponse

from cdk_sagemaker_pytorch.local.base.moto_parts import replace, wrap

from .executions import has_program, stop, wait_for_programs

# By ARN: executions can be described when their machine is gone.
_left_over: dict[str, Execution] = {}


class _StateMachineDeletingError(AWSError):
    TYPE = "StateMachineDeleting"


def install() -> None:
    """Let moto's Step Functions delete machines with all that they run."""
    replace(StepFunctionsParserBackend, "delete_state_machine", _delete_state_machine)
    wrap(StepFunctionsParserBackend, "describe_execution", _describe_execution)
    wrap(StepFunctionsParserBackend, "start_execution", _refuse_where_deleting)
    wrap(StepFunctionsParserBackend, "create_state_machine", _refuse_name_of_deleting)
    wrap(StepFunctionResponse, "_describe_state_machine", _describe_state_machine)


def _delete_state_machine(backend: Any, arn: str) -> None:
    """Delete a machine at once, or where executions run, when what they wait for is told to stop."""
    backend._validate_machine_arn(arn)
    machine = _find(backend, arn)
    if machine is None or _is_deleting(machine):
        return
    machine.deleting = True
    _left_over.update({execution.execution_arn: execution for execution in machine.executions})
    for execution in list(machine.executions):
        stop(execution)
    if any(map(has_program, machine.executions)):
        threading.Thread(target=_remove_when_stopped, args=(backend, machine), daemon=True).start()
    else:
        backend.state_machines.remove(machine)


def _remove_when_stopped(backend: Any, machine: Any) -> None:
    wait_for_programs(machine.executions)
    backend.state_machines.remove(machine)


def _describe_execution(moto_method: Callable[..., Any], backend: Any, execution_arn: str) -> Any:
    try:
        return moto_method(backend, execution_arn)
    except ExecutionDoesNotExist:
        if execution_arn not in _left_over:
            raise
        return _left_over[execution_arn]


def _refuse_where_deleting(moto_method: Callable[..., Any], backend: Any, arn: str, *args: Any) -> Any:
    machine = _find(backend, arn)
    if machine is not None and _is_deleting(machine):
        raise _StateMachineDeletingError(f"State Machine is being deleted: '{arn}'")
    return moto_method(backend, arn, *args)


def _refuse_name_of_deleting(moto_method: Callable[..., Any], backend: Any, name: str, **request: Any) -> Any:
    for machine in backend.state_machines:
        if machine.name == name and _is_deleting(machine):
            raise _StateMachineDeletingError(f"State Machine is being deleted: '{machine.arn}'")
    return moto_method(backend, name, **request)


def _describe_state_machine(moto_method: Callable[..., Any], response: Any, arn: str) -> Any:
    answer = moto_method(response, arn)
    if _is_deleting(response.stepfunction_backend.describe_state_machine(arn)):
        answer.result["status"] = "DELETING"
    return answer


def _find(backend: Any, arn: str) -> Any:
    return next((machine for machine in backend.state_machines if machine.arn == arn), None)


def _is_deleting(machine: Any) -> bool:
    return getattr(machine, "deleting", False)
