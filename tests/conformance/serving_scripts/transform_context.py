"""One function in place of three, with the context; it answers bytes and their type."""

import json

import torch
from network import load


def model_fn(model_dir, context):
    return load(model_dir)


def transform_fn(model, request_body, request_content_type, accept, context):
    factor = float(context.get_request_header(0, "X-Amzn-SageMaker-Custom-Attributes") or 1)
    with torch.no_grad():
        scores = model(factor * torch.tensor(json.loads(request_body)))
    return scores.numpy().tobytes(), "application/x-rows"
