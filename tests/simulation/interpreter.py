"""Runs a state machine in JSONata in virtual time, against services that a test makes up.

It covers what the library's state machines use: Task, Choice, Pass, Wait, Fail and Succeed, with Assign,
Output, Retry and Catch as the Amazon States Language has them.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cdk_sagemaker_pytorch.local.step_functions.jsonata import JsonataError, evaluate

MOST_EVENTS = 5_000
# No wildcard means these.
_NEVER_CAUGHT = frozenset({"States.DataLimitExceeded", "States.Runtime"})


class TaskError(Exception):
    """What a task fails with: the name of an error, and its cause."""

    def __init__(self, name: str, cause: str = "") -> None:
        super().__init__(f"{name}: {cause}")
        self.name = name
        self.cause = cause


@dataclass
class Execution:
    """How an execution went."""

    status: str = "RUNNING"
    output: Any = None
    error: str = ""
    cause: str = ""
    #: Names of the states in the order in which they were entered.
    path: list[str] = field(default_factory=list)
    events: int = 0


class Clock:
    """Virtual time, in seconds."""

    def __init__(self) -> None:
        self.now = 0.0

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


Service = Callable[[str, str, Any], Any]


def run(
    definition: dict[str, Any],
    call: Service,
    *,
    clock: Clock,
    seed: int = 0,
    execution_input: Any = None,
    variables: dict[str, Any] | None = None,
) -> Execution:
    """Run an execution to its end.

    Parameters
    ----------
    definition
        Amazon States Language, with ``StartAt`` and ``States``.
    call
        Answers a task: gets the name of the state, the integration such as
        ``aws-sdk:sagemaker:createModel`` and the arguments; raises `TaskError` to fail it.
    clock
        Advanced by what the execution waits.
    seed
        Decides on the jitter of retries.
    execution_input
        Its input. Defaults to an empty object.
    variables
        Workflow variables that are set before. Defaults to none.
    """
    chance = random.Random(seed)  # noqa: S311 - no secret
    execution = Execution()
    known = dict(variables or {})
    name, value = definition["StartAt"], execution_input if execution_input is not None else {}
    while True:
        state = definition["States"][name]
        execution.path.append(name)
        execution.events += 2
        assert execution.events < MOST_EVENTS, f"the history is full: {execution.path[-20:]}"
        scope = _Scope(known, {"input": value, "context": _context(name)})
        try:
            if state["Type"] == "Fail":
                execution.status = "FAILED"
                execution.error, execution.cause = scope.text(state, "Error"), scope.text(state, "Cause")
                return execution
            if state["Type"] == "Choice":
                rule = next((r for r in state["Choices"] if scope.render(r["Condition"]) is True), state)
                following = rule["Next"] if rule is not state else state["Default"]
                known, value = scope.leave(rule, value)
                name = following
                continue
            if state["Type"] == "Wait":
                seconds = scope.render(state["Seconds"])
                assert isinstance(seconds, int), f"Seconds must be a whole number, got {seconds!r}"
                clock.advance(seconds)
                result = value
            elif state["Type"] == "Task":
                result = _task(name, state, scope, call, clock, chance, execution)
                scope.states["result"] = result
            else:
                result = value
            known, value = scope.leave(state, result)
        except TaskError as error:
            catcher = next((c for c in state.get("Catch", ()) if _matches(c, error.name)), None)
            if catcher is None:
                execution.status, execution.error, execution.cause = "FAILED", error.name, error.cause
                return execution
            caught = {"Error": error.name, "Cause": error.cause}
            scope.states["errorOutput"] = caught
            known, value = scope.leave(catcher, caught)
            name = catcher["Next"]
            continue
        if state.get("End") or state["Type"] == "Succeed":
            execution.status, execution.output = "SUCCEEDED", value
            return execution
        name = state["Next"]


class _Scope:
    """What expressions of one state see."""

    def __init__(self, variables: dict[str, Any], states: dict[str, Any]) -> None:
        self._variables = variables
        self.states = states

    def render(self, template: Any) -> Any:
        if isinstance(template, dict):
            return {key: self.render(item) for key, item in template.items()}
        if isinstance(template, list):
            return [self.render(item) for item in template]
        if isinstance(template, str) and template.startswith("{%") and template.endswith("%}"):
            try:
                return evaluate(template[2:-2].strip(), {**self._variables, "states": self.states})
            except JsonataError as error:
                raise TaskError("States.QueryEvaluationError", str(error)) from error
        return template

    def text(self, state: dict[str, Any], key: str) -> str:
        found = self.render(state[key])
        assert isinstance(found, str), f"{key} must be text, got {found!r}"
        return found

    def leave(self, part: dict[str, Any], value: Any) -> tuple[dict[str, Any], Any]:
        """Return the variables and the output; both see what was before."""
        assigned = self.render(part.get("Assign", {}))
        output = self.render(part["Output"]) if "Output" in part else value
        return {**self._variables, **assigned}, output


def _task(
    name: str,
    state: dict[str, Any],
    scope: _Scope,
    call: Service,
    clock: Clock,
    chance: random.Random,
    execution: Execution,
) -> Any:
    arguments = scope.render(state["Arguments"])
    integration = state["Resource"].rpartition(":::")[2]
    attempts = [0] * len(state.get("Retry", ()))
    while True:
        execution.events += 3
        try:
            return call(name, integration, arguments)
        except TaskError as error:
            retriers = list(enumerate(state.get("Retry", ())))
            place, retrier = next((r for r in retriers if _matches(r[1], error.name)), (-1, {}))
            if not retrier or attempts[place] >= retrier.get("MaxAttempts", 3):
                raise
            delay = retrier.get("IntervalSeconds", 1) * retrier.get("BackoffRate", 2) ** attempts[place]
            delay = min(delay, retrier.get("MaxDelaySeconds", delay))
            clock.advance(chance.uniform(0, delay) if retrier.get("JitterStrategy") == "FULL" else delay)
            attempts[place] += 1


def _matches(handler: dict[str, Any], error: str) -> bool:
    names = handler["ErrorEquals"]
    if error in names:
        return True
    wildcard = "States.ALL" in names or ("States.TaskFailed" in names and error != "States.Timeout")
    return wildcard and error not in _NEVER_CAUGHT


def _context(state: str) -> dict[str, Any]:
    return {
        "Execution": {
            "Id": "arn:aws:states:us-east-1:123456789012:execution:machine:run",
            "StartTime": "2026-01-01T00:00:00.000Z",
            "RedriveCount": 0,
        },
        "State": {"Name": state},
    }
