from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from aws_cdk.assertions import Match, Template

from cdk_sagemaker_pytorch import ConfigurationError, ModelData, PyTorchModel, SourceCode

Statements = Callable[[str], list[dict[str, Any]]]


@pytest.fixture
def model_data(stack: Stack) -> ModelData:
    bucket = s3.Bucket.from_bucket_name(stack, "Bucket", "models")
    return ModelData.from_bucket(bucket, "a/model.tar.gz")


def container(stack: Stack) -> dict[str, Any]:
    ((_, model),) = Template.from_stack(stack).find_resources("AWS::SageMaker::Model").items()
    found: dict[str, Any] = model["Properties"]["PrimaryContainer"]
    return found


def test_model_data_without_source_code_is_used_where_it_lies(
    stack: Stack, model_data: ModelData, statements: Statements
) -> None:
    PyTorchModel(stack, "Model", model_data=model_data, framework_version="2.6")
    found = container(stack)
    assert found["ModelDataUrl"] == "s3://models/a/model.tar.gz"
    assert found["Environment"] == {
        "SAGEMAKER_PROGRAM": "inference.py",
        "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
        "SAGEMAKER_REGION": {"Ref": "AWS::Region"},
        "SAGEMAKER_CONTAINER_LOG_LEVEL": "20",
    }
    Template.from_stack(stack).resource_count_is("AWS::Lambda::Function", 0)
    assert "a/model.tar.gz" in str(statements("ModelRole"))


def test_source_code_is_packaged_at_deployment(
    stack: Stack, model_data: ModelData, inference_code: SourceCode, statements: Statements
) -> None:
    PyTorchModel(stack, "Model", model_data=model_data, framework_version="2.6", source_code=inference_code)
    template = Template.from_stack(stack)
    ((logical_id, packaged),) = template.find_resources("Custom::PackagedModel").items()
    properties = packaged["Properties"]
    assert properties["model_data"] == "s3://models/a/model.tar.gz"
    assert properties["framework_version"] == "2.6.0"
    assert properties["entry_point"] == "inference.py"
    assert "source_code" in properties
    assert container(stack)["ModelDataUrl"] == {"Fn::GetAtt": [logical_id, "ModelDataUrl"]}
    assert container(stack)["Environment"]["SAGEMAKER_SUBMIT_DIRECTORY"] == {
        "Fn::GetAtt": [logical_id, "SubmitDirectory"]
    }
    # The container reads what was packaged, not where it came from.
    assert "a/model.tar.gz" not in str(statements("ModelRole"))
    assert "a/model.tar.gz" in str(statements("CdkSagemakerPytorchModelPackager"))


def test_other_source_code_is_packaged_under_another_key(
    stack: Stack, model_data: ModelData, inference_code: SourceCode, tmp_path: Path
) -> None:
    other = tmp_path / "other.py"
    other.write_text("# other")
    for name, code in (("A", inference_code), ("B", SourceCode.from_file(other))):
        PyTorchModel(stack, name, model_data=model_data, framework_version="2.6", source_code=code)
    outputs = {
        str(resource["Properties"]["output"]).split("/")[-2]
        for resource in Template.from_stack(stack).find_resources("Custom::PackagedModel").values()
    }
    assert len(outputs) == 2


def test_a_local_model_gets_the_suffix_that_hosting_asks_for(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.pt").write_bytes(b"x")
    data = ModelData.from_directory(tmp_path / "model")
    PyTorchModel(stack, "Model", model_data=data, framework_version="2.6")
    Template.from_stack(stack).has_resource_properties(
        "Custom::PackagedModel",
        {
            "source_code": Match.absent(),
            "output": {"Fn::Join": ["", Match.array_with([Match.string_like_regexp("model.tar.gz$")])]},
        },
    )


def test_every_option(stack: Stack, model_data: ModelData) -> None:
    role = iam.Role(stack, "Mine", assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"))
    PyTorchModel(
        stack,
        "Model",
        model_data=model_data,
        framework_version="2.6",
        entry_point="serve.py",
        instance_type="ml.g5.xlarge",
        environment={"LOG": "1"},
        model_server_workers=2,
        response_timeout=Duration.seconds(90),
        py_version="py312",
        role=role,
    )
    found = container(stack)
    environment = found["Environment"]
    assert environment["SAGEMAKER_PROGRAM"] == "serve.py"
    assert environment["LOG"] == "1"
    assert environment["SAGEMAKER_MODEL_SERVER_WORKERS"] == "2"
    assert environment["SAGEMAKER_MODEL_SERVER_TIMEOUT"] == "90"
    assert environment["SAGEMAKER_TS_RESPONSE_TIMEOUT"] == "90"
    assert "2.6.0-gpu-py312" in str(found["Image"])
    Template.from_stack(stack).resource_count_is("AWS::IAM::Role", 1)


def test_versions_after_2_6_are_served_by_ray(
    stack: Stack, model_data: ModelData, inference_code: SourceCode
) -> None:
    PyTorchModel(stack, "Model", model_data=model_data, framework_version="2.13", source_code=inference_code)
    assert "SM_RAYSERVE_APP" in container(stack)["Environment"]
    assert "/ray:serve-ml-sagemaker-cpu" in str(container(stack)["Image"])


def test_an_accelerator_chooses_its_image(stack: Stack, model_data: ModelData) -> None:
    PyTorchModel(
        stack,
        "Model",
        model_data=model_data,
        framework_version="1.5.1",
        accelerator_type="ml.eia2.medium",
    )
    assert "pytorch-inference-eia:1.5.1-cpu-py3" in str(container(stack)["Image"])


def test_fails_when_values_cannot_work_with_all_of_them(stack: Stack, model_data: ModelData) -> None:
    with pytest.raises(ConfigurationError) as raised:
        PyTorchModel(
            stack,
            "Model",
            model_data=model_data,
            framework_version="2.6",
            instance_type="m5.large",
            model_server_workers=0,
            accelerator_type="ml.eia2.medium",
        )
    assert [problem.split(" ")[0] for problem in raised.value.problems] == [
        "instance_type",
        "model_server_workers",
        "accelerator_type",
    ]
