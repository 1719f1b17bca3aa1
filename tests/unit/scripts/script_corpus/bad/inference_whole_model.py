# check: inference {"framework_version": "2.6"}
import os

import torch


def model_fn(model_dir):
    model = torch.load(os.path.join(model_dir, "model.pth"), map_location="cpu")  # expect: Inference.wholeModel error
    model.eval()
    return model


def other(path):
    return torch.load(path).eval()  # expect: Inference.wholeModel error
