# check: training {"hyperparameters": {"epochs": 3.5, "lr": "fast", "batch-size": true, "seed": "12"}}
import argparse

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int)  # expect: Training.wrongType error
    parser.add_argument("--lr", type=float)  # expect: Training.wrongType error
    parser.add_argument("--batch-size", type=int)  # expect: Training.wrongType error
    parser.add_argument("--seed", type=int)
    print(parser.parse_args())
