# check: training {"hyperparameters": {"lr": 0.1, "epochs": 2}}
import argparse as ap
import sys


def main(arguments=None):
    parser = ap.ArgumentParser(allow_abbrev=False)
    group = parser.add_argument_group("optimizer")
    group.add_argument("--lr", type=float, required=True)
    parser.add_argument("--epochs", type=int)
    parser.set_defaults(epochs=3)
    print(parser.parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main())
