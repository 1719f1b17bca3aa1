import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import cdk_sagemaker_pytorch
from cdk_sagemaker_pytorch.images.container_image import (
    ContainerImageError,
    end_of_patch,
    find_image,
    image_uri,
    next_supported,
    registry_account,
)
from cdk_sagemaker_pytorch.images.framework_version import FrameworkVersion
from cdk_sagemaker_pytorch.images.image_table import image_table


@pytest.mark.parametrize(
    ("arguments", "uri"),
    [
        (
            {"framework_version": "2.6.0", "region": "eu-west-1", "instance_type": "ml.m5.large"},
            "763104351884.dkr.ecr.eu-west-1.amazonaws.com/pytorch-training:2.6.0-cpu-py312",
        ),
        (
            {"framework_version": "2.6", "region": "eu-west-1", "instance_type": "ml.g5.xlarge"},
            "763104351884.dkr.ecr.eu-west-1.amazonaws.com/pytorch-training:2.6-gpu-py312",
        ),
        (
            {
                "framework_version": "1.5.0",
                "region": "us-west-2",
                "instance_type": "ml.p3.2xlarge",
                "py_version": "py3",
            },
            "763104351884.dkr.ecr.us-west-2.amazonaws.com/pytorch-training:1.5.0-gpu-py3",
        ),
        (
            {"framework_version": "1.1.0", "region": "af-south-1", "instance_type": "ml.m5.large"},
            "313743910680.dkr.ecr.af-south-1.amazonaws.com/sagemaker-pytorch:1.1.0-cpu-py3",
        ),
        (
            {"framework_version": "2.8.0", "region": "cn-north-1", "instance_type": "ml.m5.large"},
            "727897471807.dkr.ecr.cn-north-1.amazonaws.com.cn/pytorch-training:2.8.0-cpu-py312",
        ),
        (
            {"framework_version": "2.10.0", "region": "us-gov-east-1", "instance_type": "ml.g5.xlarge"},
            "446045086412.dkr.ecr.us-gov-east-1.amazonaws.com/pytorch-training:2.10.0-gpu-py313",
        ),
        (
            {"framework_version": "2.12.1", "region": "us-east-1", "instance_type": "ml.m5.large"},
            "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch:2.12.1-cpu-amzn2023-sagemaker",
        ),
        (
            {"framework_version": "2.13.0", "region": "me-west-1", "instance_type": "ml.g6.xlarge"},
            "124382933778.dkr.ecr.me-west-1.amazonaws.com/pytorch:2.13.0-cu133-amzn2023-sagemaker",
        ),
        (
            {"framework_version": "1.6.0", "region": "us-east-1", "instance_type": "ml.p4d.24xlarge"},
            "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:1.6.0-gpu-py36-cu110-ubuntu18.04",
        ),
        (
            {"framework_version": "2.6.0", "region": "us-east-1", "scope": "inference"},
            "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-inference:2.6.0-cpu-py312",
        ),
        (
            {
                "framework_version": "2.6.0",
                "region": "us-east-1",
                "scope": "inference",
                "instance_type": "ml.c7g.large",
            },
            "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-inference-arm64:2.6.0-cpu-py312",
        ),
        (
            {
                "framework_version": "2.7.1",
                "region": "us-east-1",
                "scope": "inference",
                "instance_type": "ml.m5.large",
            },
            "763104351884.dkr.ecr.us-east-1.amazonaws.com/ray:serve-ml-sagemaker-cpu-v1",
        ),
        (
            {
                "framework_version": "1.5",
                "region": "us-east-1",
                "scope": "inference",
                "instance_type": "ml.m5.large",
                "accelerator_type": "ml.eia2.medium",
            },
            "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-inference-eia:1.5-cpu-py3",
        ),
    ],
)
def test_the_documented_image(arguments: dict[str, Any], uri: str) -> None:
    assert image_uri(**arguments) == uri


def test_a_resolved_version_gives_the_full_tag() -> None:
    uri = image_uri(FrameworkVersion.of("2.6"), region="eu-west-1", instance_type="ml.m5.large")
    assert uri.endswith(":2.6.0-cpu-py312")


def test_a_resolved_version_gives_the_patch_that_the_family_has() -> None:
    accelerated = find_image(FrameworkVersion.of("1.5"), scope="inference", accelerator_type="ml.eia2.medium")
    graviton = find_image(FrameworkVersion.of("2.2"), scope="inference", instance_type="ml.c7g.large")
    assert accelerated.tag == "1.5.1-cpu-py3"
    assert graviton.tag.startswith("2.2.1-cpu-py310")


