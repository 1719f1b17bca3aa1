"""The flat keywords of a pipeline."""

from dataclasses import dataclass

from cdk_sagemaker_pytorch.common.options import Options, Resource, Whole, option
from cdk_sagemaker_pytorch.packaging.model_packager import ModelPackager

__all__ = ["PipelineOptions"]


@dataclass(frozen=True, kw_only=True)
class PipelineOptions(Options):
    """Flat keywords of a pipeline, see `PyTorchPipeline`."""

    retain_versions: int = option(Whole(least=0), 1)
    packager: ModelPackager | None = option(Resource(attribute="package_states", wanted="a ModelPackager"))
