# check: training {"hyperparameters": {"use-cuda": true}}
import argparse

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--use-cuda", type=bool, default=False)
    print(parser.parse_args())
