# check: training {}
import os

import torch


def fit_all():
    for _ in range(3):
        inner()


def inner():
    torch.nn.Linear(1, 1)(torch.zeros(1)).backward()
    torch.save({}, os.environ["SM_MODEL_DIR"])


if True:
    fit_all()  # expect: Script.mainGuard warning
