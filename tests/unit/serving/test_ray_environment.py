from typing import Any

import pytest
from aws_cdk import Stack
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_s3 as s3
from aws_cdk.assertions import Template

from cdk_sagemaker_pytorch import ModelData, PyTorchImage, PyTorchModel
from cdk_sagemaker_pytorch.serving.inference_code import OWN_VARIABLES
from cdk_sagemaker_pytorch.serving.ray_environment import ray_environment

HAPROXY = "RAY_SERVE_ENABLE_HA_PROXY"


@pytest.mark.parametrize(
    ("tag", "has_haproxy"),
    [
        ("serve-ml-sagemaker-cpu-v1", True),  # the newest of 1
        ("serve-ml-sagemaker-cuda-v2", True),
        ("serve-ml-sagemaker-cpu-v1.4", True),
        ("serve-ml-sagemaker-cpu-v1.10", True),
        ("serve-ml-sagemaker-cuda-v2.0", True),
        ("serve-ml-sagemaker-cpu-v1.0", False),
        ("serve-ml-sagemaker-cuda-v1.3", False),
        ("latest", False),
        (None, False),
    ],
)
def test_haproxy_is_switched_on_where_the_image_has_it(tag: str | None, has_haproxy: bool) -> None:
    found = ray_environment(tag)

    assert (found.get(HAPROXY) == "1") is has_haproxy
    # What else is set is for HAProxy, or harmless without it.
    assert has_haproxy or set(found) == {
        "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH",
        "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S",
    }


def variables(stack: Stack, **options: Any) -> dict[str, str]:
    bucket = s3.Bucket.from_bucket_name(stack, "Bucket", "models")
    data = ModelData.from_bucket(bucket, "model.tar.gz")
    PyTorchModel(stack, "Model", model_data=data, framework_version="2.13", **options)
    [model] = Template.from_stack(stack).find_resources("AWS::SageMaker::Model").values()
    found = model["Properties"]["PrimaryContainer"]["Environment"]
    assert isinstance(found, dict)
    return found


def test_a_model_on_awss_container_is_behind_haproxy(stack: Stack) -> None:
    from cdk_sagemaker_pytorch import ServingContainer, SourceCode

    found = variables(stack, source_code=SourceCode.bundled_inference(), container=ServingContainer())

    assert found[HAPROXY] == "1"
    assert len(found) + 2 <= OWN_VARIABLES  # and the two of ServingContainer


def test_a_user_switches_it_off(stack: Stack) -> None:
    from cdk_sagemaker_pytorch import SourceCode

    found = variables(stack, source_code=SourceCode.bundled_inference(), environment={HAPROXY: "0"})

    assert found[HAPROXY] == "0"
    # Nor do replicas listen then with nothing in front of them.
    assert found["RAY_SERVE_ENABLE_DIRECT_INGRESS"] == "0"


def test_an_older_release_of_the_container_keeps_ray_serves_proxy(stack: Stack) -> None:
    from cdk_sagemaker_pytorch import SourceCode

    repository = ecr.Repository.from_repository_name(stack, "Images", "ray")
    image = PyTorchImage.from_ecr_repository(repository, "serve-ml-sagemaker-cpu-v1.2")
    found = variables(stack, source_code=SourceCode.bundled_inference(), image=image)

    assert HAPROXY not in found
    assert found["SM_RAYSERVE_APP"]
