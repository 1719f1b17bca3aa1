# check: inference {}
import torch

model = torch.nn.Linear(1, 1)
for _ in range(2):
    model(torch.zeros(1)).backward()  # expect: Script.mainGuard error


def model_fn(model_dir):
    return model
