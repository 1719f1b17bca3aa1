# check: inference {}
import torch


def input_fn(request_body, request_content_type):
    return torch.load(request_body)  # expect: Inference.torchLoad warning
