# check: training {"hyperparameters": {"epoch": 3, "lr": 0.1}}
import argparse

if __name__ == "__main__":
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--lr", type=float, default=1)
    args = parser.parse_args()  # expect: Training.unknownHyperparameter error
