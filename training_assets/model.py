"""The model, and the files it is saved in."""

# No `from __future__ import annotations`: TorchScript does not read annotations that are text.
import warnings
from pathlib import Path
from typing import Any, List

import torch
from torch import nn

MODEL_FORMAT = "cdk-sagemaker-pytorch/mlp/1"


class MultilayerPerceptron(nn.Module):
    """Standardise, apply hidden layers with ReLU and dropout, end linear; means and scales are buffers."""

    input_mean: torch.Tensor
    input_scale: torch.Tensor
    output_mean: torch.Tensor
    output_scale: torch.Tensor

    def __init__(self, features: int, hidden_sizes: List[int], outputs: int, dropout: float) -> None:
        super().__init__()
        self.register_buffer("input_mean", torch.zeros(features))
        self.register_buffer("input_scale", torch.ones(features))
        self.register_buffer("output_mean", torch.zeros(outputs))
        self.register_buffer("output_scale", torch.ones(outputs))
        layers: List[nn.Module] = []
        for size in hidden_sizes:
            layers += [nn.Linear(features, size), nn.ReLU(), nn.Dropout(dropout)]
            features = size
        self.layers = nn.Sequential(*layers, nn.Linear(features, outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (rows, features) to (rows, outputs): logits, or standardised targets."""
        outputs: torch.Tensor = self.layers((x - self.input_mean) / self.input_scale)
        return outputs


class ServedModel(nn.Module):
    """What answers requests: probabilities of the classes, or targets in their own unit."""

    def __init__(self, model: MultilayerPerceptron, is_classifier: bool) -> None:
        super().__init__()
        self.model = model
        self.is_classifier = is_classifier

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (rows, ...) or a single row to (rows, outputs); each row is flattened to the features."""
        if x.dim() < 2:
            x = x.unsqueeze(0)
        outputs: torch.Tensor = self.model(x.flatten(1))
        if self.is_classifier:
            outputs = torch.softmax(outputs, 1)
        else:
            outputs = outputs * self.model.output_scale + self.model.output_mean
        return outputs


def largest_layer(model: nn.Module) -> int:
    """Count the weights of the largest linear layer."""
    return max(layer.weight.numel() for layer in model.modules() if isinstance(layer, nn.Linear))


def save_weights(
    path: Path, model: MultilayerPerceptron, hidden_sizes: List[int], classes: List[int]
) -> None:
    """Write all that is needed to rebuild the model, as plain values and tensors on the CPU.

    The dictionary holds ``format``, ``features``, ``hidden_sizes``, ``outputs``, ``classes`` (empty for a
    regression) and ``state_dict``.
    """
    torch.save(
        {
            "format": MODEL_FORMAT,
            "features": len(model.input_mean),
            "hidden_sizes": hidden_sizes,
            "outputs": len(model.output_mean),
            "classes": classes,
            "state_dict": {name: tensor.cpu() for name, tensor in model.state_dict().items()},
        },
        path,
    )


def save_torchscript(
    path: Path, model: MultilayerPerceptron, way: str, rows: torch.Tensor, classes: bool
) -> None:
    """Write the model with its code, for serving it without any Python of ours.

    Parameters
    ----------
    path
        The file.
    model
        The model; it is moved to the CPU.
    way
        ``trace`` or ``script``.
    rows
        Rows of the training channel: the file must answer them as the model does.
    classes
        Whether the model is a classifier.

    Raises
    ------
    RuntimeError
        The file answers otherwise.
    """
    served = ServedModel(model.cpu(), classes).eval()
    rows = rows.cpu()
    with torch.no_grad(), warnings.catch_warnings():
        # TorchScript is deprecated since PyTorch 2.10, and what SageMaker's default model_fn loads.
        warnings.simplefilter("ignore", DeprecationWarning)
        jit: Any = torch.jit
        jit.save(jit.trace(served, rows) if way == "trace" else jit.script(served), str(path))
        saved = jit.load(str(path), map_location="cpu")
        # One row, and several: a trace may hold on to the number of rows that it was made with.
        for some in (rows, rows[:1]):
            if not torch.allclose(saved(some), served(some), rtol=1e-4, atol=1e-6):
                path.unlink()
                raise RuntimeError(
                    f"the TorchScript model ({way}) does not answer as the model it was made from"
                )
