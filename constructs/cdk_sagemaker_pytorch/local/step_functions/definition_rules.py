"""What Step Functions refuses in a state machine before it exists: moto's parser knows the grammar alone."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from moto.core.exceptions import JsonRESTError
from moto.stepfunctions.models import StateMachine
from moto.stepfunctions.parser.api import InvalidDefinition, StateMachineAlreadyExists
from moto.stepfunctions.parser.models import StepFunctionsParserBackend

from cdk_sagemaker_pytorch.local.base.moto_parts import replace, wrap
from cdk_sagemaker_pytorch.local.iam.access import RoleError, role_credentials

__all__ = ["definition_problems", "install"]

_LONGEST_NAME = 80
# The states that have neither Next nor End.
_WITHOUT_NEXT = {"Choice", "Succeed", "Fail"}
# "Transforming data with JSONata in Step Functions": the fields of either language.
_OF_JSONPATH = {
    "InputPath",
    "ItemsPath",
    "OutputPath",
    "Parameters",
    "ResultPath",
    "ResultSelector",
    "SecondsPath",
    "TimestampPath",
}
_OF_JSONATA = {"Arguments", "Output"}


def install() -> None:
    """Let machines that AWS refuses be refused."""
    moto_validates = StepFunctionsParserBackend._validate_definition
    replace(
        StepFunctionsParserBackend,
        "_validate_definition",
        staticmethod(lambda definition: _validate(moto_validates, definition)),
    )
    wrap(StepFunctionsParserBackend, "create_state_machine", _create)
    wrap(StepFunctionsParserBackend, "update_state_machine", _update)


def definition_problems(definition: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with a definition whose grammar is right, as Step Functions says it."""
    names: list[str] = []
    yield from _scope_problems(definition, "", str(definition.get("QueryLanguage", "JSONPath")), names)
    for name, count in Counter(names).items():
        if count > 1:
            yield f"DUPLICATE_STATE_NAME: Duplicate State name: {name}"


def _validate(moto_method: Callable[..., None], definition: str) -> None:
    moto_method(definition=definition)
    if problem := ", ".join(definition_problems(json.loads(definition))):
        raise InvalidDefinition(f"Invalid State Machine Definition: '{problem}'")


def _create(
    moto_method: Callable[..., StateMachine],
    backend: StepFunctionsParserBackend,
    name: str,
    definition: str,
    roleArn: str,  # noqa: N803 - moto's name
    **options: Any,
) -> StateMachine:
    _check_role(roleArn)
    machine = moto_method(backend, name, definition, roleArn, **options)
    # moto returns one that has been there, whatever it runs.
    if machine.definition != definition:
        raise StateMachineAlreadyExists(f"State Machine Already Exists: '{machine.arn}'")
    return machine


def _update(
    moto_method: Callable[..., StateMachine],
    backend: StepFunctionsParserBackend,
    arn: str,
    definition: str | None = None,
    role_arn: str | None = None,
    *arguments: Any,
    **options: Any,
) -> StateMachine:
    if role_arn is not None:
        _check_role(role_arn)
    return moto_method(backend, arn, definition, role_arn, *arguments, **options)


def _check_role(role_arn: str) -> None:
    try:
        role_credentials(role_arn, service="states.amazonaws.com", session_name="create")
    except RoleError as error:
        raise JsonRESTError(
            "AccessDeniedException",
            "Neither the global service principal states.amazonaws.com, nor the regional one is authorized to"
            f" assume the provided role: {error}",
        ) from error


def _scope_problems(scope: Mapping[str, Any], place: str, language: str, names: list[str]) -> Iterator[str]:
    """Yield what is wrong with the states of a machine, of a branch or of a Map state."""
    states: Mapping[str, Mapping[str, Any]] = scope["States"]
    start = scope["StartAt"]
    if start not in states:
        yield f"MISSING_TRANSITION_TARGET: Missing 'Next' target: {start} at {place}/StartAt"
    reached: set[str] = set()
    ahead = [start]
    for name, state in states.items():
        here = f"{place}/States/{name}"
        names.append(name)
        if len(name) > _LONGEST_NAME:
            yield f"SCHEMA_VALIDATION_FAILED: State name exceeds {_LONGEST_NAME} characters at {here}"
        for field, target in _targets(state):
            if target not in states:
                yield f"MISSING_TRANSITION_TARGET: Missing 'Next' target: {target} at {here}{field}"
        if state["Type"] not in _WITHOUT_NEXT and not ("Next" in state or state.get("End")):
            yield f"SCHEMA_VALIDATION_FAILED: State must have one of 'Next' and 'End' at {here}"
        own = str(state.get("QueryLanguage", language))
        for field in sorted(state.keys() & (_OF_JSONPATH if own == "JSONata" else _OF_JSONATA)):
            yield f"SCHEMA_VALIDATION_FAILED: The field '{field}' is not supported in {own} at {here}/{field}"
        for field, inner in _inner_scopes(state):
            yield from _scope_problems(inner, f"{here}{field}", language, names)
    while ahead:
        name = ahead.pop()
        if name in states and name not in reached:
            reached.add(name)
            ahead += [target for _, target in _targets(states[name])]
    for name in states:
        if start in states and name not in reached:
            yield f'MISSING_TRANSITION_TARGET: State "{name}" is not reachable. at {place}/States/{name}'


def _targets(state: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for field in ("Next", "Default"):
        if field in state:
            yield f"/{field}", state[field]
    for field in ("Choices", "Catch"):
        for number, rule in enumerate(state.get(field) or []):
            if "Next" in rule:
                yield f"/{field}[{number}]/Next", rule["Next"]


def _inner_scopes(state: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for number, branch in enumerate(state.get("Branches") or []):
        yield f"/Branches[{number}]", branch
    for field in ("ItemProcessor", "Iterator"):
        if field in state:
            yield f"/{field}", state[field]
