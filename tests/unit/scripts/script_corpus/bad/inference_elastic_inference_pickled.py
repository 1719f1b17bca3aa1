# check: inference {"framework_version": "1.5", "accelerator_type": "ml.eia2.medium"}
import torch


def model_fn(model_dir):
    return torch.load(model_dir + "/model.pth")  # expect: Inference.elasticInference error


def predict_fn(data, model):  # expect: Inference.elasticInference warning
    return model(data)
