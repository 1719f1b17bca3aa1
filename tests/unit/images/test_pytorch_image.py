import json
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App, CfnOutput, CfnParameter, Environment, Stack
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_iam as iam
from aws_cdk.assertions import Annotations, Match, Template

from cdk_sagemaker_pytorch.images.container_image import ContainerImageError
from cdk_sagemaker_pytorch.images.framework_version import FrameworkVersion, UnknownFrameworkVersionError
from cdk_sagemaker_pytorch.images.image_table import image_table
from cdk_sagemaker_pytorch.images.pytorch_image import PyTorchImage, PyTorchImageConfig

WARNING = "cdk-sagemaker-pytorch:Image.endOfPatch"


def stack_in(region: str | None, today: str = "2026-11-22") -> Stack:
    app = App(context={"cdk-sagemaker-pytorch:today": today})
    return Stack(app, "Stack", env=Environment(account="111111111111", region=region) if region else None)


def role_in(stack: Stack) -> iam.Role:
    return iam.Role(stack, "Role", assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"))


def pull_and_login_statements(stack: Stack) -> list[dict[str, Any]]:
    policies = Template.from_stack(stack).find_resources("AWS::IAM::Policy")
    [policy] = policies.values()
    statements = policy["Properties"]["PolicyDocument"]["Statement"]
    return sorted(statements, key=lambda statement: isinstance(statement["Action"], str))


PULL = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]


@pytest.mark.parametrize(
    ("region", "uri", "arn"),
    [
        (
            "eu-west-1",
            "763104351884.dkr.ecr.eu-west-1.amazonaws.com/pytorch-training:2.10.0-cpu-py313",
            "arn:aws:ecr:eu-west-1:763104351884:repository/pytorch-training",
        ),
        (
            "us-gov-west-1",
            "442386744353.dkr.ecr.us-gov-west-1.amazonaws.com/pytorch-training:2.10.0-cpu-py313",
            "arn:aws-us-gov:ecr:us-gov-west-1:442386744353:repository/pytorch-training",
        ),
        (
            "cn-northwest-1",
            "727897471807.dkr.ecr.cn-northwest-1.amazonaws.com.cn/pytorch-training:2.10.0-cpu-py313",
            "arn:aws-cn:ecr:cn-northwest-1:727897471807:repository/pytorch-training",
        ),
    ],
)
def test_a_stack_with_a_region_has_a_plain_uri_and_may_pull_that_repository_alone(
    region: str, uri: str, arn: str
) -> None:
    stack = stack_in(region)
    config = PyTorchImage.training("2.10.0").bind(stack, instance_type="ml.m5.large")
    assert config.image_uri == uri
    config.grant_pull(role_in(stack)).assert_success()
    assert pull_and_login_statements(stack) == [
        {"Action": PULL, "Effect": "Allow", "Resource": arn},
        {"Action": "ecr:GetAuthorizationToken", "Effect": "Allow", "Resource": "*"},
    ]
    assert "Mappings" not in Template.from_stack(stack).to_json()


def test_an_environment_agnostic_stack_looks_the_account_up_by_region() -> None:
    stack = stack_in(None)
    config = PyTorchImage.training("2.6.0").bind(stack, instance_type="ml.g5.xlarge")
    CfnOutput(stack, "Uri", value=config.image_uri)
    config.grant_pull(role_in(stack))
    template = Template.from_stack(stack).to_json()

    [(name, mapping)] = template["Mappings"].items()
    account = {"Fn::FindInMap": [name, {"Ref": "AWS::Region"}, "account"]}
    row = image_table().find("training", "2.6.0")
    assert row is not None
    assert mapping == {region: {"account": account} for region, account in row.accounts.items()}
    assert mapping["cn-north-1"] == {"account": "727897471807"}
    assert mapping["us-gov-east-1"] == {"account": "446045086412"}
    assert "us-iso-east-1" not in mapping, "which has no image of this version"
    assert template["Outputs"]["Uri"]["Value"] == {
        "Fn::Join": [
            "",
            [
                account,
                ".dkr.ecr.",
                {"Ref": "AWS::Region"},
                ".",
                {"Ref": "AWS::URLSuffix"},
                "/pytorch-training:2.6.0-gpu-py312",
            ],
        ]
    }
    assert pull_and_login_statements(stack)[0]["Resource"] == {
        "Fn::Join": [
            "",
            [
                "arn:",
                {"Ref": "AWS::Partition"},
                ":ecr:",
                {"Ref": "AWS::Region"},
                ":",
                account,
                ":repository/pytorch-training",
            ],
        ]
    }


