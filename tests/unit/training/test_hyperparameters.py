"""Values of hyperparameters as people have them: they work, or the error says what is wrong."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aws_cdk import Stack

from cdk_sagemaker_pytorch import ConfigurationError, PyTorchTrainingJob
from cdk_sagemaker_pytorch.common.problems import Problems
from cdk_sagemaker_pytorch.training.hyperparameters import Hyperparameters


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        (np.float32(0.5), "0.5"),
        (np.int64(3), "3"),
        (np.bool_(True), "true"),
        (np.array([1, 2]), "[1, 2]"),
        (Path("data/x"), '"data/x"'),
        ((1, "a"), '[1, "a"]'),
        ({"a": {"b": np.float64(1.5)}}, '{"a": {"b": 1.5}}'),
        (None, "null"),
        (-1e-05, "-1e-05"),
        ("it's", '"it\'s"'),
    ],
)
def test_a_value_is_written_as_json(value: Any, encoded: str) -> None:
    problems = Problems("test")
    hyperparameters = Hyperparameters({"name": value}, problems)
    problems.raise_if_any()

    assert hyperparameters.encoded == {"name": encoded}
    assert json.loads(encoded) == hyperparameters.values["name"]


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ({"name": {1: 2}}, r"hyperparameters\['name'\] must have keys that are text, got 1"),
        ({1: 2}, "hyperparameters must have names that are text, got 1"),
        ({"name": {1, 2}}, r"hyperparameters\['name'\] must be text, a number, .* got \{1, 2\}"),
        ({"name": object()}, r"hyperparameters\['name'\] must be text, a number"),
        ({"name": float("nan")}, r"hyperparameters\['name'\] must be a finite number"),
        ({"name": [np.float32("inf")]}, r"hyperparameters\['name'\] must be a finite number"),
        ([("name", 1)], "hyperparameters must be a dictionary from name to value"),
    ],
)
def test_fails_when_a_value_cannot_be_written(value: Any, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        PyTorchTrainingJob(Stack(), "Job", framework_version="2.13", hyperparameters=value)
