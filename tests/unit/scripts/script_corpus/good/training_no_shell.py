# check: training {"hyperparameters": {"name": "a b"}, "framework_version": "1.8"}
import argparse

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--name")
    print(parser.parse_args())
