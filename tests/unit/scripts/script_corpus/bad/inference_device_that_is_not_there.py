# check: inference {"framework_version": "2.13", "instance_type": "ml.m5.large"}
import torch


def model_fn(model_dir):
    model = torch.nn.Linear(3, 2).cuda()  # expect: Inference.device error
    state = torch.load(model_dir, map_location="cuda:0", weights_only=True)  # expect: Inference.device error
    model.load_state_dict(state)
    return model.to("cuda")  # expect: Inference.device error


def predict_fn(data, model):
    return model(data.to(torch.device("cuda")))  # expect: Inference.device error