def test_images_in_the_same_regions_share_one_mapping() -> None:
    stack = stack_in(None)
    for image in (
        PyTorchImage.training("2.10.0"),
        PyTorchImage.training("2.13.0"),
        PyTorchImage.inference("2.13.0"),
        PyTorchImage.inference("1.5", accelerator_type="ml.eia2.medium"),
    ):
        CfnOutput(
            stack,
            f"Uri{len(stack.node.children)}",
            value=image.bind(stack, instance_type="ml.m5.large").image_uri,
        )
    assert len(Template.from_stack(stack).to_json()["Mappings"]) == 2


@pytest.mark.parametrize(
    ("image", "instance_type", "name", "version", "model_server"),
    [
        (PyTorchImage.training("2.13"), "ml.g5.xlarge", "pytorch:2.13-cu133-", "2.13.0", None),
        (PyTorchImage.training("2.14"), "ml.g5.xlarge", "pytorch:2.14-cu133-", "2.14.0", None),
        (PyTorchImage.training("1.5", py_version="py3"), "ml.m5.large", "1.5-cpu-py3", "1.5.0", None),
        (PyTorchImage.inference("2.6.0"), "ml.c7g.large", "-arm64:2.6.0-cpu", "2.6.0", "torchserve"),
        (PyTorchImage.inference("2.6.0"), None, "pytorch-inference:2.6.0-cpu", "2.6.0", "torchserve"),
        (PyTorchImage.inference("2.12"), "ml.g6.xlarge", "ray:serve-ml-sagemaker-cuda", "2.12.1", "ray"),
        (
            PyTorchImage.inference("1.5", accelerator_type="ml.eia1.large"),
            "ml.m5.large",
            "pytorch-inference-eia:1.5-cpu-py3",
            "1.5.1",
            "mms",
        ),
        (
            PyTorchImage.inference(FrameworkVersion.of("3.0.0", training_py_versions=["py314"])),
            "ml.m5.large",
            "ray:serve-ml-sagemaker-cpu",
            "3.0.0",
            "ray",
        ),
    ],
)
def test_the_image_is_chosen_when_it_is_bound(
    image: PyTorchImage, instance_type: str | None, name: str, version: str, model_server: str | None
) -> None:
    config = image.bind(stack_in("eu-west-1"), instance_type=instance_type)
    assert name in config.image_uri
    assert config.framework_version is not None
    assert config.framework_version.full == version
    assert config.model_server == model_server


def test_an_image_of_ones_own_comes_from_its_repository() -> None:
    stack = stack_in("eu-west-1")
    repository = ecr.Repository(stack, "Repository")
    image = PyTorchImage.from_ecr_repository(repository, "v1", framework_version="2.6")
    config = image.bind(stack, instance_type="ml.m5.large")
    config.grant_pull(role_in(stack))
    assert stack.resolve(config.image_uri) == stack.resolve(repository.repository_uri_for_tag("v1"))
    assert config.framework_version == FrameworkVersion.of("2.6.0")
    assert config.model_server is None
    pull, login = pull_and_login_statements(stack)
    assert login == {"Action": "ecr:GetAuthorizationToken", "Effect": "Allow", "Resource": "*"}
    assert sorted(pull["Action"]) == PULL
    assert pull["Resource"] == stack.resolve(repository.repository_arn)


def test_an_image_of_ones_own_need_not_say_its_version() -> None:
    stack = stack_in("eu-west-1")
    repository = ecr.Repository.from_repository_name(stack, "Repository", "mine")
    digest = f"sha256:{'0' * 64}"
    config = PyTorchImage.from_ecr_repository(repository, digest).bind(stack, instance_type=None)
    assert config.framework_version is None
    assert stack.resolve(config.image_uri) == stack.resolve(repository.repository_uri_for_digest(digest))


