# check: training {"hyperparameters": {"layers": [1, 2]}, "framework_version": "2.6"}
import argparse
import ast

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--layers", nargs="+")
    print(ast.literal_eval(" ".join(parser.parse_args().layers)))
