from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App, Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk.assertions import Match, Template

from cdk_sagemaker_pytorch import (
    ConfigurationError,
    ModelData,
    ModelPackager,
    PyTorchImage,
    PyTorchModel,
    ServingContainer,
    SourceCode,
)

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
        "TS_MAX_REQUEST_SIZE": "26214400",
        "TS_MAX_RESPONSE_SIZE": "26214400",
    }
    Template.from_stack(stack).resource_count_is("AWS::Lambda::Function", 0)
    assert "a/model.tar.gz" in str(statements("ModelRole"))


def test_on_ray_the_handlers_join_a_models_own_code(
    stack: Stack, model_data: ModelData, statements: Statements
) -> None:
    PyTorchModel(stack, "Model", model_data=model_data, framework_version="2.13")
    ((_, packaged),) = Template.from_stack(stack).find_resources("Custom::PackagedModel").items()
    properties = packaged["Properties"]
    assert properties["keep_code"] == "true"
    assert "source_code" not in properties
    assert "handlers" in properties
    environment = container(stack)["Environment"]
    assert environment["SM_RAYSERVE_APP"] == "cdk_sagemaker_pytorch_serving.ray_application:app"
    # The handlers take code/inference.py if the model has it.
    assert "SAGEMAKER_PROGRAM" not in environment
    assert "cdk-hnb659fds-assets" in str(statements("CdkSagemakerPytorchModelPackager"))


def test_on_ray_the_handlers_run_the_script_that_is_named(stack: Stack, model_data: ModelData) -> None:
    PyTorchModel(stack, "Model", model_data=model_data, framework_version="2.13", entry_point="serve.py")
    assert container(stack)["Environment"]["SAGEMAKER_PROGRAM"] == "serve.py"


def test_on_ray_an_application_of_ones_own_is_used_where_it_lies(stack: Stack, model_data: ModelData) -> None:
    PyTorchModel(
        stack,
        "Model",
        model_data=model_data,
        framework_version="2.13",
        environment={"SM_RAYSERVE_APP": "mine:app"},
    )
    assert container(stack)["ModelDataUrl"] == "s3://models/a/model.tar.gz"
    assert container(stack)["Environment"]["SM_RAYSERVE_APP"] == "mine:app"


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
        container=ServingContainer(model_server_workers=2, response_timeout=Duration.seconds(90)),
        image=PyTorchImage.inference(py_version="py312"),
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
            container=ServingContainer(model_server_workers=0),
            accelerator_type="ml.eia2.medium",
        )
    assert [problem.split(" ")[0] for problem in raised.value.problems] == [
        "instance_type",
        "container.model_server_workers",
        "accelerator_type",
    ]


def test_uncompressed_model_data_are_used_where_they_lie(stack: Stack, statements: Statements) -> None:
    bucket = s3.Bucket.from_bucket_name(stack, "Bucket", "models")
    data = ModelData.from_prefix(bucket, "llm")
    PyTorchModel(stack, "Model", model_data=data, framework_version="2.6")
    found = container(stack)
    assert "ModelDataUrl" not in found
    assert found["ModelDataSource"]["S3DataSource"] == {
        "S3Uri": "s3://models/llm/",
        "S3DataType": "S3Prefix",
        "CompressionType": "None",
    }
    assert "models/llm/*" in str(statements("ModelRole"))


def test_uncompressed_model_data_get_source_code_in_a_copy(
    stack: Stack, inference_code: SourceCode, statements: Statements
) -> None:
    bucket = s3.Bucket.from_bucket_name(stack, "Bucket", "models")
    PyTorchModel(
        stack,
        "Model",
        model_data=ModelData.from_prefix(bucket, "llm/"),
        framework_version="2.6",
        source_code=inference_code,
    )
    ((logical_id, packaged),) = Template.from_stack(stack).find_resources("Custom::PackagedModel").items()
    assert packaged["Properties"]["model_data"] == "s3://models/llm/"
    assert str(packaged["Properties"]["output"]["Fn::Join"]).endswith("/model/']]")
    source = container(stack)["ModelDataSource"]["S3DataSource"]
    assert source["S3Uri"] == {"Fn::GetAtt": [logical_id, "ModelDataUrl"]}
    writes = [s for s in statements("CdkSagemakerPytorchModelPackager") if "s3:PutObject" in s["Action"]]
    assert all("models/llm" not in str(statement["Resource"]) for statement in writes)


