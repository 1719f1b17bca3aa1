"""Evaluation of IAM policy documents: whether a request is allowed.

Covers what identity policies, bucket policies and trust policies of a stack use: `Action`, `NotAction`,
`Resource`, `NotResource`, `Principal`, wildcards, and the string, ARN, boolean and null condition
operators. An explicit deny wins. A condition operator that is not known never holds.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

PolicyDocument = Mapping[str, Any]


@dataclass(frozen=True)
class PolicyRequest:
    """One question to a set of policies.

    Parameters
    ----------
    action
        As policies spell it, for example `sagemaker:CreateTrainingJob`; case does not matter.
    resource
        ARN of what is acted on; `*` for an action that has none; None when it is not known, which matches
        every pattern.
    context
        Condition keys of the request, for example `{"iam:PassedToService": ["sagemaker.amazonaws.com"]}`.
    principal
        ARN of the caller, or the name of an AWS service; only needed for documents with a `Principal`.
    """

    action: str
    resource: str | None = "*"
    context: Mapping[str, list[str]] = field(default_factory=dict)
    principal: str = ""


def is_allowed(documents: Iterable[PolicyDocument], request: PolicyRequest) -> bool:
    """Whether some statement allows the request and none denies it."""
    allowed = False
    for document in documents:
        for statement in _as_list(document.get("Statement", [])):
            if _applies(statement, request):
                if statement["Effect"] == "Deny":
                    return False
                allowed = True
    return allowed


def _applies(statement: Mapping[str, Any], request: PolicyRequest) -> bool:
    return (
        _element_matches(statement, "Action", request.action.lower(), ignore_case=True)
        and _element_matches(statement, "Resource", request.resource)
        and _principal_matches(statement, request.principal)
        and all(
            _condition_holds(operator, key, expected, request.context)
            for operator, keys in statement.get("Condition", {}).items()
            for key, expected in keys.items()
        )
    )


def _element_matches(
    statement: Mapping[str, Any], element: str, value: str | None, *, ignore_case: bool = False
) -> bool:
    if value is None:
        return True
    negated = f"Not{element}" in statement
    patterns = _as_list(statement.get(f"Not{element}" if negated else element, "*"))
    if ignore_case:
        patterns = [pattern.lower() for pattern in patterns]
    return any(_like(pattern, value) for pattern in patterns) is not negated


def _principal_matches(statement: Mapping[str, Any], principal: str) -> bool:
    expected = statement.get("Principal")
    if expected is None or expected == "*":
        return True
    names = [name for names in expected.values() for name in _as_list(names)]
    account = principal.split(":")[4] if principal.startswith("arn:") else ""
    return any(
        name in ("*", principal, account) or (bool(account) and name.endswith(f"::{account}:root"))
        for name in names
    )


def _condition_holds(operator: str, key: str, expected: Any, context: Mapping[str, list[str]]) -> bool:
    quantifier, _, operator = operator.rpartition(":")
    if_exists = operator.endswith("IfExists")
    operator = operator.removesuffix("IfExists")
    actual = next((values for name, values in context.items() if name.lower() == key.lower()), None)
    wanted = [str(value).lower() if isinstance(value, bool) else str(value) for value in _as_list(expected)]
    if operator == "Null":
        return (actual is None) is (wanted[0].lower() == "true")
    if actual is None:
        return if_exists or quantifier == "ForAllValues" or operator.startswith(("StringNot", "ArnNot"))
    negated = "Not" in operator
    match = _MATCHERS.get(operator.replace("Not", ""))
    if match is None:
        return False
    matches = [any(match(pattern, value) for pattern in wanted) for value in actual]
    holds = all(matches) if quantifier == "ForAllValues" else any(matches)
    return holds is not negated


def _like(pattern: str, value: str) -> bool:
    return _expression(pattern).fullmatch(value) is not None


@lru_cache(maxsize=4096)
def _expression(pattern: str) -> re.Pattern[str]:
    return re.compile(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), re.DOTALL)


def _equals(pattern: str, value: str) -> bool:
    return pattern == value


def _equals_ignoring_case(pattern: str, value: str) -> bool:
    return pattern.lower() == value.lower()


_MATCHERS = {
    "StringEquals": _equals,
    "StringEqualsIgnoreCase": _equals_ignoring_case,
    "StringLike": _like,
    "ArnEquals": _like,
    "ArnLike": _like,
    "Bool": _equals_ignoring_case,
}


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
