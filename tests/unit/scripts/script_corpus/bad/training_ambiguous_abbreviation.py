# check: training {"hyperparameters": {"learn": 1}}
import argparse

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--learning-rate", type=float)  # expect: Training.unknownHyperparameter error
    parser.add_argument("--learning-steps", type=float)
    print(parser.parse_args())