def test_source_code_is_put_into_uncompressed_model_data_where_that_is_asked_for(
    stack: Stack, inference_code: SourceCode, statements: Statements
) -> None:
    bucket = s3.Bucket.from_bucket_name(stack, "Bucket", "models")
    PyTorchModel(
        stack,
        "Model",
        model_data=ModelData.from_prefix(bucket, "llm/", in_place=True),
        framework_version="2.6",
        source_code=inference_code,
    )
    ((_, packaged),) = Template.from_stack(stack).find_resources("Custom::PackagedModel").items()
    assert packaged["Properties"]["output"] == "s3://models/llm/"
    Template.from_stack(stack).resource_count_is("AWS::S3::Bucket", 0)
    changing = [
        s
        for s in statements("CdkSagemakerPytorchModelPackager")
        if "s3:PutObject" in s["Action"] or "s3:DeleteObject*" in s["Action"]
    ]
    assert "s3:DeleteObject*" in str(changing)
    assert all("models/llm/code/*" in str(statement["Resource"]) for statement in changing)


def test_other_source_code_in_place_makes_another_model(app: App, tmp_path: Path) -> None:
    stacks = [Stack(app, "First"), Stack(app, "Second")]
    for number, stack in enumerate(stacks):
        script = tmp_path / str(number) / "inference.py"
        script.parent.mkdir()
        script.write_text(f"def model_fn(model_dir):\n    return {number}\n")
        PyTorchModel(
            stack,
            "Model",
            model_data=ModelData.from_prefix(
                s3.Bucket.from_bucket_name(stack, "Bucket", "models"), "llm/", in_place=True
            ),
            framework_version="2.6",
            source_code=SourceCode.from_file(script),
        )
    first, second = (container(stack)["Environment"]["CDK_SAGEMAKER_PYTORCH_PACKAGED"] for stack in stacks)
    assert first != second


def test_a_packager_of_ones_own_packages(
    stack: Stack, model_data: ModelData, inference_code: SourceCode, statements: Statements
) -> None:
    key = kms.Key(stack, "Key")
    packager = ModelPackager(stack, "Own", encryption_key=key)
    PyTorchModel(
        stack,
        "Model",
        model_data=model_data,
        framework_version="2.6",
        source_code=inference_code,
        packager=packager,
    )
    template = Template.from_stack(stack)
    template.resource_count_is("AWS::Lambda::Function", 1)
    ((_, packaged),) = template.find_resources("Custom::PackagedModel").items()
    assert packaged["Properties"]["kms_key_id"] == stack.resolve(key.key_arn)
    assert any("kms:Decrypt" in s["Action"] for s in statements("ModelRole"))


def test_fails_when_uncompressed_model_data_are_for_an_old_version(
    stack: Stack, inference_code: SourceCode
) -> None:
    bucket = s3.Bucket.from_bucket_name(stack, "Bucket", "models")
    with pytest.raises(
        ConfigurationError, match=r"model_data must be a model\.tar\.gz for framework_version"
    ):
        PyTorchModel(
            stack,
            "Model",
            model_data=ModelData.from_prefix(bucket, "llm/"),
            framework_version="1.1",
            source_code=inference_code,
        )


def test_a_version_of_an_object_is_copied(stack: Stack) -> None:
    bucket = s3.Bucket.from_bucket_name(stack, "Versions", "models")
    data = ModelData.from_bucket(bucket, "a/model.tar.gz", object_version="v1")
    PyTorchModel(stack, "Model", model_data=data, framework_version="2.6")
    ((_, packaged),) = Template.from_stack(stack).find_resources("Custom::PackagedModel").items()
    assert packaged["Properties"]["model_data"] == "s3://models/a/model.tar.gz"
    assert packaged["Properties"]["model_data_version"] == "v1"


def test_fails_when_a_version_is_no_text(stack: Stack) -> None:
    bucket = s3.Bucket.from_bucket_name(stack, "Versions", "models")
    with pytest.raises(ConfigurationError, match="object_version must be"):
        ModelData.from_bucket(bucket, "a/model.tar.gz", object_version=1)  # type: ignore[arg-type]
