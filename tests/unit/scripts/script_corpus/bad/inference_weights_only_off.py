# check: inference {"framework_version": "2.10.0"}
import torch


def model_fn(model_dir):
    return torch.load(model_dir + "/model.pth", weights_only=False)  # expect: Inference.torchLoad warning
