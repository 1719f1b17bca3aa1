# check: inference {"framework_version": "2.13"}
import torch


def model_fn(model_dir):
    model = torch.nn.Linear(3, 2)
    state = torch.load(model_dir + "/model.pth", map_location="cpu")
    model.load_state_dict(state["model"])
    model.eval()
    return model
