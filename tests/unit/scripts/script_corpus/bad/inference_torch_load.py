# check: inference {"framework_version": "2.5.1"}
import torch as th
from torch import load as load_weights


def model_fn(model_dir):
    load_weights(model_dir + "/a.pth", map_location="cpu")  # expect: Inference.torchLoad warning
    return th.load(model_dir + "/model.pth")  # expect: Inference.torchLoad warning
