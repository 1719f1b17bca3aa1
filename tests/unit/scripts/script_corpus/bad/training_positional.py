# check: training {"hyperparameters": {"data": "x"}}
import argparse

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("data")  # expect: Training.positionalArgument error
    print(parser.parse_known_args())