@pytest.mark.parametrize(
    ("instance_type", "platform"), [("ml.m5.large", "linux/amd64"), ("ml.c7g.large", "linux/arm64")]
)
def test_a_directory_is_built_for_the_processor(tmp_path: Path, instance_type: str, platform: str) -> None:
    directory = tmp_path / "image"
    directory.mkdir()
    (directory / "Dockerfile.serve").write_text("FROM scratch\n")
    app = App(outdir=str(tmp_path / "cdk.out"))
    stack = Stack(app, "Stack", env=Environment(account="111111111111", region="eu-west-1"))
    image = PyTorchImage.from_asset(directory, file="Dockerfile.serve", build_args={"VERSION": "1"})
    config = image.bind(stack, instance_type=instance_type)
    config.grant_pull(role_in(stack))
    assert "/cdk-hnb659fds-container-assets-" in str(stack.resolve(config.image_uri))
    assert sorted(pull_and_login_statements(stack)[0]["Action"]) == PULL
    assets = json.loads((Path(app.synth().directory) / "Stack.assets.json").read_text())
    [image_asset] = assets["dockerImages"].values()
    assert image_asset["source"]["platform"] == platform
    assert image_asset["source"]["dockerFile"] == "Dockerfile.serve"
    assert image_asset["source"]["dockerBuildArgs"] == {"VERSION": "1"}


def bind_on(today: str, image: PyTorchImage, instance_type: str = "ml.m5.large") -> Stack:
    stack = stack_in("eu-west-1", today)
    config: PyTorchImageConfig = image.bind(stack, instance_type=instance_type)
    CfnOutput(stack, "Uri", value=config.image_uri)
    return stack


def test_a_version_past_its_end_of_patch_warns_with_the_day_and_the_next_choice() -> None:
    stack = bind_on("2026-11-22", PyTorchImage.training("2.6.0"))
    Annotations.from_stack(stack).has_warning(
        "/Stack",
        "pytorch-training:2.6.0-cpu-py312 gets no security patches since 2026-01-29; the next version with "
        f"an image that gets them is 2.10.0 [ack: {WARNING}]",
    )


def test_the_warning_says_when_nothing_newer_exists() -> None:
    stack = bind_on("2026-11-22", PyTorchImage.inference("2.6.0"), "ml.c7g.large")
    Annotations.from_stack(stack).has_warning(
        "/Stack",
        Match.string_like_regexp("no newer graviton image gets them, choose another kind of instance"),
    )


@pytest.mark.parametrize(
    ("today", "image"),
    [
        ("2026-01-29", PyTorchImage.training("2.6.0")),
        ("2026-06-30", PyTorchImage.inference("2.6.0")),
        ("2026-11-22", PyTorchImage.training("2.10.0")),
        ("2099-01-01", PyTorchImage.inference("2.10.0")),
    ],
)
def test_no_warning_until_the_last_day_has_passed(today: str, image: PyTorchImage) -> None:
    Annotations.from_stack(bind_on(today, image)).has_no_warning("*", Match.any_value())


def test_the_clock_decides_where_the_context_does_not() -> None:
    stack = Stack(App(), "Stack")
    PyTorchImage.training("2.6.0").bind(stack, instance_type="ml.m5.large")
    assert Annotations.from_stack(stack).find_warning("*", Match.string_like_regexp(WARNING))


@pytest.mark.parametrize("today", ["tomorrow", "2026-13-01", 20261122])
def test_fails_when_the_day_in_the_context_is_none(today: object) -> None:
    stack = Stack(App(context={"cdk-sagemaker-pytorch:today": today}), "Stack")
    with pytest.raises(ValueError, match=r"must be a day such as 2026-11-22, got"):
        PyTorchImage.training("2.6.0").bind(stack, instance_type="ml.m5.large")


def test_fails_when_the_version_is_unknown() -> None:
    for make in (PyTorchImage.training, PyTorchImage.inference):
        with pytest.raises(UnknownFrameworkVersionError, match=r"got '9\.9'"):
            make("9.9")


def test_fails_when_the_region_does_not_have_the_image() -> None:
    with pytest.raises(ContainerImageError, match=r"region must be one that has the image: .* us-iso-east-1"):
        PyTorchImage.training("2.6.0").bind(stack_in("us-iso-east-1"), instance_type="ml.m5.large")


def test_fails_when_there_is_no_image_for_the_instance_type() -> None:
    with pytest.raises(ContainerImageError, match=r"ml\.inf2\.xlarge needs a Neuron image"):
        PyTorchImage.inference("2.6.0").bind(stack_in("eu-west-1"), instance_type="ml.inf2.xlarge")


def test_fails_when_the_instance_type_is_a_token() -> None:
    stack = stack_in("eu-west-1")
    parameter = CfnParameter(stack, "InstanceType")
    with pytest.raises(ContainerImageError, match=r"instance_type must be known at synthesis .* got a token"):
        PyTorchImage.training("2.6.0").bind(stack, instance_type=parameter.value_as_string)


def test_fails_when_there_is_no_dockerfile(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"directory must hold the Dockerfile, found no .*Dockerfile"):
        PyTorchImage.from_asset(tmp_path)
