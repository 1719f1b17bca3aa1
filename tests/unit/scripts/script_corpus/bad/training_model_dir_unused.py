# check: training {"hyperparameters": {}}
import argparse
import os

import torch


def train(args):
    loss = torch.nn.Linear(1, 1)(torch.zeros(1))
    loss.backward()


def model_fn(model_dir):
    return torch.jit.load(model_dir)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--model-dir", default=os.environ["SM_MODEL_DIR"])  # expect: Training.modelDir warning
    args = parser.parse_args()
    print(args)
    train(args)
