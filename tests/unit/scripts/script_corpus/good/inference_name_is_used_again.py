# check: inference {"framework_version": "2.13"}
import torch


def model_fn(model_dir):
    model = torch.load(model_dir + "/model.pth", map_location="cpu")
    weights, model = model["weights"], torch.nn.Linear(4, 2)
    model.load_state_dict(weights)
    state = torch.load(model_dir + "/other.pth")
    network = torch.nn.Linear(2, 2)
    network.load_state_dict(state)
    return torch.nn.Sequential(model, network.eval())
