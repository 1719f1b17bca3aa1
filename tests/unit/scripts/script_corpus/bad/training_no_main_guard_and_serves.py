# check: training {}
import os

import torch


def model_fn(model_dir):
    return None


with open(os.environ["SM_MODEL_DIR"] + "/model.pth", "wb") as file:
    torch.save({}, file)  # expect: Script.mainGuard error
