"""The production variant that an endpoint configuration has."""

from dataclasses import dataclass
from typing import Any

from aws_cdk import Duration
from aws_cdk import aws_sagemaker as sagemaker

from cdk_sagemaker_pytorch.common.problems import Problems
from cdk_sagemaker_pytorch.images.container_image import processor_of
from cdk_sagemaker_pytorch.images.framework_version import FrameworkVersion

__all__ = ["ProductionVariant"]

# The Ray Serve container's CUDA needs the driver of this image.
_RAY_GPU_AMI = "al2-ami-sagemaker-inference-gpu-3-1"


@dataclass(frozen=True, kw_only=True)
class ProductionVariant:
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
    variant_name : str
        Its name. Defaults to ``AllTraffic``, as in the SageMaker Python SDK.
    accelerator_type : str, optional
        Elastic Inference accelerator. Defaults to none.
    startup_timeout : Duration, optional
        How long the container may take until it answers its health check. Defaults to SageMaker's
        own.
    """

    model_name: str
    framework_version: FrameworkVersion
    instance_type: str
    initial_instance_count: int
    variant_name: str = "AllTraffic"
    accelerator_type: str | None = None
    startup_timeout: Duration | None = None

    def check(self, problems: Problems) -> None:
        """Note what is wrong with the instances.

        Parameters
        ----------
        problems : Problems
            Gets the findings.
        """
        problems.check_instance_type("instance_type", self.instance_type)
        problems.check_at_least("initial_instance_count", self.initial_instance_count, 1)
        if self.startup_timeout is not None:
            seconds = self.startup_timeout.to_seconds()
            problems.check(
                60 <= seconds <= 3600,
                f"startup_timeout must be from 60 to 3600 seconds, got {seconds}",
            )

    def render_api(self) -> dict[str, Any]:
        """Render for the SageMaker API."""
        return {
            "".join(word.capitalize() for word in name.split("_")): value
            for name, value in self._settings().items()
        }

    def render_cloudformation(self) -> sagemaker.CfnEndpointConfig.ProductionVariantProperty:
        """Render for CloudFormation."""
        return sagemaker.CfnEndpointConfig.ProductionVariantProperty(**self._settings())

    def _settings(self) -> dict[str, Any]:
        settings: dict[str, Any] = {
            "variant_name": self.variant_name,
            "model_name": self.model_name,
            "instance_type": self.instance_type,
            "initial_instance_count": self.initial_instance_count,
            "initial_variant_weight": 1,
        }
        if self.accelerator_type is not None:
            settings["accelerator_type"] = self.accelerator_type
        if self.startup_timeout is not None:
            settings["container_startup_health_check_timeout_in_seconds"] = self.startup_timeout.to_seconds()
        if self.framework_version.model_server == "ray" and processor_of(self.instance_type) == "gpu":
            settings["inference_ami_version"] = _RAY_GPU_AMI
        return settings
