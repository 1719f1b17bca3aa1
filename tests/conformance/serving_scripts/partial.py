"""A format of its own in, and predictions that are no tensor; how they are written is left to the default."""

import json

import torch
from network import load

PREDICTIONS = {
    "tensor": lambda scores: scores,
    "array": lambda scores: scores.numpy(),
    "list": lambda scores: scores.tolist(),
    "number": lambda scores: float(scores.max()),
    "tuple of tensors": lambda scores: (scores, scores.argmax(1)),
    "list of strings": lambda scores: ["cat", "dog"],
    "list of dicts": lambda scores: [{"label": "cat", "score": float(row.max())} for row in scores],
    "dict": lambda scores: {"scores": scores, "array": scores.numpy(), "nested": [{"best": None}]},
    "object": lambda scores: object(),
}


def model_fn(model_dir):
    return load(model_dir)


def input_fn(request_body, request_content_type):
    if request_content_type == "application/json":
        return json.loads(request_body)
    return {"rows": torch.frombuffer(bytearray(request_body), dtype=torch.float32).reshape(-1, 4)}


def predict_fn(input_object, model):
    with torch.no_grad():
        scores = model(torch.as_tensor(input_object["rows"]))
    return PREDICTIONS[input_object.get("as", "tensor")](scores)
