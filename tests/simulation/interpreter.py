"""Runs a state machine in JSONata in virtual time, against services that a test makes up.

It covers what the library's state machines use: Task, Choice, Pass, Wait, Fail and Succeed, with Assign,
Output, Retry and Catch as the Amazon States Language has them, and the redrive of an execution.
"""

import datetime as dt
import functools
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cdk_sagemaker_pytorch.local.step_functions import jsonata

from .world import World

MOST_EVENTS = 5_000
UNSUCCESSFUL = ("FAILED", "ABORTED", "TIMED_OUT")
# No wildcard means these.
_NEVER_CAUGHT = frozenset({"States.DataLimitExceeded", "States.Runtime"})

Service = Callable[[str, str, Any], Any]


class TaskError(Exception):
    """What a task fails with: the name of an error, and its cause."""

    def __init__(self, name: str, cause: str = "") -> None:
        super().__init__(f"{name}: {cause}")
        self.name = name
        self.cause = cause


@dataclass
class Execution:
    """One execution, and how it went.

    Attributes
    ----------
    definition
        Amazon States Language, with ``StartAt`` and ``States``.
    call
        Answers a task: gets the name of the state, the integration such as ``lambda:invoke`` and the
        arguments; raises `TaskError` to fail it.
    """

    world: World
    definition: dict[str, Any]
    call: Service
    arn: str
    value: Any
    status: str = "RUNNING"
    output: Any = None
    error: str = ""
    cause: str = ""
    state: str = ""
    variables: dict[str, Any] = field(default_factory=dict)
    redrives: int = 0
    path: list[str] = field(default_factory=list)
    events: int = 0

    def __post_init__(self) -> None:
        self.state = self.definition["StartAt"]
        self.name = self.arn.rpartition(":")[2]
        self.started = self.world.now

    def run(self) -> None:
        """Run it to its end, from the state where it stands."""
        self.status = "RUNNING"
        self._deadline = self.world.now + self.definition["TimeoutSeconds"]
        while self._enter(self.definition["States"][self.state]):
            pass
        self.world.tell(f"{self.name} {self.status} {self.error} {self.cause[:200]}")

    def _enter(self, state: dict[str, Any]) -> bool:
        if self.world.now >= self._deadline:
            self.status = "TIMED_OUT"
            return False
        self.path.append(self.state)
        self.events += 2
        assert self.events < MOST_EVENTS, f"the history is full: {self.path[-20:]}"
        states = {"input": self.value, "context": self._context()}
        scope = _Scope(self.variables, states)
        if state["Type"] == "Fail":
            self.status = "FAILED"
            self.error, self.cause = scope.render(state["Error"]), scope.render(state["Cause"])
            assert isinstance(self.error, str), self.error
            assert isinstance(self.cause, str), self.cause
            return False
        if state["Type"] == "Choice":
            rule = next((r for r in state["Choices"] if scope.render(r["Condition"]) is True), None)
            following = state["Default"] if rule is None else rule["Next"]
            self.variables, self.value = scope.leave(rule or {}, self.value)
            self.state = following
            return True
        result = self.value
        if state["Type"] == "Wait":
            seconds = scope.render(state["Seconds"])
            assert isinstance(seconds, int), f"Seconds must be a whole number, got {seconds!r}"
            self.world.sleep(seconds)
        elif state["Type"] == "Task":
            try:
                result = self._task(state, scope)
            except TaskError as error:
                return self._caught(state, scope, error)
            scope.states["result"] = result
        self.variables, self.value = scope.leave(state, result)
        if state.get("End") or state["Type"] == "Succeed":
            self.status, self.output = "SUCCEEDED", self.value
            return False
        self.state = state["Next"]
        return True

    def _caught(self, state: dict[str, Any], scope: "_Scope", error: TaskError) -> bool:
        catcher = next((c for c in state.get("Catch", ()) if _matches(c, error.name)), None)
        if catcher is None:
            self.status, self.error, self.cause = "FAILED", error.name, error.cause
            return False
        caught = {"Error": error.name, "Cause": error.cause}
        scope.states["errorOutput"] = caught
        self.variables, self.value = scope.leave(catcher, caught)
        self.state = catcher["Next"]
        return True

    def _task(self, state: dict[str, Any], scope: "_Scope") -> Any:
        arguments = scope.render(state["Arguments"])
        integration = state["Resource"].rpartition(":::")[2]
        attempts = [0] * len(state.get("Retry", ()))
        while True:
            self.events += 3
            try:
                return self.call(self.state, integration, arguments)
            except TaskError as error:
                for index, retrier in enumerate(state.get("Retry", ())):
                    if not _matches(retrier, error.name):
                        continue
                    if attempts[index] >= retrier.get("MaxAttempts", 3):
                        raise
                    attempts[index] += 1
                    longest = retrier.get("IntervalSeconds", 1) * retrier.get("BackoffRate", 2) ** (
                        attempts[index] - 1
                    )
                    longest = min(longest, retrier.get("MaxDelaySeconds", longest))
                    full = retrier.get("JitterStrategy") == "FULL"
                    self.world.sleep(self.world.random.uniform(0, longest) if full else longest)
                    break
                else:
                    raise

    def _context(self) -> dict[str, Any]:
        return {
            "Execution": {
                "Id": self.arn,
                "Name": self.name,
                "StartTime": iso_time(self.started),
                "RedriveCount": self.redrives,
            },
            "State": {"Name": self.state, "EnteredTime": iso_time(self.world.now), "RetryCount": 0},
        }


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
            return evaluate(template, {**self._variables, "states": self.states})
        return template

    def leave(self, part: dict[str, Any], value: Any) -> tuple[dict[str, Any], Any]:
        """Return the variables and the output; both see what was before."""
        assigned = self.render(part.get("Assign", {}))
        output = self.render(part["Output"]) if "Output" in part else value
        return {**self._variables, **assigned}, output


