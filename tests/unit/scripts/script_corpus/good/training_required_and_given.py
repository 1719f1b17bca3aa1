# check: training {"hyperparameters": {"arch": "resnet", "depth": 18}}
import argparse

parser = argparse.ArgumentParser()
parser.add_argument("--arch", required=True, choices=["resnet", "vgg"])
parser.add_argument("--depth", type=int, choices=range(10, 20))
parser.add_argument("rest", nargs="*")

if __name__ == "__main__":
    print(parser.parse_args())
