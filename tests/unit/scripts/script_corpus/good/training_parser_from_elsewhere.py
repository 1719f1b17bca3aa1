# check: training {"hyperparameters": {"anything": 1}}
import argparse

from common import add_common_arguments, run

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=1)
    add_common_arguments(parser)
    run(parser.parse_args())
