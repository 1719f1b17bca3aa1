"""The optimized integration of Step Functions with itself, `states:startExecution[.sync]`."""

import json
from typing import Any, ClassVar

from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.resource import ResourceCondition

from .optimized_task import OptimizedTask, json_value

# Of DescribeExecution, what a state that waits gets.
_RESULT = (
    "ExecutionArn",
    "Input",
    "InputDetails",
    "Name",
    "Output",
    "OutputDetails",
    "StartDate",
    "StateMachineArn",
    "Status",
    "StopDate",
    "Error",
    "Cause",
)


class ExecutionTask(OptimizedTask):
    """A task that starts an execution; with `.sync` it waits for it, with `.sync:2` it reads its output."""

    service = "stepfunctions"
    error_prefix = "StepFunctions"
    sdk_name = "AWSStepFunctions"
    resources: ClassVar[frozenset[str]] = frozenset(
        f"startExecution{condition}" for condition in ("", ".sync", ".sync:2", ".waitForTaskToken")
    )

    def _request(self, parameters: dict[str, Any]) -> dict[str, Any]:
        content = parameters.get("Input", {})
        text = content if isinstance(content, str) else json.dumps(content, separators=(",", ":"))
        return {name[0].lower() + name[1:]: value for name, value in (parameters | {"Input": text}).items()}

    def _look(self, client: Any, parameters: dict[str, Any], started: dict[str, Any]) -> dict[str, Any]:
        description: dict[str, Any] = client.describe_execution(executionArn=started["ExecutionArn"])
        return description

    def _status(self, description: dict[str, Any]) -> str:
        status = description.get("status")
        if status == "RUNNING":
            return "Running"
        return "Succeeded" if status == "SUCCEEDED" else "Failed"

    def _stop(self, client: Any, parameters: dict[str, Any], started: dict[str, Any]) -> None:
        client.stop_execution(executionArn=started["ExecutionArn"])

    def _result(self, description: dict[str, Any]) -> dict[str, Any]:
        named = {name[0].upper() + name[1:]: value for name, value in description.items()}
        result = {name: json_value(named[name]) for name in _RESULT if name in named}
        for name in ("InputDetails", "OutputDetails"):
            if name in result:
                result[name] = {part[0].upper() + part[1:]: value for part, value in result[name].items()}
        if self.resource.condition == ResourceCondition.Sync2:
            result |= {name: json.loads(result[name]) for name in ("Input", "Output") if name in result}
        return result
