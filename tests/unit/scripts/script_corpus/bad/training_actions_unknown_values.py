# check: training {}
import argparse

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--quiet", action="store_false")  # expect: Training.argparseAction warning
    parser.add_argument("--layer", action="append", type=int)
    parser.add_argument("-v", action="count")  # expect: Training.argparseAction warning
    parser.add_argument(  # expect: Training.argparseAction warning
        "--shuffle", action=argparse.BooleanOptionalAction
    )
    print(parser.parse_known_args())
