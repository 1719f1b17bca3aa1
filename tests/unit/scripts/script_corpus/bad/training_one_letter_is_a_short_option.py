# check: training {"hyperparameters": {"k": 3}}
import argparse

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    add = parser.add_argument
    add("--k", type=int, default=1)
    args = parser.parse_args()  # expect: Training.unknownHyperparameter error
