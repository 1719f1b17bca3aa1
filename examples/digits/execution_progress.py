"""Shows an execution of a pipeline as it happens: its states, and what the training script logs."""

import json
import time
from datetime import datetime
from typing import Any

from rich.console import Console

from cdk_sagemaker_pytorch.local import LocalAws

_POLL_SECONDS = 0.5
_TRAINING_LOGS = "/aws/sagemaker/TrainingJobs"


class ExecutionFailedError(Exception):
    """The execution did not succeed; the message is the execution's own cause."""


def follow_execution(
    aws: LocalAws, state_machine_arn: str, console: Console, execution_input: Any = None
) -> dict[str, Any]:
    """Start an execution, show it, and return its output.

    Raises
    ------
    ExecutionFailedError
        When it fails, with its cause.
    """
    states = aws.client("stepfunctions")
    arn = states.start_execution(
        stateMachineArn=state_machine_arn,
        name=f"demo-{time.time_ns()}",
        input=json.dumps(execution_input or {}),
    )["executionArn"]
    progress = _Progress(aws, console)
    with console.status("starting") as status:
        while True:
            execution = states.describe_execution(executionArn=arn)
            status.update(progress.show(arn))
            if execution["status"] != "RUNNING":
                break
            time.sleep(_POLL_SECONDS)
    if execution["status"] != "SUCCEEDED":
        raise ExecutionFailedError(
            f"{execution.get('error', execution['status'])}: {execution.get('cause', 'no cause given')}"
        )
    output: dict[str, Any] = json.loads(execution["output"])
    return output


class _Progress:
    """Prints every state once it is left, those of further executions too, and every metric."""

    def __init__(self, aws: LocalAws, console: Console) -> None:
        self._aws = aws
        self._states = aws.client("stepfunctions")
        self._logs = aws.client("logs")
        self._console = console
        self._seen_events = 0
        self._log_tokens: dict[str, str] = {}
        self._entered: dict[str, datetime] = {}
        self._visits: dict[str, int] = {}
        self._child: str | None = None
        self._child_progress: _Progress | None = None

    def show(self, execution_arn: str, indent: str = "") -> str:
        """Print what is new, and return what is going on."""
        if not indent:
            self._show_metrics()
        history = self._states.get_execution_history(executionArn=execution_arn, maxResults=1000)["events"]
        for event in history[self._seen_events :]:
            if entered := event.get("stateEnteredEventDetails"):
                self._entered[entered["name"]] = event["timestamp"]
            elif (submitted := event.get("taskSubmittedEventDetails")) and "startExecution" in submitted[
                "resource"
            ]:
                self._child = json.loads(submitted["output"])["ExecutionArn"]
                self._child_progress = _Progress(self._aws, self._console)
            elif exited := event.get("stateExitedEventDetails"):
                self._show_child(indent)
                self._show_state(exited["name"], event["timestamp"], indent)
        self._seen_events = len(history)
        return self._show_child(indent) or ", ".join(self._entered) or "finishing"

    def _show_child(self, indent: str) -> str:
        if self._child is None or self._child_progress is None:
            return ""
        return self._child_progress.show(self._child, indent + "  ")

    def _show_state(self, name: str, at: datetime, indent: str) -> None:
        seconds = (at - self._entered.pop(name)).total_seconds()
        self._visits[name] = self._visits.get(name, 0) + 1
        again = f" ({self._visits[name]}x)" if self._visits[name] > 1 else ""
        self._console.print(f"  {indent}[green]✓[/] {name}{again} [dim]{seconds:.1f} s[/]", highlight=False)

    def _show_metrics(self) -> None:
        for line in self._new_log_lines():
            if line.startswith("epoch="):
                self._console.print(f"    [dim]{line}[/]", highlight=False)

    def _new_log_lines(self) -> list[str]:
        lines: list[str] = []
        groups = self._logs.describe_log_groups(logGroupNamePrefix=_TRAINING_LOGS)["logGroups"]
        if not groups:
            return lines
        for stream in self._logs.describe_log_streams(logGroupName=_TRAINING_LOGS)["logStreams"]:
            name = stream["logStreamName"]
            arguments: dict[str, Any] = {
                "logGroupName": _TRAINING_LOGS,
                "logStreamName": name,
                "startFromHead": True,
            }
            if name in self._log_tokens:
                arguments["nextToken"] = self._log_tokens[name]
            page = self._logs.get_log_events(**arguments)
            self._log_tokens[name] = page["nextForwardToken"]
            lines += [event["message"] for event in page["events"]]
        return lines
