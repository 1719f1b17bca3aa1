import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdk_sagemaker_pytorch.images.container_image import ContainerImageError, image_uri
from cdk_sagemaker_pytorch.images.framework_version import FrameworkVersion
from cdk_sagemaker_pytorch.images.image_description import describe_image
from cdk_sagemaker_pytorch.images.image_table import image_table


@pytest.mark.parametrize(
    ("image", "version", "processor", "scope", "model_server"),
    [
        ("sagemaker-pytorch:1.1.0-cpu-py3", "1.1.0", "cpu", None, "flask"),
        ("pytorch-inference:1.5.0-gpu-py3", "1.5.0", "gpu", "inference", "mms"),
        ("pytorch-inference-eia:1.5-cpu-py3", "1.5.1", "cpu", "inference", "mms"),
        ("pytorch-inference:2.6.0-cpu-py312", "2.6.0", "cpu", "inference", "torchserve"),
        ("pytorch-inference:2.6-cpu-py312", "2.6.0", "cpu", "inference", "torchserve"),
        (
            "pytorch-inference:2.5.1-gpu-py311-cu124-ubuntu22.04-sagemaker",
            "2.5.1",
            "gpu",
            "inference",
            "torchserve",
        ),
        ("pytorch-inference-arm64:2.6.0-cpu-py312", "2.6.0", "graviton", "inference", "torchserve"),
        (
            "pytorch-inference-graviton:2.4.0-cpu-py311-ubuntu22.04-sagemaker",
            "2.4.0",
            "graviton",
            "inference",
            "torchserve",
        ),
        ("pytorch-training:2.8.0-gpu-py312", "2.8.0", "gpu", "training", None),
        ("pytorch:2.13.0-cu133-amzn2023-sagemaker", "2.13.0", "gpu", "training", None),
        ("pytorch:3.1.0-cpu-amzn2023-sagemaker", "3.1.0", "cpu", "training", None),
        ("ray:serve-ml-sagemaker-cpu-v1", None, "cpu", "inference", "ray"),
        ("ray:serve-ml-sagemaker-cuda-v1", None, "gpu", "inference", "ray"),
    ],
)
def test_what_an_image_says(
    image: str, version: str | None, processor: str, scope: str | None, model_server: str | None
) -> None:
    found = describe_image(f"763104351884.dkr.ecr.eu-west-1.amazonaws.com/{image}")
    assert found is not None
    assert (found.version, found.processor, found.scope, found.model_server) == (
        version,
        processor,
        scope,
        model_server,
    )
    assert (found.account, found.region) == ("763104351884", "eu-west-1")
    assert f"{found.repository}:{found.tag}" == image


def test_a_digest_may_follow() -> None:
    found = describe_image(
        f"763104351884.dkr.ecr.eu-west-1.amazonaws.com/pytorch-training:2.8.0-cpu-py312@sha256:{'0' * 64}"
    )
    assert found is not None
    assert found.tag == "2.8.0-cpu-py312"


@given(
    version=st.sampled_from(image_table().versions()),
    region=st.sampled_from(image_table().regions()),
    scope=st.sampled_from(["training", "inference"]),
    instance_type=st.sampled_from(["ml.m5.large", "ml.g5.xlarge", "ml.c7g.large"]),
)
def test_it_is_the_inverse_of_image_uri(version: str, region: str, scope: str, instance_type: str) -> None:
    try:
        uri = image_uri(version, region=region, scope=scope, instance_type=instance_type)  # type: ignore[arg-type]
    except ContainerImageError:
        return
    found = describe_image(uri)
    assert found is not None
    assert found.region == region
    assert found.version in (version, None)
    assert found.scope in (scope, None)
    if found.scope == "inference":
        assert found.model_server == FrameworkVersion.of(version).model_server


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "ubuntu",
        "pytorch/pytorch:2.6.0",
        "123456789012.dkr.ecr.eu-west-1.amazonaws.com/my-model:1",
        "763104351884.dkr.ecr.eu-west-1.amazonaws.com/pytorch-training",
        "763104351884.dkr.ecr.eu-west-1.amazonaws.com/tensorflow-inference:2.19.0-cpu",
    ],
)
def test_other_images_are_not_described(uri: str) -> None:
    assert describe_image(uri) is None


@given(st.text())
def test_any_text_is_read_without_an_error(uri: str) -> None:
    assert describe_image(uri) is None


@pytest.mark.parametrize(
    ("image", "passing"),
    [
        ("pytorch-training:2.6.0-cpu-py312", "shell"),
        ("pytorch-training:1.8.1-cpu-py36", "exec"),
        ("pytorch:2.13.0-cpu-amzn2023-sagemaker", "unknown"),
        ("pytorch:2.99.0-cpu-amzn2023-sagemaker", "unknown"),
    ],
)
def test_how_hyperparameters_reach_the_script(image: str, passing: str) -> None:
    described = describe_image(f"763104351884.dkr.ecr.us-east-1.amazonaws.com/{image}")
    assert described is not None
    assert described.argument_passing == passing


def test_only_images_for_accelerators_are_accelerated() -> None:
    registry = "763104351884.dkr.ecr.us-east-1.amazonaws.com"
    for row in image_table().rows:
        described = describe_image(f"{registry}/{row.repository}:1.5.1-cpu-py3")
        assert described is not None
        assert described.accelerated == row.repository.endswith("-eia")
