from typing import Any

import pytest
from aws_cdk import Aws, Duration, Stack
from aws_cdk import aws_s3 as s3

from cdk_sagemaker_pytorch import (
    ConfigurationError,
    ModelData,
    PyTorchEndpoint,
    PyTorchModel,
    PyTorchPipeline,
    PyTorchTrainingJob,
    ServingContainer,
)
from cdk_sagemaker_pytorch.common.problems import Problems
from cdk_sagemaker_pytorch.serving import serving_variables
from cdk_sagemaker_pytorch.serving.serving_variables import check_serving_variables, own_variables


def found(environment: Any, container: Any = None) -> tuple[str, ...]:
    problems = Problems("Test")
    check_serving_variables(problems, environment, container)
    try:
        problems.raise_if_any()
    except ConfigurationError as error:
        return error.problems
    return ()


def warned(environment: Any) -> dict[str, str]:
    problems = Problems("Test")
    check_serving_variables(problems, environment, None)
    return problems._warnings


@pytest.mark.parametrize(
    "environment",
    [
        {
            "HF_HOME": "/opt/hf",
            "MY_SAGEMAKER": "1",
            "OMP_NUM_THREADS": "4",
            "PROMPT": "{% if x %}a{% endif %}",
        },
        {"SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT": "text/csv", "SAGEMAKER_CONTAINER_LOG_LEVEL": "10"},
        {"CDK_SAGEMAKER_PYTORCH_MAX_BATCH_SIZE": "8", "CDK_SAGEMAKER_PYTORCH_NUM_GPUS": "0.5"},
        {"CDK_SAGEMAKER_PYTORCH_CHECK_MODEL": "False", "CDK_SAGEMAKER_PYTORCH_ALLOW_NON_FINITE": "1"},
        {
            "SM_RAYSERVE_APP": "mine:app",
            "RAYSERVE_BACKEND_TIMEOUT": "30.5",
            "SAGEMAKER_MODEL_SERVER_WORKERS": "2",
        },
        None,
        "text",
        {1: "x", "OMP_NUM_THREADS": 1},
    ],
)
def test_what_may_be_there_passes(environment: Any) -> None:
    assert found(environment) == ()
    assert warned(environment) == {}


def test_what_is_known_at_deployment_alone_passes() -> None:
    token = Aws.REGION
    assert found({token: "x", "OMP_NUM_THREADS": token}) == ()


@pytest.mark.parametrize(
    ("environment", "problem"),
    [
        (
            {"SAGEMAKER_PROGRAM": "inference.py"},
            "must not have SAGEMAKER_PROGRAM, which says what source_code or",
        ),
        ({"SAGEMAKER_SUBMIT_DIRECTORY": "/x"}, "must not have SAGEMAKER_SUBMIT_DIRECTORY"),
        ({"CDK_SAGEMAKER_PYTORCH_ENTRY_POINT": "a.py"}, "must not have CDK_SAGEMAKER_PYTORCH_ENTRY_POINT"),
        ({"CDK_SAGEMAKER_PYTORCH_BATCH_SIZE": "8"}, "got CDK_SAGEMAKER_PYTORCH_BATCH_SIZE"),
        ({"CDK_SAGEMAKER_PYTORCH_THREADS": "0"}, "must be a whole number of at least 1, got '0'"),
        ({"CDK_SAGEMAKER_PYTORCH_THREADS": "1.5"}, "must be a whole number of at least 1, got '1.5'"),
        ({"CDK_SAGEMAKER_PYTORCH_BATCH_WAIT_SECONDS": "inf"}, "must be a number of at least 0, got 'inf'"),
        ({"CDK_SAGEMAKER_PYTORCH_CHECK_MODEL": "no"}, "must be one of true, false, 1, 0, got 'no'"),
        ({"OMP_NUM_THREADS": "all"}, "must be a whole number of at least 1, got 'all'"),
    ],
)
def test_fails_when_a_variable_cannot_be(environment: dict[str, str], problem: str) -> None:
    (message,) = found(environment)
    assert problem in message


@pytest.mark.parametrize(
    ("variable", "parameter"),
    [
        ("SAGEMAKER_MODEL_SERVER_WORKERS", "model_server_workers"),
        ("SAGEMAKER_MODEL_SERVER_TIMEOUT", "response_timeout"),
        ("RAYSERVE_BACKEND_TIMEOUT", "response_timeout"),
    ],
)
def test_fails_when_a_variable_and_a_parameter_say_the_same(variable: str, parameter: str) -> None:
    container = ServingContainer(model_server_workers=2, response_timeout=Duration.seconds(30))
    (message,) = found({variable: "3"}, container)
    assert (
        message == f"environment must not have {variable} where container.{parameter} is given: leave one out"
    )
    assert found({variable: "3"}, ServingContainer()) == ()


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("SAGEMAKER_MODEL_SERVER_WORKER", "SAGEMAKER_MODEL_SERVER_WORKERS"),
        ("SAGEMAKER_DEFAULT_INVOCATION_ACCEPT", "SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT"),
        ("RAYSERVE_BACKEND_TIMEOUTS", "RAYSERVE_BACKEND_TIMEOUT"),
        ("OMP_NUM_THREAD", "OMP_NUM_THREADS"),
    ],
)
def test_a_name_that_is_almost_another_is_warned_about(name: str, meant: str) -> None:
    assert warned({name: "1"}) == {
        "Model.unknownVariable": f"environment has {name}, which AWS's containers do not read, unlike {meant}"
    }


def test_ranges_are_those_of_variables_that_the_handlers_read() -> None:
    ours = {name for name in (*serving_variables._NUMBERS, *serving_variables._FLAGS) if "CDK" in name}
    assert ours <= own_variables()


def test_fails_when_a_real_time_endpoint_would_be_waited_for_too_long(stack: Stack) -> None:
    bucket = s3.Bucket.from_bucket_name(stack, "Bucket", "models")
    slow = ServingContainer(response_timeout=Duration.minutes(5))
    model = PyTorchModel(
        stack,
        "Model",
        model_data=ModelData.from_bucket(bucket, "model.tar.gz"),
        framework_version="2.6",
        container=slow,
    )
    problem = r"container\.response_timeout must be at most 60 seconds, .* got 300: answer faster"
    with pytest.raises(ConfigurationError, match=problem):
        PyTorchEndpoint(stack, "Endpoint", model=model)
    job = PyTorchTrainingJob(stack, "Training", framework_version="2.6")
    with pytest.raises(ConfigurationError, match=problem):
        PyTorchPipeline(stack, "Pipeline", training_job=job, container=slow)


def test_fails_when_a_value_is_no_text(stack: Stack) -> None:
    job = PyTorchTrainingJob(stack, "Training", framework_version="2.6")
    wrong: Any = {"OMP_NUM_THREADS": 1}
    with pytest.raises(ConfigurationError, match=r"must be text, got 1\b.*write '1'"):
        PyTorchPipeline(stack, "Pipeline", training_job=job, environment=wrong)
