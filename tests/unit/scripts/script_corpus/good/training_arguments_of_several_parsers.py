# check: training {"hyperparameters": {"epochs": 3, "layer": 5, "lr": 0.1, "tag": "x"}}
import argparse
import sys


def small():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--layer", type=int, action="append")
    parser.add_argument("--tag", action="extend", nargs="+")
    return parser


def large():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=100)
    if sys.platform == "linux":
        parser.add_argument("--lr", type=float, default=0.1)
    else:
        parser.add_argument("--lr", type=float, default=0.2)
    return parser


if __name__ == "__main__":
    print(small().parse_known_args()[0], large().parse_args())
