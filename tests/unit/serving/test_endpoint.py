from collections.abc import Callable
from typing import Any

import pytest
from aws_cdk import Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk.assertions import Annotations, Match, Template

from cdk_sagemaker_pytorch import ConfigurationError, Instances, ModelData, PyTorchEndpoint, PyTorchModel


@pytest.fixture
def make_model(stack: Stack) -> Callable[..., PyTorchModel]:
    def make(**options: Any) -> PyTorchModel:
        bucket = s3.Bucket.from_bucket_name(stack, "Bucket", "models")
        data = ModelData.from_bucket(bucket, "model.tar.gz")
        return PyTorchModel(stack, "Model", model_data=data, **{"framework_version": "2.6", **options})

    return make


MakeModel = Callable[..., PyTorchModel]


def variant(stack: Stack) -> dict[str, Any]:
    configs = Template.from_stack(stack).find_resources("AWS::SageMaker::EndpointConfig")
    ((_, config),) = configs.items()
    (found,) = config["Properties"]["ProductionVariants"]
    assert isinstance(found, dict)
    return found


def model_id(stack: Stack) -> str:
    ((logical_id, _),) = Template.from_stack(stack).find_resources("AWS::SageMaker::Model").items()
    return logical_id


def test_defaults(stack: Stack, make_model: MakeModel) -> None:
    PyTorchEndpoint(stack, "Endpoint", model=make_model())
    assert variant(stack) == {
        "VariantName": "AllTraffic",
        "ModelName": {"Fn::GetAtt": [model_id(stack), "ModelName"]},
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
        "InitialVariantWeight": 1,
    }
    Template.from_stack(stack).has_resource_properties(
        "AWS::SageMaker::Endpoint", {"EndpointName": Match.absent()}
    )


def test_every_option(stack: Stack, make_model: MakeModel) -> None:
    PyTorchEndpoint(
        stack,
        "Endpoint",
        model=make_model(),
        instance_type="ml.c5.xlarge",
        initial_instance_count=3,
        instances=Instances(
            variant_name="Blue", startup_timeout=Duration.minutes(10), volume_key=kms.Key(stack, "Key")
        ),
        endpoint_name="digits",
    )
    found = variant(stack)
    assert found["InstanceType"] == "ml.c5.xlarge"
    assert found["InitialInstanceCount"] == 3
    assert found["VariantName"] == "Blue"
    assert found["ContainerStartupHealthCheckTimeoutInSeconds"] == 600
    template = Template.from_stack(stack)
    template.has_resource_properties("AWS::SageMaker::Endpoint", {"EndpointName": "digits"})
    template.has_resource_properties(
        "AWS::SageMaker::EndpointConfig", {"KmsKeyId": {"Fn::GetAtt": ["Key961B73FD", "Arn"]}}
    )


def test_ray_on_a_gpu_gets_the_machine_image_with_its_driver(stack: Stack, make_model: MakeModel) -> None:
    model = make_model(framework_version="2.13", instance_type="ml.g5.xlarge")
    PyTorchEndpoint(stack, "Endpoint", model=model)
    assert variant(stack)["InferenceAmiVersion"] == "al2-ami-sagemaker-inference-gpu-3-1"


def test_an_accelerator_is_attached_and_warned_about(stack: Stack, make_model: MakeModel) -> None:
    model = make_model(framework_version="1.5.1", accelerator_type="ml.eia2.medium")
    PyTorchEndpoint(stack, "Endpoint", model=model)
    assert variant(stack)["AcceleratorType"] == "ml.eia2.medium"
    Annotations.from_stack(stack).has_warning(
        "/Stack/Endpoint", Match.string_like_regexp("ElasticInference.discontinued")
    )


def test_fails_when_the_image_was_chosen_for_another_processor(stack: Stack, make_model: MakeModel) -> None:
    model = make_model(framework_version="1.5.1", accelerator_type="ml.eia2.medium")
    with pytest.raises(ConfigurationError, match="instance_type must have the processor"):
        PyTorchEndpoint(stack, "Endpoint", model=model, instance_type="ml.g4dn.xlarge")


def test_grant_invoke_is_for_this_endpoint_alone(
    stack: Stack, make_model: MakeModel, statements: Callable[[str], list[dict[str, Any]]]
) -> None:
    endpoint = PyTorchEndpoint(stack, "Endpoint", model=make_model())
    endpoint.grant_invoke(iam.Role(stack, "Caller", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com")))
    (statement,) = statements("Caller")
    assert statement["Action"] == [
        "sagemaker:InvokeEndpoint",
        "sagemaker:InvokeEndpointWithResponseStream",
    ]
    assert set(statement["Resource"]) == {"Ref"}


def test_metrics_are_the_variants(stack: Stack, make_model: MakeModel) -> None:
    endpoint = PyTorchEndpoint(
        stack, "Endpoint", model=make_model(), instances=Instances(variant_name="Blue")
    )
    metric = endpoint.metric("ModelLatency", statistic="p99")
    assert metric.namespace == "AWS/SageMaker"
    assert metric.statistic == "p99"
    assert metric.dimensions["VariantName"] == "Blue"  # type: ignore[index]


def test_fails_when_values_cannot_work_with_all_of_them(stack: Stack, make_model: MakeModel) -> None:
    model = make_model()
    with pytest.raises(ConfigurationError) as raised:
        PyTorchEndpoint(
            stack,
            "Endpoint",
            model=model,
            initial_instance_count=0,
            accelerator_type="ml.eia9.medium",
            instances=Instances(startup_timeout=Duration.seconds(5)),
        )
    assert [problem.split(" ")[0] for problem in raised.value.problems] == [
        "instances.startup_timeout",
        "initial_instance_count",
        "accelerator_type",
        "accelerator_type",
        "accelerator_type",
    ]
