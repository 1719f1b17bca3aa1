# check: inference {"framework_version": "2.13"}
import torch
from sagemaker_inference import content_types, encoder  # expect: Inference.modelServer error
import ts.context  # expect: Inference.modelServer error


def predict_fn(data, model):
    return encoder.encode(torch.ones(1).numpy(), content_types.JSON)
