"""All four functions, as users write them."""

import json

import torch
from network import load

try:
    from cdk_sagemaker_pytorch_serving.errors import RequestError
except ImportError:  # with AWS's toolkit alone
    RequestError = ValueError


class QuotaError(RequestError):
    """An error that carries an HTTP status."""

    status = 429


def model_fn(model_dir):
    return load(model_dir)


def input_fn(request_body, request_content_type):
    if request_content_type.startswith("application/json"):
        return torch.tensor(json.loads(request_body)["rows"])
    if request_content_type == "text/csv":
        return torch.tensor([[float(field) for field in row.split(",")] for row in request_body.split()])
    if request_content_type == "application/x-rows":
        return torch.frombuffer(bytearray(request_body), dtype=torch.float32).reshape(-1, 4)
    raise ValueError("cannot read " + request_content_type)


def predict_fn(input_object, model):
    if len(input_object) > 3:
        raise QuotaError("at most three rows")
    with torch.no_grad():
        return model(input_object)


def output_fn(prediction, content_type):
    if content_type == "application/json":
        return json.dumps({"predictions": prediction.tolist()})
    if content_type == "application/x-rows":
        return prediction.numpy().tobytes()
    if content_type == "text/csv":
        return "\n".join(",".join(map(str, row)) for row in prediction.tolist()), "text/csv"
    raise ValueError("cannot write " + content_type)
