"""Only the model; everything else by default."""

from network import load


def model_fn(model_dir):
    return load(model_dir)
