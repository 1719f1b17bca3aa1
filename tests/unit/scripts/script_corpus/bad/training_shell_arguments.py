# check: training {"hyperparameters": {"name": "a b", "layers": [1, 2], "it": "it's", "ok": "plain-1,2=3"}}
import argparse

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--name")  # expect: Training.shellArgument warning
    parser.add_argument("--layers")  # expect: Training.shellArgument warning
    parser.add_argument("--it")  # expect: Training.shellArgument warning
    parser.add_argument("--ok")
    print(parser.parse_args())
