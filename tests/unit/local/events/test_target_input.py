import json
from typing import Any

import pytest

from cdk_sagemaker_pytorch.local.events.target_input import target_input

EVENT = {
    "time": "2026-11-26T10:30:00Z",
    "detail-type": "Thing",
    "resources": ["arn:a", "arn:b"],
    "detail": {"name": 'say "hi"', "number": 3, "inner": {"a": [1]}},
}
PATHS = {
    "name": "$.detail.name",
    "number": "$.detail.number",
    "inner": "$.detail.inner",
    "missing": "$.detail.missing",
    "kind": "$['detail-type']",
    "second": "$.resources[1]",
}


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ({}, EVENT),
        ({"Input": '{"k": 1}'}, {"k": 1}),
        ({"InputPath": "$.detail.inner"}, {"a": [1]}),
        ({"InputPath": "$.detail.missing"}, None),
    ],
)
def test_a_target_gets_the_event_a_part_or_a_constant(target: dict[str, Any], expected: Any) -> None:
    assert json.loads(target_input(target, EVENT)) == expected


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ('{"a":<name>,"b":<number>,"c":<inner>}', {"a": 'say "hi"', "b": 3, "c": {"a": [1]}}),
        ('{"a":"x-<name>","b":"<number>"}', {"a": 'x-say "hi"', "b": "3"}),
        ('"<kind> of <second>"', "Thing of arn:b"),
        ('{"a":<missing>,"b":"<missing>"}', {"a": None, "b": ""}),
        ('{"a":"\\"<number>\\"","b":<number>}', {"a": '"3"', "b": 3}),
        ('{"rule":<aws.events.rule-name>,"event":<aws.events.event.json>}', {"rule": "r", "event": EVENT}),
        ('"<unknown>"', "<unknown>"),
    ],
)
def test_a_template_is_filled(template: str, expected: Any) -> None:
    target = {"InputTransformer": {"InputPathsMap": PATHS, "InputTemplate": template}}
    assert json.loads(target_input(target, EVENT, rule_name="r")) == expected
