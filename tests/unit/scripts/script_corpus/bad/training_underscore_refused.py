# check: training {"hyperparameters": {"batch_size": 3}}
import argparse
import sys

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch-size", type=int, default=1)
    args = parser.parse_args(sys.argv[1:])  # expect: Training.unknownHyperparameter error
