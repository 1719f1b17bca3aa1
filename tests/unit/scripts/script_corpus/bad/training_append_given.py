# check: training {"hyperparameters": {"layer": [1, 2]}}
import argparse

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--layer", action="append", type=int)  # expect: Training.wrongType error
    args, _ = parser.parse_known_args()
