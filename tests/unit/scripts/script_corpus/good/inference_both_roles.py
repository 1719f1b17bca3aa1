# check: inference {"framework_version": "1.12.1"}
import argparse
import torch


def model_fn(model_dir):
    model = torch.nn.Linear(1, 1)
    model.load_state_dict(torch.load(f"{model_dir}/model.pth"))
    return model


def train(arguments):
    torch.save({}, arguments.model_dir)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--model-dir")
    train(parser.parse_args())
