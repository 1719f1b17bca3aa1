# check: training {"hyperparameters": {"augment": true}}
import argparse

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--augment", action="store_true")  # expect: Training.argparseAction error
    print(parser.parse_args())