@given(version=st.sampled_from(image_table().versions("training")), data=st.data())
def test_every_region_of_a_version_has_its_account_in_the_uri(version: str, data: st.DataObject) -> None:
    image = find_image(version, instance_type="ml.m5.large")
    region = data.draw(st.sampled_from(sorted(image.accounts)))
    account = registry_account(region, framework_version=version)
    assert image.uri(region).startswith(f"{account}.dkr.ecr.{region}.")
    assert image.repository_arn(region).endswith(f":ecr:{region}:{account}:repository/{image.repository}")


def test_what_an_image_says_of_itself() -> None:
    image = find_image(
        "1.5", scope="inference", instance_type="ml.m5.large", accelerator_type="ml.eia2.medium"
    )
    assert image.framework_version.full == "1.5.1"
    assert (image.family, image.processor, image.py_version) == ("eia", "cpu", "py3")
    assert image.model_server == "mms"
    assert find_image("2.6", scope="inference").model_server == "torchserve"
    assert find_image("2.6", instance_type="ml.m5.large").model_server is None


def test_end_of_patch_by_scope() -> None:
    assert end_of_patch("2.6.0") == date(2026, 1, 29)
    assert end_of_patch("2.6.0", scope="inference") == date(2026, 6, 30)
    assert end_of_patch("2.7.1", scope="inference") is None, "none is announced for Ray Serve"


def test_the_next_supported_version() -> None:
    image = find_image("2.6.0", instance_type="ml.m5.large")
    found = {
        day: (successor := next_supported(image, date.fromisoformat(day))) and successor.full
        for day in ("2026-04-23", "2026-04-24", "2026-11-22", "2027-07-20", "2027-09-28", "2027-09-29")
    }
    assert found == {
        "2026-04-23": "2.7.1",
        "2026-04-24": "2.8.0",
        "2026-11-22": "2.10.0",
        "2027-07-20": "2.13.0",
        "2027-09-28": "2.14.0",
        "2027-09-29": None,
    }


def test_the_next_supported_inference_version_is_one_that_can_also_train() -> None:
    image = find_image("2.6.0", scope="inference")
    successor = next_supported(image, date(2026, 11, 22))
    assert successor is not None
    assert successor.full == "2.10.0"


def declared() -> FrameworkVersion:
    return FrameworkVersion.of(
        "3.0.0",
        training_py_versions=["py314"],
        end_of_patch=date(2029, 1, 1),
        training_images={"cpu": "pytorch:3.0.0-cpu-amzn2023-sagemaker"},
    )


def test_a_declared_version_has_its_declared_image() -> None:
    image = find_image(declared(), instance_type="ml.m5.large")
    assert (
        image.uri("cn-north-1")
        == "727897471807.dkr.ecr.cn-north-1.amazonaws.com.cn/pytorch:3.0.0-cpu-amzn2023-sagemaker"
    )
    assert image.end_of_patch == date(2029, 1, 1)
    assert image.framework_version == declared()


def test_a_declared_patch_of_a_known_minor_has_its_own_image() -> None:
    version = FrameworkVersion.of(
        "2.13.9", training_py_versions=["py312"], training_images={"cpu": "pytorch:2.13.9-cpu"}
    )
    assert find_image(version, instance_type="ml.m5.large").tag == "2.13.9-cpu"


def test_a_declared_version_is_served_by_ray() -> None:
    image = find_image(declared(), scope="inference", instance_type="ml.g5.xlarge")
    assert (image.repository, image.tag) == ("ray", "serve-ml-sagemaker-cuda-v1")
    assert image.framework_version == declared()


def test_fails_when_a_declared_version_has_no_image_for_the_processor() -> None:
    with pytest.raises(ContainerImageError, match=r"training_images of 3.0.0 must have one for gpu"):
        find_image(declared(), instance_type="ml.g5.xlarge")


