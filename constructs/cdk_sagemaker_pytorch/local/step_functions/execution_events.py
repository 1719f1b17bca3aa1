"""The events of executions: each change of status goes to EventBridge."""

import json
from typing import Any

from moto.stepfunctions.parser.api import ExecutionStatus
from moto.stepfunctions.parser.backend.execution import Execution

from cdk_sagemaker_pytorch.local.events.bus import emit

_INCLUDED = {"included": True}


def emit_status(execution: Execution, status: ExecutionStatus) -> None:
    """Send the event of a status that an execution has now.

    Parameters
    ----------
    execution
        The execution.
    status
        Its status.
    """
    redriven = getattr(execution, "redrive_date", None)
    succeeded = status == ExecutionStatus.SUCCEEDED
    detail: dict[str, Any] = {
        "executionArn": execution.exec_arn,
        "stateMachineArn": execution.state_machine_arn,
        "name": execution.name,
        "status": status.value,
        "startDate": int(execution.start_date.timestamp() * 1000),
        "stopDate": int(execution.stop_date.timestamp() * 1000) if execution.stop_date else None,
        "input": execution.execution_input,
        "output": json.dumps(execution.output) if succeeded else None,
        "inputDetails": _INCLUDED,
        "outputDetails": _INCLUDED if succeeded else None,
        "error": execution.error,
        "cause": execution.cause,
        "stateMachineVersionArn": None,
        "stateMachineAliasArn": None,
        "redriveCount": getattr(execution, "redrive_count", 0),
        "redriveDate": int(redriven.timestamp() * 1000) if redriven else None,
    }
    emit("aws.states", "Step Functions Execution Status Change", [execution.exec_arn], detail)
