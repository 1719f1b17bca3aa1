# check: training {"hyperparameters": {}}
import argparse

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--arch", required=True)  # expect: Training.requiredArgument error
    print(parser.parse_known_args())
