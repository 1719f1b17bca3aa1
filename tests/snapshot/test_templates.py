"""One template of each construct as it is by default, and one with every option."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import Duration, RemovalPolicy, Size, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_stepfunctions as sfn

from cdk_sagemaker_pytorch import (
    ArtifactsBucket,
    Checkpoints,
    Compute,
    Instances,
    ModelData,
    ModelPackager,
    Networking,
    OutputData,
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
)

Check = Callable[[], None]


@pytest.fixture
def bucket(stack: Stack) -> s3.IBucket:
    return s3.Bucket.from_bucket_name(stack, "Bucket", "my-bucket")


@pytest.fixture
def inference_code(tmp_path: Path) -> SourceCode:
    (tmp_path / "inference.py").write_text("def model_fn(model_dir): ...\n")
    return SourceCode.from_file(tmp_path / "inference.py")


def test_artifacts_bucket_default(stack: Stack, matches_snapshot: Check) -> None:
    ArtifactsBucket(stack, "Artifacts")
    matches_snapshot()


def test_artifacts_bucket_full(stack: Stack, matches_snapshot: Check) -> None:
    ArtifactsBucket(
        stack,
        "Artifacts",
        encryption_key=kms.Key(stack, "Key"),
        versioned=True,
        superseded_expiration=Duration.days(30),
        removal_policy=RemovalPolicy.DESTROY,
    )
    matches_snapshot()


def test_training_job_default(stack: Stack, matches_snapshot: Check) -> None:
    job = PyTorchTrainingJob(stack, "Training", framework_version="2.13")
    sfn.StateMachine(stack, "Machine", definition_body=sfn.DefinitionBody.from_chainable(job))
    matches_snapshot()


def test_training_job_full(stack: Stack, bucket: s3.IBucket, matches_snapshot: Check) -> None:
    key = kms.Key(stack, "Key")
    job = PyTorchTrainingJob(
        stack,
        "Training",
        framework_version="2.6",
        source_code=SourceCode.bundled_training(),
        inputs={
            "train": TrainingInput.from_bucket(bucket, "train/", distribution="ShardedByS3Key"),
            "test": TrainingInput.from_bucket(bucket, "test/", content_type="text/csv"),
        },
        hyperparameters={"epochs": 3, "hidden-sizes": "64"},
        instance_type="ml.p3.2xlarge",
        instance_count=2,
        max_run=Duration.hours(1),
        compute=Compute(
            volume_size=Size.gibibytes(100),
            volume_key=key,
            use_spot_instances=True,
            max_wait=Duration.hours(2),
            maximum_retry_attempts=2,
        ),
        checkpoints=Checkpoints(prefix="checkpoints", local_path="/opt/ml/saved"),
        environment={"NCCL_DEBUG": "INFO"},
        metric_definitions={"loss": "loss=([0-9.]+)"},
        torch_distributed=True,
        output=OutputData(bucket=bucket, prefix="jobs", compress=False, key=key),
        networking=Networking(
            vpc=ec2.Vpc(stack, "Vpc", max_azs=1),
            enable_network_isolation=True,
            encrypt_inter_container_traffic=True,
        ),
        image=PyTorchImage.training(py_version="py312"),
    )
    sfn.StateMachine(stack, "Machine", definition_body=sfn.DefinitionBody.from_chainable(job))
    matches_snapshot()


def test_model_packager_default(stack: Stack, matches_snapshot: Check) -> None:
    ModelPackager(stack, "Packager")
    matches_snapshot()


def test_model_packager_full(stack: Stack, bucket: s3.IBucket, matches_snapshot: Check) -> None:
    packager = ModelPackager(
        stack,
        "Packager",
        memory_size=3008,
        timeout=Duration.minutes(5),
        architecture=lambda_.Architecture.X86_64,
        log_retention=logs.RetentionDays.ONE_WEEK,
        log_encryption_key=kms.Key(stack, "LogKey"),
        encryption_key=kms.Key(stack, "Key"),
        reserved_concurrent_executions=2,
        networking=Networking(vpc=ec2.Vpc(stack, "Vpc", max_azs=1)),
    )
    packager.grant_output(bucket, "models/*")
    matches_snapshot()


def test_model_default(stack: Stack, bucket: s3.IBucket, matches_snapshot: Check) -> None:
    data = ModelData.from_bucket(bucket, "model.tar.gz")
    PyTorchModel(stack, "Model", model_data=data, framework_version="2.13")
    matches_snapshot()


def test_model_full(
    stack: Stack, bucket: s3.IBucket, inference_code: SourceCode, matches_snapshot: Check
) -> None:
    PyTorchModel(
        stack,
        "Model",
        model_data=ModelData.from_training_job("job-1", output_bucket=bucket),
        framework_version="2.6",
        source_code=inference_code,
        instance_type="ml.c7g.large",
        environment={"LOG": "1"},
        container=ServingContainer(model_server_workers=2, response_timeout=Duration.seconds(30)),
        networking=Networking(vpc=ec2.Vpc(stack, "Vpc", max_azs=1), enable_network_isolation=True),
        image=PyTorchImage.inference(py_version="py312"),
        artifacts_bucket=bucket,
    )
    matches_snapshot()


def test_endpoint_default(stack: Stack, bucket: s3.IBucket, matches_snapshot: Check) -> None:
    data = ModelData.from_bucket(bucket, "model.tar.gz")
    model = PyTorchModel(stack, "Model", model_data=data, framework_version="2.13")
    PyTorchEndpoint(stack, "Endpoint", model=model)
    matches_snapshot()


def test_endpoint_full(stack: Stack, bucket: s3.IBucket, matches_snapshot: Check) -> None:
    model = PyTorchModel(
        stack,
        "Model",
        model_data=ModelData.from_bucket(bucket, "model.tar.gz"),
        framework_version="1.5.1",
        accelerator_type="ml.eia2.medium",
    )
    PyTorchEndpoint(
        stack,
        "Endpoint",
        model=model,
        instance_type="ml.c5.xlarge",
        initial_instance_count=2,
        accelerator_type="ml.eia2.medium",
        instances=Instances(
            variant_name="Blue",
            startup_timeout=Duration.minutes(5),
            model_data_download_timeout=Duration.minutes(10),
            volume_size=Size.gibibytes(50),
            volume_key=kms.Key(stack, "Key"),
        ),
        endpoint_name="digits",
    )
    matches_snapshot()


def full_serving(stack: Stack) -> dict[str, Any]:
    """Every option of what serves that a deployment and a pipeline share."""
    return {
        "instance_type": "ml.c7g.large",
        "initial_instance_count": 2,
        "instances": Instances(
            variant_name="Blue",
            startup_timeout=Duration.minutes(5),
            model_data_download_timeout=Duration.minutes(10),
            volume_size=Size.gibibytes(50),
            volume_key=kms.Key(stack, "Key"),
        ),
        "endpoint_name": "digits",
        "environment": {"LOG": "1"},
        "container": ServingContainer(model_server_workers=2, response_timeout=Duration.seconds(30)),
        "networking": Networking(vpc=ec2.Vpc(stack, "Vpc", max_azs=1), enable_network_isolation=True),
        "retain_versions": 2,
        "removal_policy": RemovalPolicy.RETAIN,
        "packager": ModelPackager(stack, "Packager"),
    }


def test_deployment_default(stack: Stack, bucket: s3.IBucket, matches_snapshot: Check) -> None:
    PyTorchDeployment(stack, "Deployment", framework_version="2.13", model_data_bucket=bucket)
    matches_snapshot()


def test_deployment_full(
    stack: Stack, bucket: s3.IBucket, inference_code: SourceCode, matches_snapshot: Check
) -> None:
    PyTorchDeployment(
        stack,
        "Deployment",
        model_data_bucket=bucket,
        framework_version="2.6",
        source_code=inference_code,
        **full_serving(stack),
        image=PyTorchImage.inference(py_version="py312"),
        sample_request=SampleRequest(
            body="1.0,2.0", content_type="text/csv", expected_shape=(1, 10), expected=[[0.1] * 10]
        ),
        artifacts_bucket=bucket,
        compressed=False,
        timeout=Duration.hours(12),
        adopt=True,
    )
    matches_snapshot()


def test_pipeline_default(stack: Stack, matches_snapshot: Check) -> None:
    job = PyTorchTrainingJob(stack, "Training", framework_version="2.13")
    PyTorchPipeline(stack, "Pipeline", training_job=job)
    matches_snapshot()


def test_pipeline_full(
    stack: Stack, bucket: s3.IBucket, inference_code: SourceCode, matches_snapshot: Check
) -> None:
    job = PyTorchTrainingJob(
        stack,
        "Training",
        framework_version="2.13",
        inputs={"train": TrainingInput.from_bucket(bucket, "train/")},
        output=bucket,
    )
    PyTorchPipeline(
        stack,
        "Pipeline",
        training_job=job,
        source_code=inference_code,
        framework_version="2.6",
        **full_serving(stack),
        sample_request=[[1.0]],
    )
    matches_snapshot()
