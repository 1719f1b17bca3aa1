# check: training {"hyperparameters": {"size": [1, 2], "pair": 5, "rest": [1]}, "framework_version": "1.8"}
import argparse

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", nargs=2, type=int)  # expect: Training.argumentCount error
    parser.add_argument("--pair", nargs=2, type=int)  # expect: Training.argumentCount error
    parser.add_argument("--rest", nargs="+", type=int)  # expect: Training.wrongType error
    print(parser.parse_args())
