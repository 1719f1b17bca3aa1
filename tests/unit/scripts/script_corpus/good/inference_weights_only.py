# check: inference {"framework_version": "2.0.1"}
from torch import load


def model_fn(model_dir, context=None):
    options = {"weights_only": True}
    load(model_dir + "/other.pth", **options)
    return load(model_dir + "/model.pth", weights_only=True)
