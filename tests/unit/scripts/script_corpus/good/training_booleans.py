# check: training {"hyperparameters": {"a": true, "b": "False", "c": false, "d": "no", "e": 0, "f": true, "g": false}}
import argparse
import ast
import json
from distutils.util import strtobool


def str2bool(v):
    if isinstance(v, bool):
        return v
    if v.lower() in ("yes", "true", "t", "y", "1"):
        return True
    elif v.lower() in ("no", "false", "f", "n", "0"):
        return False
    else:
        raise argparse.ArgumentTypeError("Boolean value expected.")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("-a", type=bool)
    parser.add_argument("-b", type=lambda x: (str(x).lower() == "true"))
    parser.add_argument("-c", type=str2bool, nargs="?", const=True, default=False)
    parser.add_argument("-d", type=strtobool)
    parser.add_argument("-e", type=lambda text: bool(int(text)))
    parser.add_argument("-f", type=lambda text: json.loads(text.lower()))
    parser.add_argument("-g", default=True)
    args = parser.parse_args()
    if ast.literal_eval(args.g):
        print(args)
