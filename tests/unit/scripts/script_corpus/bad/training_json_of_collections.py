# check: training {"hyperparameters": {"a": ["a"], "b": {"a": 1}, "c": {"a": 1}}, "framework_version": "1.8"}
import argparse
import json

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("-a", type=json.loads)  # expect: Training.wrongType error
    parser.add_argument("-b", type=json.loads)  # expect: Training.wrongType error
    parser.add_argument("-c", type=dict)  # expect: Training.containerArgument error
    print(parser.parse_args())
