# check: inference {"framework_version": "2.13"}
from .net import Net  # expect: Script.relativeImport error
from . import utils  # expect: Script.relativeImport error


def model_fn(model_dir):
    return Net(utils, model_dir)
