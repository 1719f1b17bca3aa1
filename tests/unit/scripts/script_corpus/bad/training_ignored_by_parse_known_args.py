# check: training {"hyperparameters": {"learning_rte": 0.1, "quiet": false}}
import argparse

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument("--quiet", action="store_true")  # expect: Training.argparseAction error
    args, unknown = parser.parse_known_args()  # expect: Training.unknownHyperparameter warning
    print("not used:", unknown)
