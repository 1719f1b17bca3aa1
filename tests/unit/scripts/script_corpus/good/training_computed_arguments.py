# check: training {"hyperparameters": {"alpha": 1, "beta": 2}}
import argparse

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for name in ("alpha", "beta"):
        parser.add_argument("--" + name, type=float, default=0.0)
    print(parser.parse_args())
