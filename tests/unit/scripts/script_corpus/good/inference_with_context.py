# check: inference {"framework_version": "2.5.1"}
import torch


def model_fn(model_dir, context):
    return torch.jit.load(model_dir + "/model.pt")


def input_fn(body, content_type, context=None):
    return torch.tensor(body)


@torch.no_grad()
def predict_fn(data, model, *extra):
    return model(data)


def output_fn(prediction, accept, *, indent=2):
    return str(prediction)
