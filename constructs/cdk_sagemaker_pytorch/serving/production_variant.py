"""The production variant that an endpoint configuration has."""

from dataclasses import dataclass
from typing import Any

from aws_cdk import aws_sagemaker as sagemaker

from cdk_sagemaker_pytorch.common.api_request import cloudformation_properties
from cdk_sagemaker_pytorch.common.option_kinds import InstanceType, Whole
from cdk_sagemaker_pytorch.common.options import Options, option
from cdk_sagemaker_pytorch.common.problems import Problems
from cdk_sagemaker_pytorch.common.tokens import is_token
from cdk_sagemaker_pytorch.images.container_image import processor_of
from cdk_sagemaker_pytorch.images.framework_version import FrameworkVersion

from .settings import Instances

__all__ = ["ProductionVariant"]

# The Ray Serve container's CUDA needs the driver of this image.
_RAY_GPU_AMI = "al2-ami-sagemaker-inference-gpu-3-1"


@dataclass(frozen=True, kw_only=True)
class ProductionVariant(Options):
    """A model on a number of instances.

    Attributes
    ----------
    model_name : str
        Name of the model: a string, a token, or JSONata.
    framework_version : FrameworkVersion
        PyTorch version of its container.
    instance_type : str
        Instance type.
    initial_instance_count : int
        Number of instances to start with.
    accelerator_type : str, optional
        Elastic Inference accelerator. Defaults to none.
    instances : Instances
        What else the instances are given.
    """

    model_name: str
    framework_version: FrameworkVersion
    instance_type: str = option(InstanceType("InstanceType", "ProductionVariantInstanceType"), "ml.m5.large")
    initial_instance_count: int = option(Whole("InitialInstanceCount", "InitialTaskCount"), 1)
    accelerator_type: str | None = None
    instances: Instances

    def check(self, problems: Problems, name: str = "") -> None:
        """Note what is wrong with the instances.

        Parameters
        ----------
        problems : Problems
            Gets the findings.
        name : str, optional
            Name of the group. Defaults to none: its parameters are flat keywords.
        """
        super().check(problems, name)
        self.instances.check_with(problems, "instances", self.instance_type)

    def members(self) -> dict[str, Any]:
        """Write it as the API's ``ProductionVariant``."""
        members = {**self.instances.members(), "ModelName": self.model_name, **super().members()}
        members["InitialVariantWeight"] = 1
        if self.accelerator_type is not None:
            members["AcceleratorType"] = self.accelerator_type
        is_known = not is_token(self.instance_type)
        if (
            is_known
            and self.framework_version.model_server == "ray"
            and processor_of(self.instance_type) == "gpu"
        ):
            members["InferenceAmiVersion"] = _RAY_GPU_AMI
        return members

    def render_cloudformation(self) -> sagemaker.CfnEndpointConfig.ProductionVariantProperty:
        """Render for CloudFormation."""
        return sagemaker.CfnEndpointConfig.ProductionVariantProperty(
            **cloudformation_properties(self.members())
        )
