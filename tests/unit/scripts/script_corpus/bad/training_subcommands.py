# check: training {"hyperparameters": {"epochs": 1}}
import argparse

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(dest="command", required=True)  # expect: Training.subcommand error
    train = commands.add_parser("train")
    train.add_argument("--epochs", type=int)
    commands.add_parser("evaluate")
    print(parser.parse_args())
