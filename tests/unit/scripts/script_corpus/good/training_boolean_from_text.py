# check: training {"hyperparameters": {"augment": false, "layers": [1, 2]}, "framework_version": "1.8"}
import argparse
import ast


def boolean(text):
    return text.lower() == "true"


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--augment", type=boolean, default=True)
    parser.add_argument("--layers", type=ast.literal_eval, default=[])
    parser.add_argument("--verbose", action="store_true")
    print(parser.parse_args())
