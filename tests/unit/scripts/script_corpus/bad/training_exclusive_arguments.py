# check: training {"hyperparameters": {"small": 1, "large": 2}}
import argparse

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    either = parser.add_mutually_exclusive_group()
    either.add_argument("--small", type=int)
    either.add_argument("--large", type=int)
    print(parser.parse_args())  # expect: Training.refusedArguments error
