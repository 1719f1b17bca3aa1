# check: inference {"framework_version": "2.6"}
import torch


def load(path):
    return torch.load(path)  # expect: Inference.wholeModel error


def model_fn(model_dir):
    return load(model_dir + "/model.pth")


def predict_fn(data, network):
    with torch.no_grad():
        return network(data).argmax(1)
