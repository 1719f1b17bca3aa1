"""RedriveExecution of the local Step Functions: an execution goes on where it did not succeed.

The state that did not succeed is entered again, with its input and the variables as they were then. A
Parallel or a Map state is run again as a whole, and an execution that a state waits for is started again.
"""

import copy
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from moto.core.exceptions import AWSError
from moto.core.responses import ActionResult
from moto.stepfunctions.parser.api import ExecutionStatus, HistoryEventType
from moto.stepfunctions.parser.asl.component.state.state import CommonStateField
from moto.stepfunctions.parser.backend.execution import Execution
from moto.stepfunctions.responses import StepFunctionResponse

from cdk_sagemaker_pytorch.local.base.moto_parts import wrap

from .executions import begin_again, run, wait_for_programs

_MAX_REDRIVES = 1000  # of AWS


class _NotRedrivableError(AWSError):
    TYPE = "ExecutionNotRedrivable"


@dataclass(frozen=True)
class _Entry:
    """The state that a program entered last, with what it began from."""

    state: str
    input: Any
    variables: dict[str, Any]


def install() -> None:
    """Let moto's Step Functions answer RedriveExecution."""
    response: Any = StepFunctionResponse
    response.redrive_execution = _redrive_execution
    wrap(CommonStateField, "_eval_body", _note_entry)


def _note_entry(moto_method: Callable[..., Any], state: Any, env: Any) -> None:
    if not env.is_frame():
        variables = copy.deepcopy(env.variable_store._inner_scope)
        env.entry = _Entry(state.name, env.states.get_input(), variables)
    moto_method(state, env)


def _redrive_execution(response: Any) -> Any:
    """Answer RedriveExecution."""
    backend = response.stepfunction_backend
    execution = backend.describe_execution(response._get_param("executionArn"))
    _check(execution, backend)
    if not wait_for_programs([execution]):
        raise _NotRedrivableError("Execution is still being stopped and cannot be redriven yet")
    before = execution.exec_worker.env
    if not begin_again(execution, execution._get_start_execution_worker()):
        raise _NotRedrivableError("Execution is RUNNING and cannot be redriven")
    program = partial(_go_on, execution, before)
    threading.Thread(target=run, args=(execution, program), daemon=True).start()
    return ActionResult({"redriveDate": execution.redrive_date})


def _check(execution: Execution, backend: Any) -> None:
    status = ExecutionStatus(execution.status)
    if status in (ExecutionStatus.RUNNING, ExecutionStatus.SUCCEEDED):
        raise _NotRedrivableError(f"Execution is {status.value} and cannot be redriven")
    if all(machine.arn != execution.state_machine_arn for machine in backend.state_machines):
        raise _NotRedrivableError("The state machine of the execution is deleted, it cannot be redriven")
    if getattr(execution, "redrive_count", 0) >= _MAX_REDRIVES:
        raise _NotRedrivableError(f"Execution was redriven {_MAX_REDRIVES} times and cannot be redriven")


def _go_on(execution: Any, before: Any) -> None:
    """Run the program of an execution from where the one before did not succeed."""
    worker = execution.exec_worker
    program = worker._get_evaluation_entrypoint()
    env = worker._get_evaluation_environment()
    env.event_manager = before.event_manager
    env.event_history_context = before.event_history_context
    entry: _Entry | None = getattr(before, "entry", None)
    if entry is not None:
        program.start_at.start_at_name = entry.state
        env.states.reset(copy.deepcopy(entry.input))
        env.variable_store._inner_scope.update(copy.deepcopy(entry.variables))
    env.event_manager.add_event(
        context=env.event_history_context,
        event_type=HistoryEventType.ExecutionRedriven,
        event_details={"executionRedrivenEventDetails": {"redriveCount": execution.redrive_count}},
    )
    worker.env = env
    program.eval(env)
    worker._execution_communication.terminated()
