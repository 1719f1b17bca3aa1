# check: training {}
import argparse

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--use-cuda", type=bool, default=True)  # expect: Training.boolArgument warning
    print(parser.parse_args())
