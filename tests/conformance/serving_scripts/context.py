"""All the functions that there are, each with the context."""

import json

import torch
from network import load

called = []


def pre_model_fn(model_dir, context):
    called.append("pre_model_fn")


def model_fn(model_dir, context):
    called.append("model_fn")
    return load(context.system_properties["model_dir"])


def model_warmup_fn(model_dir, model, context):
    called.append("model_warmup_fn")
    model(torch.zeros(1, 4))


def input_fn(request_body, request_content_type, context):
    factor = float(context.get_request_header(0, "X-Amzn-SageMaker-Custom-Attributes") or 1)
    return factor * torch.tensor(json.loads(request_body))


def predict_fn(input_object, model, context):
    with torch.no_grad():
        return model(input_object)


def output_fn(prediction, content_type, context):
    return json.dumps({"called": called, "scores": prediction.tolist()}), content_type
