# check: training {"hyperparameters": {"layers": [1, 2]}, "channels": ["train"]}
import json
import os
from pathlib import Path

import torch


def main():
    hyperparameters = json.loads(os.environ["SM_HPS"])
    model = torch.nn.Sequential(*(torch.nn.Linear(n, n) for n in hyperparameters["layers"]))
    for file in Path(os.environ["SM_CHANNEL_TRAIN"]).iterdir():
        model(torch.load(file, weights_only=True)).sum().backward()
    torch.jit.save(torch.jit.script(model), os.path.join("/opt/ml/model", "model.pt"))


if __name__ == "__main__":
    main()
