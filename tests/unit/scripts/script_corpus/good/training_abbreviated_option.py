# check: training {"hyperparameters": {"learn": 0.1, "n": 3}}
import argparse
import os

import torch


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("-n", "--epochs", type=int, default=1)
    parser.add_argument("--learning-rate", type=float, default=0.1)
    args = parser.parse_args()
    model = torch.nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=args.learning_rate)
    optimizer.step()
    torch.save(model.state_dict(), os.path.join(os.environ["SM_MODEL_DIR"], "model.pth"))


if __name__ == "__main__":
    main()
