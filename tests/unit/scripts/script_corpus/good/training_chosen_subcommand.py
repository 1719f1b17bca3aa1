# check: training {"hyperparameters": {"epochs": 1}}
import argparse
import sys

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(dest="command", required=True)
    train = commands.add_parser("train")
    train.add_argument("--epochs", type=int)
    print(parser.parse_args(["train", *sys.argv[1:]]))
