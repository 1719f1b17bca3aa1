# check: inference {"framework_version": "2.6"}
import torch


def model_fn(model_dir):
    return torch.jit.load(model_dir + "/model.pth")


def transform_fn(model, body, content_type, accept, context):
    return model(body), accept
