# check: training {"hyperparameters": {"layers": [64, 32]}}
import argparse

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--layers", type=list)  # expect: Training.containerArgument error
    print(parser.parse_args())
