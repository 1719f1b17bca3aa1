# check: training {"hyperparameters": {"a": "FALSE", "b": "no", "c": 0.0, "d": false, "e": true, "f": false, "g": false, "h": "off"}}
import argparse
from distutils.util import strtobool


def same(text):
    return bool(text)


def yes(text):
    if text in ("yes", "y"):
        return True
    return False


if __name__ == "__main__":
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("-a", type=bool)  # expect: Training.boolArgument error
    parser.add_argument("-b", type=bool)  # expect: Training.boolArgument error
    parser.add_argument("-c", type=bool)  # expect: Training.boolArgument error
    parser.add_argument("-d", type=lambda text: bool(str(text)))  # expect: Training.boolArgument error
    parser.add_argument("-e", type=lambda text: text == "true")  # expect: Training.boolArgument error
    parser.add_argument("-f", type=same)  # expect: Training.boolArgument error
    parser.add_argument("-g", default=True)  # expect: Training.boolArgument error
    parser.add_argument("-h", "--hush", type=strtobool)
    args = parser.parse_args()
    if args.g:
        print(args)
