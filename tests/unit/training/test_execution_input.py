"""What an execution is told of its input, by the JSONata that Step Functions evaluates."""

from typing import Any

import pytest

from cdk_sagemaker_pytorch.local.step_functions import jsonata
from cdk_sagemaker_pytorch.training.execution_input import input_problems


def problems(
    given: Any,
    *,
    channels: tuple[str, ...] = ("train",),
    hyperparameters: int = 1,
    has_checkpoints: bool = True,
) -> Any:
    expression = input_problems(
        "$states.input",
        hyperparameters=[f"own{number}" for number in range(hyperparameters)],
        own_hyperparameters=5,
        channels=channels,
        has_checkpoints=has_checkpoints,
    )
    return jsonata.evaluate(expression, {"states": {"input": given}})


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"hyperparameters": {}},
        {"hyperparameters": {"epochs": 3, "names": ["a", {"b": None}], "flag": False, "none": None}},
        {"inputs": {"train": "s3://bucket/train/", "more": "s3://bucket"}},
        {"training_job_name": "job-1"},
        {"hyperparameters": None, "inputs": None, "training_job_name": None},
        {"training_job_name": "job-1", "hyperparameters": None},
        {"resume_from": "job-1", "hyperparameters": {"epochs": 3}, "training_job_name": None},
        {"Comment": "from the console", "AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID": "arn:..."},
        {"hyperparameters": {f"p{number}": number for number in range(94)}},
    ],
)
def test_good_input(given: Any) -> None:
    assert problems(given) == ""


KNOWN = "an execution takes hyperparameters, inputs, training_job_name, resume_from"


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"hyperparameter": {"epochs": 3}}, f"unknown hyperparameter: {KNOWN}"),
        ({"a": 1, "b": None}, f"unknown a, b: {KNOWN}"),
        ([], "the input must be an object"),
        ("train", "the input must be an object"),
        (None, "the input must be an object"),
        ({"hyperparameters": "epochs=3"}, "hyperparameters must be an object from name to value"),
        ({"hyperparameters": [1]}, "hyperparameters must be an object from name to value"),
        (
            {"hyperparameters": {"sagemaker_program": "x.py", "a": 1}},
            "hyperparameters beginning with sagemaker_ belong to the container, got sagemaker_program",
        ),
        (
            {"hyperparameters": {f"p{number}": number for number in range(95)}},
            "hyperparameters must be at most 95 with those of the training job",
        ),
        (
            {"hyperparameters": {"long": "x" * 2501, "a": 1}},
            (
                "hyperparameters must have names of up to 256 characters and values of up to 2500 as JSON,"
                " got a longer one for long"
            ),
        ),
        ({"inputs": "s3://bucket"}, "inputs must be an object from channel name to S3 URI"),
        (
            {"inputs": {"train": "data/train", "test": 1, "good": "s3://bucket"}},
            "inputs must be S3 URIs such as s3://bucket/train/, got another for train, test",
        ),
        (
            {"inputs": {"my data": "s3://bucket"}},
            "inputs must have names of letters, digits, dots, dashes and underscores, got my data",
        ),
        (
            {"inputs": {f"c{number}": "s3://bucket" for number in range(20)}},
            "inputs must be at most 20 channels with those of the training job",
        ),
        ({"training_job_name": 3}, "training_job_name must be the name of a training job"),
        ({"training_job_name": "a_b"}, "training_job_name must be the name of a training job"),
        ({"resume_from": True}, "resume_from must be the name of a training job"),
        ({"resume_from": "s3://b/c"}, "resume_from must be the name of a training job"),
        (
            {"resume_from": "job-1", "training_job_name": "job-2"},
            "resume_from begins a new job, training_job_name attaches to one: leave one of them out",
        ),
        (
            {"training_job_name": "job-1", "hyperparameters": {"epochs": 3}},
            "training_job_name is of a job that has been trained: leave out hyperparameters and inputs",
        ),
        (
            {"wrong": 1, "hyperparameters": 1},
            f"unknown wrong: {KNOWN}; hyperparameters must be an object from name to value",
        ),
    ],
)
def test_fails_when_anything_is_not_understood(given: Any, problem: str) -> None:
    assert problems(given) == problem


def test_fails_when_channels_are_given_to_a_job_that_has_none() -> None:
    given = {"inputs": {"train": "s3://bucket"}}
    assert problems(given, channels=()) == "inputs must be left out, for the training job declares no channel"
    assert problems({"inputs": None}, channels=()) == ""


def test_fails_when_the_source_codes_channel_is_given() -> None:
    expression = input_problems(
        "$states.input", hyperparameters=(), own_hyperparameters=5, channels=["train"], own_channels=["code"]
    )
    given = {"inputs": {"code": "s3://bucket/mine"}}
    found = jsonata.evaluate(expression, {"states": {"input": given}})
    assert found == "inputs must have another name than code, the channel of the source code"


def test_fails_when_there_are_no_checkpoints_to_resume_from() -> None:
    assert problems({"resume_from": "job-1"}, has_checkpoints=False) == (
        "resume_from must be left out, for the training job declares no checkpoints"
    )
    assert problems({"resume_from": None}, has_checkpoints=False) == ""
