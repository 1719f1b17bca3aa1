# check: inference {"framework_version": "2.6"}
import torch


def model_fn(model_dir):
    # script-check: allow Inference.torchLoad: the file is our own
    model = torch.load(model_dir + "/model.pt", weights_only=False)
    return model.eval()


def predict_fn(model, input_object):  # script-check: allow Inference.handlerOrder: named in another language
    return model(input_object)
