# check: training {"hyperparameters": {"optimizer": "adamw", "depth": 19}}
import argparse

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--optimizer", choices=("sgd", "adam"))  # expect: Training.wrongChoice error
    parser.add_argument("--depth", type=int, choices=[18, 34])  # expect: Training.wrongChoice error
    print(parser.parse_args())
