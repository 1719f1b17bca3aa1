"""No value of a wrong type ends in a TypeError or an AttributeError from inside."""

import inspect
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import pytest
from aws_cdk import App, Stack
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_s3 as s3

from cdk_sagemaker_pytorch import (
    ArtifactsBucket,
    Checkpoints,
    Compute,
    ConfigurationError,
    ContainerImageError,
    Instances,
    ModelData,
    ModelPackager,
    Networking,
    OutputData,
    Processing,
    PyTorchDeployment,
    PyTorchEndpoint,
    PyTorchImage,
    PyTorchModel,
    PyTorchPipeline,
    PyTorchTrainingJob,
    SampleRequest,
    ServingContainer,
    SourceCode,
    TrainingInput,
    UnknownFrameworkVersionError,
)


class Odd:
    """What no parameter takes."""


VALUES = [Odd(), 3, 1.5, "x", b"x", ["x"], ("x",), {"x": 1}, {1: Odd()}, {"x"}, True]
OUR_ERRORS = (ConfigurationError, ContainerImageError, UnknownFrameworkVersionError)
Make = Callable[..., Any]


def job(stack: Stack, **options: Any) -> PyTorchTrainingJob:
    return PyTorchTrainingJob(stack, "Job", **{"framework_version": "2.13", **options})


def model(stack: Stack, **options: Any) -> PyTorchModel:
    data = ModelData.from_bucket(s3.Bucket.from_bucket_name(stack, "Models", "models"), "model.tar.gz")
    return PyTorchModel(stack, "Model", **{"model_data": data, "framework_version": "2.6", **options})


def endpoint(stack: Stack, **options: Any) -> PyTorchEndpoint:
    return PyTorchEndpoint(stack, "Endpoint", **{"model": model(stack), **options})


def pipeline(stack: Stack, **options: Any) -> PyTorchPipeline:
    return PyTorchPipeline(stack, "Pipeline", **{"training_job": job(stack), **options})


def deployment(stack: Stack, **options: Any) -> PyTorchDeployment:
    bucket = s3.Bucket.from_bucket_name(stack, "Models", "models")
    return PyTorchDeployment(
        stack, "Deployment", **{"framework_version": "2.13", "model_data_bucket": bucket, **options}
    )


def packager(stack: Stack, **options: Any) -> ModelPackager:
    return ModelPackager(stack, "Packager", **options)


CONSTRUCTS: dict[Make, type] = {
    job: PyTorchTrainingJob,
    model: PyTorchModel,
    endpoint: PyTorchEndpoint,
    deployment: PyTorchDeployment,
    pipeline: PyTorchPipeline,
    packager: ModelPackager,
}
GROUPS: list[tuple[Make, str, type]] = [
    (job, "compute", Compute),
    (job, "output", OutputData),
    (job, "checkpoints", Checkpoints),
    (job, "networking", Networking),
    (model, "container", ServingContainer),
    (endpoint, "instances", Instances),
    (packager, "processing", Processing),
]


def ends_well_or_in_our_words(app: App, make: Make, options: Callable[[Any], dict[str, Any]]) -> None:
    for number, value in enumerate(VALUES):
        try:
            make(Stack(app, f"Stack{number}"), **options(value))
        except OUR_ERRORS as error:
            assert str(error)  # noqa: PT017 - not every value is wrong


@pytest.mark.parametrize(
    ("make", "parameter"),
    [
        (make, parameter)
        for make, construct in CONSTRUCTS.items()
        for parameter in [*inspect.signature(construct.__init__).parameters][3:]  # type: ignore[misc]
    ],
)
def test_a_parameter(app: App, make: Make, parameter: str) -> None:
    ends_well_or_in_our_words(app, make, lambda value: {parameter: value})


@pytest.mark.parametrize(
    ("make", "parameter", "group", "field"),
    [(make, name, group, each.name) for make, name, group in GROUPS for each in fields(group)],
)
def test_a_field_of_a_group(app: App, make: Make, parameter: str, group: type, field: str) -> None:
    ends_well_or_in_our_words(app, make, lambda value: {parameter: group(**{field: value})})


@pytest.mark.parametrize("field", [each.name for each in fields(SampleRequest)])
def test_a_field_of_a_sample_request(app: App, field: str) -> None:
    def options(value: Any) -> dict[str, Any]:
        return {"sample_request": SampleRequest(**{"body": [[0.5]], field: value})}

    ends_well_or_in_our_words(app, deployment, options)


@pytest.mark.parametrize("field", [each.name for each in fields(TrainingInput)])
def test_a_field_of_an_input(app: App, field: str) -> None:
    def options(value: Any) -> dict[str, Any]:
        bucket = s3.Bucket.from_bucket_name(Stack(App(), "Other"), "Data", "my-data")
        return {"inputs": {"train": TrainingInput(**{"bucket": bucket, field: value})}}

    ends_well_or_in_our_words(app, job, options)


FACTORIES: list[tuple[Callable[..., Any], dict[str, Any]]] = [
    (ModelData.from_bucket, {"bucket": None, "object_key": "model.tar.gz"}),
    (ModelData.from_prefix, {"bucket": None, "prefix": "llm/"}),
    (ModelData.from_archive, {"path": "model.tar.gz"}),
    (ModelData.from_directory, {"path": "model"}),
    (
        ModelData.from_training_job,
        {"training_job_name": "job-1", "output_bucket": None, "output_prefix": "x"},
    ),
    (SourceCode.from_directory, {"source_dir": ".", "entry_point": "x", "dependencies": [], "exclude": []}),
    (SourceCode.from_file, {"entry_point": "train.py", "dependencies": ()}),
    (SourceCode.from_s3, {"bucket": None, "object_key": "code.tar.gz", "entry_point": "train.py"}),
    (PyTorchImage.from_ecr_repository, {"repository": None, "tag": "v1"}),
    (PyTorchImage.training, {"framework_version": "2.13"}),
]


@pytest.mark.parametrize(
    ("factory", "parameter"), [(factory, name) for factory, options in FACTORIES for name in options]
)
def test_a_parameter_of_a_factory(app: App, factory: Callable[..., Any], parameter: str) -> None:
    stack = Stack(app, "Stack")
    bucket = s3.Bucket.from_bucket_name(stack, "Bucket", "my-bucket")
    repository = ecr.Repository.from_repository_name(stack, "Repository", "mine")
    given = {"bucket": bucket, "output_bucket": bucket, "repository": repository}
    (options,) = (options for each, options in FACTORIES if each == factory)
    options = {name: given.get(name, value) for name, value in options.items()}
    for value in VALUES:
        try:
            factory(**{**options, parameter: value})
        except OUR_ERRORS as error:
            assert str(error)  # noqa: PT017 - not every value is wrong


def test_an_artifacts_bucket(app: App) -> None:
    def make(stack: Stack, **options: Any) -> ArtifactsBucket:
        return ArtifactsBucket(stack, "Artifacts", **options)

    ends_well_or_in_our_words(app, make, lambda value: {"superseded_expiration": value})
