"""One function in place of three."""

import json

import torch
from network import load


def model_fn(model_dir):
    return load(model_dir)


def transform_fn(model, request_body, request_content_type, accept):
    with torch.no_grad():
        scores = model(torch.tensor(json.loads(request_body)))
    return json.dumps({"scores": scores.tolist(), "asked": [request_content_type, accept]})
