# check: inference {"framework_version": "2.13"}
import torch


def model_fn(model_dir):
    return torch.load(model_dir + "/model.pth")


def predict_fn(data, model):
    return data @ model["weight"].T
