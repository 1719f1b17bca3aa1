"""AWS CDK constructs that train, package and serve PyTorch models on Amazon SageMaker.

Names are imported when they are first used, so that the parts without CDK in them
(`image_uri`, `FrameworkVersion`, `Predictor`) do not start jsii.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .common.artifacts_bucket import ArtifactsBucket
    from .common.networking import Networking
    from .common.problems import ConfigurationError
    from .deployment.deployment import PyTorchDeployment
    from .deployment.settings import SampleRequest
    from .images.container_image import ContainerImageError, image_uri
    from .images.framework_version import FrameworkVersion, UnknownFrameworkVersionError
    from .images.pytorch_image import PyTorchImage
    from .packaging.model_data import ModelData
    from .packaging.model_packager import ModelPackager
    from .packaging.settings import Processing
    from .pipeline.pipeline import PyTorchPipeline
    from .predictor import Predictor
    from .serving.endpoint import PyTorchEndpoint
    from .serving.model import PyTorchModel
    from .serving.settings import Instances, ServingContainer
    from .source.source_code import SourceCode
    from .training.settings import Checkpoints, Compute, OutputData
    from .training.training_input import TrainingInput
    from .training.training_job import PyTorchTrainingJob

__all__ = [
    "ArtifactsBucket",
    "Checkpoints",
    "Compute",
    "ConfigurationError",
    "ContainerImageError",
    "FrameworkVersion",
    "Instances",
    "ModelData",
    "ModelPackager",
    "Networking",
    "OutputData",
    "Predictor",
    "Processing",
    "PyTorchDeployment",
    "PyTorchEndpoint",
    "PyTorchImage",
    "PyTorchModel",
    "PyTorchPipeline",
    "PyTorchTrainingJob",
    "SampleRequest",
    "ServingContainer",
    "SourceCode",
    "TrainingInput",
    "UnknownFrameworkVersionError",
    "image_uri",
]

_MODULE_OF = {
    "ArtifactsBucket": "common.artifacts_bucket",
    "Checkpoints": "training.settings",
    "Compute": "training.settings",
    "ConfigurationError": "common.problems",
    "ContainerImageError": "images.container_image",
    "FrameworkVersion": "images.framework_version",
    "Instances": "serving.settings",
    "ModelData": "packaging.model_data",
    "ModelPackager": "packaging.model_packager",
    "Networking": "common.networking",
    "OutputData": "training.settings",
    "Predictor": "predictor",
    "Processing": "packaging.settings",
    "PyTorchDeployment": "deployment.deployment",
    "PyTorchEndpoint": "serving.endpoint",
    "PyTorchImage": "images.pytorch_image",
    "PyTorchModel": "serving.model",
    "PyTorchPipeline": "pipeline.pipeline",
    "PyTorchTrainingJob": "training.training_job",
    "SampleRequest": "deployment.settings",
    "ServingContainer": "serving.settings",
    "SourceCode": "source.source_code",
    "TrainingInput": "training.training_input",
    "UnknownFrameworkVersionError": "images.framework_version",
    "image_uri": "images.container_image",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_MODULE_OF[name]}", __name__), name)
    globals()[name] = value
    return value