def evaluate(template: str, variables: dict[str, Any]) -> Any:
    """Evaluate an expression as the local AWS does; what was evaluated with the same values is remembered."""
    values = tuple(json.dumps(_look_up(variables, path)) for path in _paths(template))
    return json.loads(_evaluated(template, values))


@functools.lru_cache(maxsize=50_000)
def _evaluated(template: str, values: tuple[str, ...]) -> str:
    variables: dict[str, Any] = {}
    for path, value in zip(_paths(template), values, strict=True):
        if value != "NaN":
            parent = variables
            for name in path[:-1]:
                parent = parent.setdefault(name, {})
            parent[path[-1]] = json.loads(value)
    return json.dumps(jsonata.evaluate(template[2:-2].strip(), variables))


@functools.cache
def _paths(template: str) -> tuple[tuple[str, ...], ...]:
    """Find the variables that an expression reads, each with the path in it; functions are none."""
    found = sorted({match[1] for match in re.finditer(r"\$([A-Za-z]\w*(?:\.\w+)*)(?!\w|\()", template)})
    paths = [tuple(each.split(".")) for each in found]
    return tuple(
        path for path in paths if not any(path[: len(other)] == other for other in paths if other != path)
    )


def _look_up(variables: dict[str, Any], path: tuple[str, ...]) -> Any:
    """Follow a path; what is not there is NaN, which no JSON is."""
    value: Any = variables
    for name in path:
        if not isinstance(value, dict) or name not in value:
            return float("nan")
        value = value[name]
    return value


def iso_time(seconds: float) -> str:
    """Write a time as Step Functions does."""
    time = dt.datetime.fromtimestamp(seconds, dt.UTC)
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _matches(rule: dict[str, Any], name: str) -> bool:
    wanted = rule["ErrorEquals"]
    if name in wanted:
        return True
    if name in _NEVER_CAUGHT:
        return False
    return "States.ALL" in wanted or ("States.TaskFailed" in wanted and name != "States.Timeout")
