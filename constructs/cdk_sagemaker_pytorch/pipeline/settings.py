"""The flat keywords of a pipeline."""

from dataclasses import dataclass

from cdk_sagemaker_pytorch.common.options import IMAGE, SOURCE_CODE, Options, Resource, Whole, option
from cdk_sagemaker_pytorch.images.pytorch_image import PyTorchImage
from cdk_sagemaker_pytorch.packaging.model_packager import ModelPackager
from cdk_sagemaker_pytorch.source.source_code import SourceCode

__all__ = ["PipelineOptions"]


@dataclass(frozen=True, kw_only=True)
class PipelineOptions(Options):
    """Flat keywords of a pipeline, see `PyTorchPipeline`."""

    source_code: SourceCode | None = option(Resource(attribute="bind_inference", wanted=SOURCE_CODE))
    image: PyTorchImage | None = option(Resource(attribute="bind", wanted=IMAGE))
    retain_versions: int = option(Whole(least=0), 1)
    packager: ModelPackager | None = option(Resource(attribute="package_states", wanted="a ModelPackager"))