def test_fails_when_a_version_is_declared_without_images() -> None:
    version = FrameworkVersion.of("3.0.0", training_py_versions=["py314"])
    with pytest.raises(ContainerImageError, match=r"got 3.0.0, declared without training_images"):
        find_image(version, instance_type="ml.m5.large")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"framework_version": "9.9"}, "framework_version must be one of 0.4.0, .* got '9.9'"),
        ({"framework_version": "1.5.1"}, "must be one that has an image for training: 0.4.0, .*; got 1.5.1"),
        ({"instance_type": "m5.large"}, "instance_type must be .* such as ml.m5.large, got m5.large"),
        ({"instance_type": None}, "instance_type is needed for training, such as ml.m5.large, got None"),
        ({"instance_type": "ml.c6g.large"}, "ml.c6g.large has a Graviton processor, .* choose an x86 type"),
        ({"instance_type": "ml.trn1.2xlarge"}, "ml.trn1.2xlarge needs a Neuron image.*from_ecr_repository"),
        ({"instance_type": "ml.p2.xlarge"}, "ml.p2.xlarge runs PyTorch before 1.13 only, .* 2.6.0; choose"),
        ({"py_version": "py27"}, "py_version must be py312 for training with PyTorch 2.6.0, got py27"),
        (
            {"framework_version": "1.5", "py_version": "py2"},
            "must be py3 or py36 for training with PyTorch 1.5.0",
        ),
        (
            {"region": "eu-nowhere-1"},
            "region must be one that has the image: af-south-1, .*; got eu-nowhere-1",
        ),
        ({"region": "us-iso-east-1"}, "region must be one that has the image: .*; got us-iso-east-1"),
        ({"scope": "serving"}, "scope must be training or inference, got serving"),
        (
            {"accelerator_type": "ml.eia2.medium"},
            "accelerator_type is for inference only, got ml.eia2.medium",
        ),
        (
            {"framework_version": "1.5", "scope": "inference", "accelerator_type": "ml.eia3.medium"},
            "accelerator_type must be one of ml.eia1.medium, .*, got ml.eia3.medium",
        ),
        (
            {
                "scope": "inference",
                "framework_version": "1.5",
                "instance_type": "ml.g5.xlarge",
                "accelerator_type": "ml.eia2.medium",
            },
            "accelerator_type needs an x86 instance_type without a GPU, got ml.g5.xlarge",
        ),
        (
            {"scope": "inference", "accelerator_type": "ml.eia2.medium"},
            "an image for Elastic Inference: 1.3.1, 1.5.1; got 2.6.0",
        ),
        (
            {"scope": "inference", "framework_version": "2.13.0", "instance_type": "ml.c7g.large"},
            "an image for Graviton inference: 1.12.1, .*, 2.6.0; got 2.13.0",
        ),
    ],
)
def test_fails_when_there_is_no_such_image(arguments: dict[str, Any], message: str) -> None:
    asked = {"framework_version": "2.6.0", "region": "eu-west-1", "instance_type": "ml.m5.large", **arguments}
    with pytest.raises(ContainerImageError, match=message) as raised:
        image_uri(**asked)
    assert len(raised.value.problems) == 1


def test_fails_when_several_things_are_wrong_and_names_them_all() -> None:
    with pytest.raises(ContainerImageError) as raised:
        image_uri(
            "1.5",
            region="eu-nowhere-1",
            instance_type="ml.c6g.large",
            py_version="py38",
            accelerator_type="ml.eia9.medium",
        )
    named = [problem.split()[0] for problem in raised.value.problems]
    assert named == [
        "instance_type",
        "accelerator_type",
        "accelerator_type",
        "accelerator_type",
        "py_version",
        "region",
    ]


def test_fails_when_the_registry_of_a_region_is_unknown() -> None:
    with pytest.raises(ContainerImageError, match=r"got us-iso-east-1"):
        registry_account("us-iso-east-1", framework_version="2.6.0")
    with pytest.raises(ContainerImageError, match=r"got '9.9'"):
        registry_account("us-east-1", framework_version="9.9")
    with pytest.raises(ContainerImageError, match=r"got 1.5.1"):
        end_of_patch("1.5.1")
    with pytest.raises(ContainerImageError, match=r"got us-iso-east-1"):
        find_image("2.6.0", instance_type="ml.m5.large").uri("us-iso-east-1")


def test_importing_and_answering_starts_neither_jsii_nor_the_cdk() -> None:
    program = (
        "import sys\n"
        "from cdk_sagemaker_pytorch import image_uri\n"
        "image_uri('2.6.0', region='eu-west-1', instance_type='ml.m5.large')\n"
        "print([name for name in sys.modules if name.split('.')[0] in ('jsii', 'aws_cdk', 'constructs')])\n"
    )
    source_root = Path(cdk_sagemaker_pytorch.__file__).parent.parent
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=source_root, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
