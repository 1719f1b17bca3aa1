"""AWS CDK constructs that train, package and serve PyTorch models on Amazon SageMaker.

Names are imported when they are first used, so that the parts without CDK in them
(`image_uri`, `FrameworkVersion`, `Predictor`) do not start jsii.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .artifacts_bucket import ArtifactsBucket
    from .container_image import ContainerImageError, image_uri
    from .endpoint import PyTorchEndpoint
    from .framework_version import FrameworkVersion, UnknownFrameworkVersionError
    from .model import PyTorchModel
    from .model_data import ModelData
    from .model_packager import ModelPackager
    from .pipeline import PyTorchPipeline
    from .predictor import Predictor
    from .problems import ConfigurationError
    from .pytorch_image import PyTorchImage
    from .source_code import SourceCode
    from .training_input import TrainingInput
    from .training_job import PyTorchTrainingJob

__all__ = [
    "ArtifactsBucket",
    "ConfigurationError",
    "ContainerImageError",
    "FrameworkVersion",
    "ModelData",
    "ModelPackager",
    "Predictor",
    "PyTorchEndpoint",
    "PyTorchImage",
    "PyTorchModel",
    "PyTorchPipeline",
    "PyTorchTrainingJob",
    "SourceCode",
    "TrainingInput",
    "UnknownFrameworkVersionError",
    "image_uri",
]

_MODULE_OF = {
    "ArtifactsBucket": "artifacts_bucket",
    "ConfigurationError": "problems",
    "ContainerImageError": "container_image",
    "FrameworkVersion": "framework_version",
    "ModelData": "model_data",
    "ModelPackager": "model_packager",
    "Predictor": "predictor",
    "PyTorchEndpoint": "endpoint",
    "PyTorchImage": "pytorch_image",
    "PyTorchModel": "model",
    "PyTorchPipeline": "pipeline",
    "PyTorchTrainingJob": "training_job",
    "SourceCode": "source_code",
    "TrainingInput": "training_input",
    "UnknownFrameworkVersionError": "framework_version",
    "image_uri": "container_image",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_MODULE_OF[name]}", __name__), name)
    globals()[name] = value
    return value
