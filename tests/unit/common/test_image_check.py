from pathlib import Path

import pytest
from aws_cdk import App, Stack
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_s3 as s3

from cdk_sagemaker_pytorch import (
    ConfigurationError,
    ModelData,
    PyTorchImage,
    PyTorchModel,
    PyTorchTrainingJob,
    SourceCode,
)
from cdk_sagemaker_pytorch.common.image_check import check_image
from cdk_sagemaker_pytorch.common.problems import Problems
from cdk_sagemaker_pytorch.images.framework_version import FrameworkVersion

EIA = "ml.eia2.medium"


def own(framework_version: str | None = None) -> PyTorchImage:
    repository = ecr.Repository.from_repository_name(Stack(), "Repository", "mine")
    return PyTorchImage.from_ecr_repository(repository, "v1", framework_version=framework_version)


@pytest.mark.parametrize(
    "image",
    [
        None,
        PyTorchImage.inference(),
        PyTorchImage.inference("1.5"),
        PyTorchImage.inference("1.5.0", py_version="py3"),
        PyTorchImage.inference("1.5.1", accelerator_type=EIA),
        own(),
        own("1.5.0"),
    ],
)
def test_an_image_fits(image: PyTorchImage | None) -> None:
    problems = Problems("Construct")
    version = FrameworkVersion.of("1.5.1")
    check_image(problems, image, family="inference", framework_version=version, accelerator_type=EIA)
    problems.raise_if_any()


@pytest.mark.parametrize(
    ("image", "problem"),
    [
        (
            PyTorchImage.training(),
            r"for inference, got AWS's image for training: use PyTorchImage.inference\(\)",
        ),
        (PyTorchImage.inference("2.6"), "of framework_version 2.13.0, .* got one of 2.6.0: change"),
        (own("2.6.0"), "got one of 2.6.0: change framework_version, or leave it out at the image"),
        (PyTorchImage.inference(accelerator_type=EIA), f"accelerator_type None, got one for {EIA}"),
    ],
)
def test_fails_where_an_image_contradicts_its_construct(image: PyTorchImage, problem: str) -> None:
    problems = Problems("Construct")
    check_image(problems, image, family="inference", framework_version=FrameworkVersion.of("2.13"))
    with pytest.raises(ConfigurationError, match=problem):
        problems.raise_if_any()


def test_a_model_names_the_image_that_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "inference.py").write_text("def model_fn(folder):\n    return None\n")
    stack = Stack(App(), "Stack")
    bucket = s3.Bucket.from_bucket_name(stack, "Bucket", "models")
    with pytest.raises(ConfigurationError, match=r"image must be of framework_version 2\.13\.0"):
        PyTorchModel(
            stack,
            "Model",
            model_data=ModelData.from_bucket(bucket, "model.tar.gz"),
            source_code=SourceCode.from_directory(tmp_path, entry_point="inference.py"),
            framework_version="2.13",
            image=PyTorchImage.inference("2.6"),
        )


def test_a_training_job_names_the_image_that_is_wrong() -> None:
    with pytest.raises(ConfigurationError) as caught:
        PyTorchTrainingJob(Stack(), "Job", framework_version="2.13", image=PyTorchImage.inference("1.5.0"))
    assert "image must be for training" in str(caught.value)
    assert "got one of 1.5.0" in str(caught.value)
