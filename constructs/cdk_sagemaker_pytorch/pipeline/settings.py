"""The flat keywords of a pipeline."""

from dataclasses import dataclass

from aws_cdk import RemovalPolicy

from cdk_sagemaker_pytorch.common.options import OfType, Options, Resource, Whole, option
from cdk_sagemaker_pytorch.packaging.model_packager import ModelPackager

__all__ = ["PipelineOptions"]


@dataclass(frozen=True, kw_only=True)
class PipelineOptions(Options):
    """Flat keywords of a pipeline, see `PyTorchPipeline`."""

    retain_versions: int = option(Whole(least=0), 1)
    removal_policy: RemovalPolicy = option(
        OfType(type=RemovalPolicy, wanted="a RemovalPolicy such as RemovalPolicy.RETAIN"),
        RemovalPolicy.DESTROY,
    )
    packager: ModelPackager | None = option(Resource(attribute="package_states", wanted="a ModelPackager"))
