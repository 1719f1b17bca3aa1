# check: training {"hyperparameters": {"options": "a=1", "seed": 7.0}}
import argparse


class Pairs(argparse.Action):
    def __call__(self, parser, namespace, values, option_string=None):
        setattr(namespace, self.dest, dict(pair.split("=") for pair in values.split(",")))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--options", action=Pairs)
    parser.add_argument("--seed", type=lambda text: int(float(text)), choices=[7])
    print(parser.parse_args())
