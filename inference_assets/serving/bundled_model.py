"""The model of the bundled training script, rebuilt from its ``model.pth``."""

from __future__ import annotations

import inspect
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import nn

from .errors import MalformedBodyError

FORMAT = "cdk-sagemaker-pytorch/mlp/1"


class MultilayerPerceptron(nn.Module):
    """Class probabilities, one column per entry of `classes`, or targets in their own unit.

    Parameters
    ----------
    checkpoint
        What the training script saved: ``features``, ``hidden_sizes``, ``outputs``, ``classes`` and
        ``state_dict``.

    Attributes
    ----------
    classes
        The labels of the columns; empty for a regression.
    """

    input_mean: torch.Tensor
    input_scale: torch.Tensor
    output_mean: torch.Tensor
    output_scale: torch.Tensor

    def __init__(self, checkpoint: dict[str, Any]) -> None:
        super().__init__()
        features, outputs = checkpoint["features"], checkpoint["outputs"]
        self.features = features
        self.classes = list(checkpoint["classes"])
        for name, size in (("input", features), ("output", outputs)):
            self.register_buffer(name + "_mean", torch.zeros(size))
            self.register_buffer(name + "_scale", torch.ones(size))
        layers: list[nn.Module] = []
        for size in checkpoint["hidden_sizes"]:
            layers += [nn.Linear(features, size), nn.ReLU(), nn.Dropout()]
            features = size
        self.layers = nn.Sequential(*layers, nn.Linear(features, outputs))
        self.load_state_dict(checkpoint["state_dict"])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (rows, ...) or a single row to (rows, outputs); each row is flattened to the features.

        Raises
        ------
        MalformedBodyError
            The rows do not have the features that the model was trained on.
        """
        rows = x.reshape(1, -1) if x.ndim < 2 else x.flatten(1)
        if rows.shape[1] != self.features:
            raise MalformedBodyError(
                f"the input must have {self.features} features a row, got the shape {tuple(x.shape)}"
            )
        outputs: torch.Tensor = self.layers((rows - self.input_mean) / self.input_scale)
        return outputs.softmax(1) if self.classes else outputs * self.output_scale + self.output_mean


def load_bundled_model(path: Path) -> MultilayerPerceptron:
    """Rebuild the model on the CPU, in eval mode.

    Raises
    ------
    ValueError
        The file is no checkpoint of the bundled training script.
    """
    advice = "write a model_fn that builds your network and loads it, or save TorchScript as model.pt"
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{path.name} is not in the zip format of torch.save: {advice}")
    try:
        checkpoint = _load_tensors(path)
    except pickle.UnpicklingError as error:
        raise ValueError(f"{path.name} holds more than tensors and plain values: {advice}") from error
    if not isinstance(checkpoint, dict) or checkpoint.get("format") != FORMAT:
        raise ValueError(f"{path.name} is not a model of the bundled training script: {advice}")
    return MultilayerPerceptron(checkpoint).eval()


def _load_tensors(path: Path) -> Any:
    """Load tensors and plain values, and nothing that could run code."""
    if "weights_only" in inspect.signature(torch.load).parameters:
        return torch.load(path, map_location="cpu", weights_only=True)
    return torch.load(path, map_location="cpu", pickle_module=_TensorsOnly)  # before torch 1.13


class _TensorsOnly:
    """What torch.load needs of the pickle module, restricted to the names that a state dict refers to."""

    class Unpickler(pickle.Unpickler):
        _ALLOWED = (("collections", "OrderedDict"), ("torch._utils", "_rebuild_tensor_v2"))

        def find_class(self, module: str, name: str) -> Any:
            if (module, name) in self._ALLOWED or (module == "torch" and name.endswith("Storage")):
                return super().find_class(module, name)
            raise pickle.UnpicklingError(f"refers to {module}.{name}")
