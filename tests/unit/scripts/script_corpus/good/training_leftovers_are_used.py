# check: training {"hyperparameters": {"anything": 0.1, "quiet": true}}
import argparse

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--quiet", action="store_true")
    args, rest = parser.parse_known_args()
    for option, value in zip(rest[::2], rest[1::2], strict=True):
        setattr(args, option.lstrip("-"), value)
