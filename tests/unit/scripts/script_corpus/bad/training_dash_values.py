# check: training {"hyperparameters": {"gamma": -1e-05, "name": "-fast", "shift": -0.5, "step": -3}}
import argparse

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--gamma", type=float)  # expect: Training.dashValue error
    parser.add_argument("--name")  # expect: Training.dashValue error
    parser.add_argument("--shift", type=float)
    parser.add_argument("--step", type=int)
    print(parser.parse_known_args())
