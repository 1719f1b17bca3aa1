"""Rules of Elastic Inference accelerators.

AWS announced the end of Elastic Inference on 2023-02-15 and admits no new customers since
2023-04-15. It is supported as specified, for accounts that still have it, and always warned about.
"""

from aws_cdk import Acknowledgment, Annotations, Validations
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from cdk_sagemaker_pytorch.common.problems import Problems
from cdk_sagemaker_pytorch.images.container_image import ACCELERATOR_TYPES, processor_of
from cdk_sagemaker_pytorch.images.framework_version import FrameworkVersion

__all__ = ["acknowledge_accelerator", "check_accelerator", "warn_of_accelerator"]

_INSTEAD = "a Graviton instance such as ml.c7g.large, a GPU instance such as ml.g5.xlarge, or ml.inf2.xlarge"


def check_accelerator(
    problems: Problems, accelerator_type: str | None, framework_version: FrameworkVersion
) -> None:
    """Note what is wrong with an accelerator.

    Parameters
    ----------
    problems : Problems
        Gets the findings.
    accelerator_type : str or None
        The accelerator, if any.
    framework_version : FrameworkVersion
        PyTorch version of the serving container.
    """
    if accelerator_type is None:
        return
    problems.check(
        accelerator_type in ACCELERATOR_TYPES,
        f"accelerator_type must be one of {', '.join(ACCELERATOR_TYPES)}, got {accelerator_type}",
    )
    problems.check(
        framework_version.supports_elastic_inference,
        "accelerator_type needs framework_version 1.3.1 or 1.5.1,"
        f" the only ones with an Elastic Inference image, got {framework_version.full}",
    )


def warn_of_accelerator(scope: Construct, accelerator_type: str | None, instance_type: str) -> None:
    """Warn by id that an accelerator is asked for, and of an instance that cannot use one.

    Parameters
    ----------
    scope : Construct
        Carries the warnings.
    accelerator_type : str or None
        The accelerator, if any.
    instance_type : str
        The instance that it would be attached to.
    """
    if accelerator_type is None:
        return
    annotations = Annotations.of(scope)
    annotations.add_warning_v2(
        "cdk-sagemaker-pytorch:ElasticInference.discontinued",
        "Elastic Inference takes no new customers since 2023-04-15, and SageMaker may refuse"
        f" accelerator_type={accelerator_type}: use {_INSTEAD} instead",
    )
    if processor_of(instance_type) != "cpu":
        annotations.add_warning_v2(
            "cdk-sagemaker-pytorch:ElasticInference.instanceType",
            f"an accelerator is attached to x86 CPU instances, got {instance_type}",
        )


def acknowledge_accelerator(config: sagemaker.CfnEndpointConfig) -> None:
    """Tell the CDK's template validation that the accelerator is meant: its schema has dropped it."""
    Validations.of(config).acknowledge(
        Acknowledgment(
            id="CloudFormation-Validate::F3002",
            reason="accelerator_type was asked for; see the warning ElasticInference.discontinued",
        )
    )
