# check: training {"hyperparameters": {"batch_size": 3}}
import argparse

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch-size", type=int, default=1)  # expect: Training.unknownHyperparameter warning
    args, _ = parser.parse_known_args()
