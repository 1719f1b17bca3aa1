"""A format of its own in, the defaults out."""

import json

import torch
from network import load


def model_fn(model_dir):
    return load(model_dir)


def input_fn(request_body, request_content_type):
    if request_content_type == "application/json":
        return torch.tensor([[float(field) for field in row.split()] for row in json.loads(request_body)])
    return torch.frombuffer(bytearray(request_body), dtype=torch.float32).reshape(-1, 4)
