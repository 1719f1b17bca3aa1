from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import Duration, Stack
from aws_cdk import aws_s3 as s3
from aws_cdk.assertions import Match, Template

from cdk_sagemaker_pytorch import (
    ConfigurationError,
    FrameworkVersion,
    ModelData,
    PyTorchModel,
    PyTorchPipeline,
    PyTorchTrainingJob,
    ServingContainer,
    SourceCode,
)
from cdk_sagemaker_pytorch.serving.inference_code import serving_environment


def environment(version: str, **options: Any) -> dict[str, str]:
    return serving_environment(
        FrameworkVersion.of(version),
        **{
            "entry_point": "serve.py",
            "has_handlers": False,
            "submit_directory": "/opt/ml/model/code",
            "region": "us-east-1",
            "container": ServingContainer(),
            **options,
        },
    )


def test_a_script_of_its_own_is_the_program() -> None:
    assert environment("1.1") == {
        "SAGEMAKER_PROGRAM": "serve.py",
        "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
        "SAGEMAKER_REGION": "us-east-1",
        "SAGEMAKER_CONTAINER_LOG_LEVEL": "20",
    }


@pytest.mark.parametrize(
    ("version", "prefix"), [("1.1", None), ("1.5.1", "MMS"), ("1.6", "TS"), ("2.6", "TS"), ("2.13", None)]
)
def test_the_server_takes_what_sagemaker_lets_through(version: str, prefix: str | None) -> None:
    limits = {name: value for name, value in environment(version).items() if "_MAX_" in name}
    names = (f"{prefix}_MAX_REQUEST_SIZE", f"{prefix}_MAX_RESPONSE_SIZE")
    assert limits == (dict.fromkeys(names, "26214400") if prefix else {})


def test_torchserve_imports_the_wrapper_that_runs_the_script() -> None:
    found = environment("2.6", has_handlers=True)
    assert found["SAGEMAKER_PROGRAM"] == "cdk_sagemaker_pytorch_serving.torchserve_entry_point"
    assert found["CDK_SAGEMAKER_PYTORCH_ENTRY_POINT"] == "serve.py"
    assert "SM_RAYSERVE_APP" not in found


def test_ray_serve_runs_the_application() -> None:
    found = environment("2.13", has_handlers=True)
    assert found["SM_RAYSERVE_APP"] == "cdk_sagemaker_pytorch_serving.ray_application:app"
    assert found["SAGEMAKER_PROGRAM"] == "serve.py"
    assert found["PYTHONPATH"] == "/opt/ml/model:/opt/ml/model/code"
    assert "SM_RAYSERVE_APP" not in environment("2.13")


@pytest.mark.parametrize(
    ("version", "variables"),
    [
        ("1.5.1", {"SAGEMAKER_MODEL_SERVER_TIMEOUT"}),
        ("2.6", {"SAGEMAKER_MODEL_SERVER_TIMEOUT", "SAGEMAKER_TS_RESPONSE_TIMEOUT"}),
        ("2.13", {"RAYSERVE_BACKEND_TIMEOUT"}),
    ],
)
def test_one_timeout_drives_the_servers_own_variables(version: str, variables: set[str]) -> None:
    plain = environment(version)
    timed = environment(version, container=ServingContainer(response_timeout=Duration.seconds(90)))
    assert {name: timed[name] for name in timed.keys() - plain.keys()} == dict.fromkeys(variables, "90")


def test_workers() -> None:
    assert (
        environment("2.6", container=ServingContainer(model_server_workers=3))[
            "SAGEMAKER_MODEL_SERVER_WORKERS"
        ]
        == "3"
    )


@pytest.fixture
def model_data(stack: Stack) -> ModelData:
    bucket = s3.Bucket.from_bucket_name(stack, "Bucket", "models")
    return ModelData.from_bucket(bucket, "model.tar.gz")


def test_old_containers_get_the_script_untouched(
    stack: Stack, model_data: ModelData, inference_code: SourceCode
) -> None:
    PyTorchModel(stack, "Model", model_data=model_data, framework_version="1.8.1", source_code=inference_code)
    Template.from_stack(stack).has_resource_properties(
        "AWS::SageMaker::Model",
        {"PrimaryContainer": {"Environment": Match.object_like({"SAGEMAKER_PROGRAM": "inference.py"})}},
    )


def test_an_accelerator_gets_the_bundled_script_for_it(
    stack: Stack, training_code: SourceCode, states: Callable[..., dict[str, Any]]
) -> None:
    job = PyTorchTrainingJob(stack, "Training", framework_version="1.5.0", source_code=training_code)
    PyTorchPipeline(
        stack,
        "Pipeline",
        training_job=job,
        framework_version="1.5.1",
        accelerator_type="ml.eia2.medium",
    )
    payload = states("PyTorchEndpoint")["Bring into service"]["Arguments"]["Payload"]
    container = payload["requests"]["CreateModel"]["PrimaryContainer"]
    assert container["Environment"]["SAGEMAKER_PROGRAM"] == "inference.py"


def test_fails_when_the_bundled_handlers_do_not_run(stack: Stack, training_code: SourceCode) -> None:
    job = PyTorchTrainingJob(stack, "Training", framework_version="1.8.1", source_code=training_code)
    with pytest.raises(ConfigurationError, match=r"source_code must be given .* got none for 1\.8\.1"):
        PyTorchPipeline(stack, "Pipeline", training_job=job)


def test_fails_when_requirements_cannot_be_installed(
    stack: Stack, model_data: ModelData, tmp_path: Path
) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "serve.py").write_text("")
    (tmp_path / "code" / "requirements.txt").write_text("einops")
    code = SourceCode.from_directory(tmp_path / "code", entry_point="serve.py")
    with pytest.raises(ConfigurationError, match=r"requirements\.txt for framework_version 1\.2\.0"):
        PyTorchModel(stack, "Model", model_data=model_data, framework_version="1.2.0", source_code=code)
