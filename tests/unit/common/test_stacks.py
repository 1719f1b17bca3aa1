"""Parts in several stacks: what cannot be deployed is told before the CDK finds a cycle."""

import pytest
from aws_cdk import App, Stack
from aws_cdk import aws_s3 as s3

from cdk_sagemaker_pytorch import (
    ArtifactsBucket,
    ConfigurationError,
    ModelData,
    PyTorchEndpoint,
    PyTorchModel,
    PyTorchPipeline,
    PyTorchTrainingJob,
    TrainingInput,
)


def pipeline(job_stack: Stack, stack: Stack, data: s3.IBucket) -> None:
    inputs = {"train": TrainingInput.from_bucket(data)}
    job = PyTorchTrainingJob(job_stack, "Job", framework_version="2.13", inputs=inputs)
    PyTorchPipeline(stack, "Pipeline", training_job=job)


def endpoint(model_stack: Stack, stack: Stack, data: s3.IBucket) -> None:
    model_data = ModelData.from_bucket(data, "model.tar.gz")
    model = PyTorchModel(model_stack, "Model", framework_version="2.6", model_data=model_data)
    PyTorchEndpoint(stack, "Endpoint", model=model)


@pytest.mark.parametrize("make", [pipeline, endpoint])
def test_fails_when_two_stacks_would_need_each_other(app: App, make: type) -> None:
    first, second = Stack(app, "First"), Stack(app, "Second")
    data = ArtifactsBucket(second, "Data")
    with pytest.raises(ConfigurationError, match="in stack First and use Second/Data of stack Second"):
        make(first, second, data)


@pytest.mark.parametrize("make", [pipeline, endpoint])
def test_stacks_that_need_each_other_one_way_are_deployed_in_order(app: App, make: type) -> None:
    first, second = Stack(app, "First"), Stack(app, "Second")
    make(first, second, ArtifactsBucket(Stack(app, "Third"), "Data"))
    app.synth()


@pytest.mark.parametrize("make", [pipeline, endpoint])
def test_an_imported_bucket_is_of_no_stack(app: App, make: type) -> None:
    first, second = Stack(app, "First"), Stack(app, "Second")
    make(first, second, s3.Bucket.from_bucket_name(second, "Data", "my-data"))
    app.synth()
