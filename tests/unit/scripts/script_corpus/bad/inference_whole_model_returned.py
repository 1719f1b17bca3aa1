# check: inference {"framework_version": "2.13"}
import os

import torch


def model_fn(model_dir):
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with open(os.path.join(model_dir, "model.pth"), "rb") as file:
        model = torch.load(file, map_location=device)  # expect: Inference.wholeModel error
        model = model.to(device)
    return model
