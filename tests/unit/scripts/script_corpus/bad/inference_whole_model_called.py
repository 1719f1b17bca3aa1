# check: inference {"framework_version": "2.6"}
import torch


def model_fn(model_dir):
    model = torch.load(model_dir + "/model.pth")  # expect: Inference.wholeModel error
    model(torch.zeros(1, 4))  # warm
    return {"model": model}


def predict_fn(data, model):
    return model["model"](data)
