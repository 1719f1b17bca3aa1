"""The expressions, evaluated by a JSONata of their own."""

import json
from typing import Any

import jsonata as interpreter
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cdk_sagemaker_pytorch.states import jsonata

CHANNEL = {
    "ChannelName": "train",
    "DataSource": {
        "S3DataSource": {
            "S3DataType": "S3Prefix",
            "S3Uri": "s3://own/train/",
            "S3DataDistributionType": "ShardedByS3Key",
        }
    },
    "InputMode": "File",
}


def evaluate(expression: str, state_input: Any) -> Any:
    states = json.dumps({"input": state_input})
    return interpreter.Jsonata(f"($states := {states}; {expression})").evaluate(None)


def merged_hyperparameters(given_values: Any) -> Any:
    expression = jsonata.hyperparameters(
        {"epochs": "30"}, {"sagemaker_program": "'\"train.py\"'"}, "$states.input.hyperparameters"
    )
    return evaluate(expression, given_values)


@pytest.mark.parametrize("nothing", [{}, {"hyperparameters": {}}])
def test_hyperparameters_are_the_constructs_own_when_none_are_given(nothing: Any) -> None:
    assert merged_hyperparameters(nothing) == {"epochs": "30", "sagemaker_program": '"train.py"'}


def test_given_hyperparameters_win_but_not_over_the_librarys() -> None:
    merged = merged_hyperparameters({"hyperparameters": {"epochs": 5, "sagemaker_program": "evil.py"}})
    assert merged == {"epochs": "5", "sagemaker_program": '"train.py"'}


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(st.characters(codec="ascii")),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.text("abc", min_size=1), children, max_size=3)
    ),
    max_leaves=6,
)


@given(_JSON)
@settings(max_examples=100, deadline=None)
def test_given_hyperparameters_reach_the_container_as_json(value: Any) -> None:
    merged = merged_hyperparameters({"hyperparameters": {"value": value}})
    assert json.loads(merged["value"]) == value


@pytest.mark.parametrize("declared", [[], [CHANNEL], [CHANNEL, {**CHANNEL, "ChannelName": "test"}]])
@pytest.mark.parametrize("nothing", [{}, {"inputs": {}}])
def test_channels_are_the_declared_ones_when_none_are_given(declared: Any, nothing: Any) -> None:
    assert evaluate(jsonata.input_channels(declared, "$states.input.inputs"), nothing) == declared


def test_a_given_uri_replaces_a_declared_one_and_keeps_the_rest() -> None:
    expression = jsonata.input_channels([CHANNEL], "$states.input.inputs")
    (channel,) = evaluate(expression, {"inputs": {"train": "s3://other/"}})
    source = {**CHANNEL["DataSource"]["S3DataSource"], "S3Uri": "s3://other/"}  # type: ignore[index]
    assert channel == {**CHANNEL, "DataSource": {"S3DataSource": source}}


def test_a_given_uri_of_another_name_adds_a_channel() -> None:
    expression = jsonata.input_channels([CHANNEL], "$states.input.inputs")
    first, second = evaluate(expression, {"inputs": {"eval": "s3://eval/"}})
    assert first == CHANNEL
    assert second["ChannelName"] == "eval"
    assert second["DataSource"]["S3DataSource"]["S3Uri"] == "s3://eval/"


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({}, {}),
        ({"FinalMetricDataList": []}, {}),
        ({"FinalMetricDataList": [{"MetricName": "loss", "Value": 0.5}]}, {"loss": 0.5}),
        (
            {"FinalMetricDataList": [{"MetricName": "a", "Value": 1}, {"MetricName": "b:c", "Value": 2}]},
            {"a": 1, "b:c": 2},
        ),
    ],
)
def test_metrics_become_an_object(found: Any, expected: Any) -> None:
    assert evaluate(jsonata.metrics("$states.input"), found) == expected


def test_an_absent_path_becomes_null() -> None:
    assert evaluate(jsonata.or_null("$states.input.missing"), {}) is None
    assert evaluate(jsonata.or_null("$states.input.there"), {"there": "x"}) == "x"
