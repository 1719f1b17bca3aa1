# check: inference {}
import argparse

parser = argparse.ArgumentParser()
parser.add_argument("--scale", type=float, default=1.0)
args = parser.parse_args()  # expect: Script.mainGuard error


def model_fn(model_dir):
    return args.scale
