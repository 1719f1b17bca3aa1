"""What a target of a rule gets: the event, a part of it, a constant, or a template filled from it."""

import json
import re
from collections.abc import Mapping
from typing import Any

_STEP = re.compile(r"\.([\w-]+)|\[(\d+)\]|\['([^']+)'\]")
_VARIABLE = re.compile(r"<([\w.-]+)>")
_MISSING = object()


def target_input(
    target: Mapping[str, Any], event: Mapping[str, Any], *, rule_name: str = "", rule_arn: str = ""
) -> str:
    """Return the JSON text that a target gets.

    Parameters
    ----------
    target
        With `Input`, `InputPath`, `InputTransformer` or none of them.
    event
        The event.
    rule_name, rule_arn
        Of the rule, for `<aws.events.rule-name>` and `<aws.events.rule-arn>`.
    """
    if "Input" in target:
        return str(target["Input"])
    if "InputPath" in target:
        found = _at(event, target["InputPath"])
        return json.dumps(None if found is _MISSING else found)
    transformer = target.get("InputTransformer")
    if transformer is None:
        return json.dumps(event)
    values = {name: _at(event, path) for name, path in (transformer.get("InputPathsMap") or {}).items()}
    values |= {
        "aws.events.rule-name": rule_name,
        "aws.events.rule-arn": rule_arn,
        "aws.events.event.ingestion-time": event["time"],
        "aws.events.event": {name: value for name, value in event.items() if name != "detail"},
        "aws.events.event.json": dict(event),
    }
    return _fill(transformer["InputTemplate"], values)


def _at(event: Any, path: str) -> Any:
    """Return what is at a JSON path such as `$.detail.name` or `$.resources[0]`."""
    value = event
    for name, index, quoted in _STEP.findall(path):
        try:
            value = value[int(index)] if index else value[name or quoted]
        except (KeyError, IndexError, TypeError):
            return _MISSING
    return value


def _fill(template: str, values: Mapping[str, Any]) -> str:
    """Put values in the place of `<name>`: as JSON, and within a string as its text."""

    def replacement(match: re.Match[str]) -> str:
        if match[1] not in values:
            return match[0]
        value = values[match[1]]
        if not _is_in_string(template, match.start()):
            return json.dumps(None if value is _MISSING else value)
        text = "" if value is _MISSING else value if isinstance(value, str) else json.dumps(value)
        return json.dumps(text)[1:-1]

    return _VARIABLE.sub(replacement, template)


def _is_in_string(template: str, place: int) -> bool:
    return len(re.findall(r'(?<!\\)(?:\\\\)*"', template[:place])) % 2 == 1
