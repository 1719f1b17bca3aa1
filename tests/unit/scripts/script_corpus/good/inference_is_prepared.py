# check: inference {"framework_version": "2.13"}
from typing import TYPE_CHECKING

try:
    from sagemaker_inference import content_types
except ImportError:
    content_types = None

try:
    from .net import Net
except ImportError:
    from net import Net

if TYPE_CHECKING:
    from .types import Model


def load_fn(path):
    return Net(path)


def model_fn(model_dir) -> "Model":
    return load_fn(model_dir)


def helper_fn(value):
    return value


def predict_fn(input_data, model, context=None):
    return model(helper_fn(input_data))
