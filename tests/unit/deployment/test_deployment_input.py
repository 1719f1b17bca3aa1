"""What an execution of a deployment is told of its input, by the JSONata that Step Functions evaluates."""

from typing import Any

import pytest

from cdk_sagemaker_pytorch.deployment.deployment_input import deployment_input_problems
from cdk_sagemaker_pytorch.local.step_functions import jsonata

ARCHIVE = {"model_data": "s3://models/job-1/output/model.tar.gz"}
VERSION = "digits-20260131120000-0a1b2c3d"


def problems(given: Any, *, compressed: bool = True) -> Any:
    expression = deployment_input_problems("$states.input", version_prefix="digits", compressed=compressed)
    return jsonata.evaluate(expression, {"states": {"input": given}})


@pytest.mark.parametrize(
    "given",
    [
        ARCHIVE,
        {"model_data": "s3://models/a"},
        {"training_job_name": "job-1"},
        {"roll_back": VERSION},
        {**ARCHIVE, "training_job_name": None, "roll_back": None, "requested_at": None},
        {**ARCHIVE, "requested_at": "2026-01-31T12:00:00.000Z"},
        {**ARCHIVE, "requested_at": "2026-01-31T12:00:00Z"},
        {**ARCHIVE, "Comment": "from the console", "AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID": "arn:..."},
    ],
)
def test_good_input(given: Any) -> None:
    assert problems(given) == ""


def test_uncompressed_model_data_is_a_prefix() -> None:
    assert problems({"model_data": "s3://models/job-1/output/model/"}, compressed=False) == ""


KNOWN = "an execution takes one of model_data, training_job_name, roll_back, and requested_at"
ONE = "one of model_data, training_job_name, roll_back must be given"
URI = "model_data must be the S3 URI of a model.tar.gz"
NAME = "training_job_name must be the name of a training job"
KEPT = "roll_back must be a version such as digits-20260131120000-0a1b2c3d"
TIME = "requested_at must be a time such as 2026-01-31T12:00:00.000Z"


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({**ARCHIVE, "hyperparameters": {}}, f"unknown hyperparameters: {KNOWN}"),
        ({**ARCHIVE, "a": 1, "b": None}, f"unknown a, b: {KNOWN}"),
        ({}, f"{ONE}, got 0"),
        ({"Comment": "by hand"}, f"{ONE}, got 0"),
        ({"model_data": None}, f"{ONE}, got 0"),
        ({**ARCHIVE, "roll_back": VERSION}, f"{ONE}, got 2"),
        ({**ARCHIVE, "roll_back": VERSION, "training_job_name": "job-1"}, f"{ONE}, got 3"),
        ([], "the input must be an object"),
        ("s3://models/model.tar.gz", "the input must be an object"),
        (None, "the input must be an object"),
        ({"model_data": 3}, URI),
        ({"model_data": ["s3://models/model.tar.gz"]}, URI),
        ({"model_data": "models/model.tar.gz"}, URI),
        ({"model_data": "s3://models"}, URI),
        ({"model_data": "s3://models/"}, URI),
        ({"model_data": "s3://models/job-1/output/"}, URI),
        ({"training_job_name": 3}, NAME),
        ({"training_job_name": ""}, NAME),
        ({"training_job_name": "a_b"}, NAME),
        ({"training_job_name": "-job"}, NAME),
        ({"training_job_name": "j" * 64}, NAME),
        ({"roll_back": True}, KEPT),
        ({"roll_back": "digits"}, KEPT),
        ({"roll_back": f"{VERSION}-2"}, KEPT),
        ({"roll_back": f"x{VERSION}"}, KEPT),
        ({"roll_back": "letters-20260131120000-0a1b2c3d"}, KEPT),
        ({"roll_back": "digits-20260131120000-0A1B2C3D"}, KEPT),
        ({**ARCHIVE, "requested_at": 1769860800}, TIME),
        ({**ARCHIVE, "requested_at": "today"}, TIME),
        ({**ARCHIVE, "requested_at": "2026-01-31T12:00:00+01:00"}, TIME),
        ({"wrong": 1, "model_data": 1}, f"unknown wrong: {KNOWN}; {URI}"),
    ],
)
def test_fails_when_anything_is_not_understood(given: Any, problem: str) -> None:
    assert problems(given) == problem


@pytest.mark.parametrize("uri", ["s3://models/job-1/model.tar.gz", "s3://models", "s3://models/"])
def test_fails_when_uncompressed_model_data_is_no_prefix(uri: str) -> None:
    found = problems({"model_data": uri}, compressed=False)
    assert found == "model_data must be an S3 URI with a slash at its end"
