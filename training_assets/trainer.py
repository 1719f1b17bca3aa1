"""Train a multilayer perceptron on the rows of one or many processes."""

from __future__ import annotations

import argparse
import math

import torch
from channel_data import Table
from process_group import Process, gathered, summed
from report import log, metric_line
from torch import nn
from torch.nn import functional

# With more distinct whole numbers than this in `y`, the task `auto` takes them for quantities, not classes.
MOST_CLASSES = 100

# Rows that pass the model at once when it is measured.
EVALUATION_ROWS = 8192


# A layer with fewer multiplications in a step than this is done before other threads have woken up.
THREADS_PAY_FROM = 8_000_000


class MultilayerPerceptron(nn.Module):
    """Standardise, apply hidden layers with ReLU and dropout, end linear; means and scales are buffers."""

    input_mean: torch.Tensor
    input_scale: torch.Tensor
    output_mean: torch.Tensor
    output_scale: torch.Tensor

    def __init__(self, features: int, hidden_sizes: list[int], outputs: int, dropout: float) -> None:
        super().__init__()
        self.register_buffer("input_mean", torch.zeros(features))
        self.register_buffer("input_scale", torch.ones(features))
        self.register_buffer("output_mean", torch.zeros(outputs))
        self.register_buffer("output_scale", torch.ones(outputs))
        layers: list[nn.Module] = []
        for size in hidden_sizes:
            layers += [nn.Linear(features, size), nn.ReLU(), nn.Dropout(dropout)]
            features = size
        self.layers = nn.Sequential(*layers, nn.Linear(features, outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (rows, features) to (rows, outputs): logits, or standardised targets."""
        outputs: torch.Tensor = self.layers((x - self.input_mean) / self.input_scale)
        return outputs


def largest_layer(model: nn.Module) -> int:
    """Count the weights of the largest linear layer."""
    return max(layer.weight.numel() for layer in model.modules() if isinstance(layer, nn.Linear))


def mean_and_scale(values: torch.Tensor, process: Process) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation by column over all processes; a constant column has the scale 1."""
    values = values.double()
    rows = summed(torch.tensor(len(values), device=values.device), process)
    mean = summed(values.sum(0), process) / rows
    scale = (summed(((values - mean) ** 2).sum(0), process) / rows).sqrt()
    return mean.float(), torch.where(scale > 0, scale, torch.ones_like(scale)).float()


def find_classes(task: str, y: torch.Tensor, process: Process) -> list[int]:
    """List the sorted labels of all processes; the list is empty where the task is a regression.

    Raises
    ------
    ValueError
        A classification was asked for and `y` is no column of whole numbers, at least two of them distinct.
    """
    whole = y.shape[1] == 1 and bool((y == y.round()).all())
    whole = int(summed(torch.tensor(int(whole), device=y.device), process)) == process.world_size
    if task == "regression" or (task == "auto" and not whole):
        return []
    if not whole:
        raise ValueError(
            "--task classification needs one column of whole numbers in y: use --task regression"
        )
    classes: list[int] = torch.unique(gathered(torch.unique(y.long()), process)).tolist()
    if task == "auto" and len(classes) > MOST_CLASSES:
        return []
    if len(classes) < 2:
        raise ValueError(f"a classifier needs at least two labels, train holds {classes} only")
    return classes


class Trainer:
    """Train a `MultilayerPerceptron` and measure it on the test rows.

    Parameters
    ----------
    settings
        The hyperparameters of ``train.py``.
    train, test
        The rows of this process; None without a test channel.
    process
        This process among those that train together.

    Attributes
    ----------
    model
        The model, on the device of the process.
    classes
        The labels, in the order of the outputs of the model; empty for a regression.
    train_rows
        Number of training rows of all processes.
    """

    def __init__(
        self, settings: argparse.Namespace, train: Table, test: Table | None, process: Process
    ) -> None:
        self._settings, self._process = settings, process
        device = process.device
        self._x, targets = (torch.from_numpy(array).to(device) for array in train)
        self._rows_by_process = gathered(torch.tensor([len(train.x)], device=device), process).tolist()
        self.train_rows = sum(self._rows_by_process)
        self.classes = find_classes(settings.task, targets, process)
        torch.manual_seed(settings.seed)  # every process draws the same weights
        outputs = len(self.classes) or targets.shape[1]
        self.model = MultilayerPerceptron(
            train.x.shape[1], settings.hidden_sizes, outputs, settings.dropout
        ).to(device)
        if settings.batch_size * largest_layer(self.model) < THREADS_PAY_FROM:
            torch.set_num_threads(1)
        self.model.input_mean, self.model.input_scale = mean_and_scale(self._x, process)
        if not self.classes:
            self.model.output_mean, self.model.output_scale = mean_and_scale(targets, process)
        self._y = self._labels(targets, "train")
        self._test = None
        if test is not None:
            x, targets = (torch.from_numpy(array).to(device) for array in test)
            self._test = (x, self._labels(targets, "test"))

    def _labels(self, targets: torch.Tensor, channel: str) -> torch.Tensor:
        """Turn targets into the indices of their classes, or standardise them."""
        if not self.classes:
            return (targets.float() - self.model.output_mean) / self.model.output_scale
        classes = torch.tensor(self.classes, dtype=targets.dtype, device=targets.device)
        labels = targets[:, 0].contiguous()
        indices = torch.searchsorted(classes, labels).clamp(max=len(classes) - 1)
        unknown = labels[classes[indices] != labels]
        if len(unknown):
            raise ValueError(
                f"channel {channel}: y holds the label {unknown[0].item():g}, train has {self.classes}"
            )
        return indices

    def _loss(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Sum of the losses of the rows."""
        if self.classes:
            return functional.cross_entropy(outputs, labels, reduction="sum")
        return functional.mse_loss(outputs, labels, reduction="sum") / labels.shape[1]

    def run(self) -> list[dict[str, float]]:
        """Train, log a line of metrics for each epoch, and return the metrics by epoch.

        Raises
        ------
        FloatingPointError
            The training loss stopped being finite.
        """
        settings, process = self._settings, self._process
        size = settings.batch_size
        starts = range(0, max(self._rows_by_process), size)
        optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.epochs * len(starts))
        # From here on each process draws its own order of rows and its own dropout.
        torch.manual_seed(settings.seed + process.rank)
        history = []
        for epoch in range(1, settings.epochs + 1):
            self.model.train()
            order = torch.randperm(len(self._x)).to(process.device)
            epoch_loss = torch.zeros((), device=process.device)
            for start in starts:
                # A process that has run out of rows still takes part, with none.
                batch = order[start : start + size]
                rows = sum(min(size, max(0, of_process - start)) for of_process in self._rows_by_process)
                loss = self._loss(self.model(self._x[batch]), self._y[batch])
                optimizer.zero_grad()
                (loss / rows).backward()
                for parameter in self.model.parameters():
                    if parameter.grad is not None:
                        summed(parameter.grad, process)
                optimizer.step()
                schedule.step()
                epoch_loss += loss.detach()
            metrics = {"epoch": epoch, "train_loss": float(summed(epoch_loss, process)) / self.train_rows}
            if not math.isfinite(metrics["train_loss"]):
                raise FloatingPointError(
                    f"the training loss is not finite in epoch {epoch}: lower --learning-rate, "
                    f"got {settings.learning_rate}"
                )
            metrics.update(self._test_metrics())
            history.append(metrics)
            if process.rank == 0:
                log(metric_line(metrics))
        return history

    def _test_metrics(self) -> dict[str, float]:
        if self._test is None:
            return {}
        self.model.eval()
        x, y = self._test
        sums = torch.zeros(3, dtype=torch.float64, device=self._process.device)
        with torch.no_grad():
            for start in range(0, len(x), EVALUATION_ROWS):
                labels = y[start : start + EVALUATION_ROWS]
                outputs = self.model(x[start : start + EVALUATION_ROWS])
                sums[0] += len(labels)
                sums[1] += self._loss(outputs, labels)
                if self.classes:
                    sums[2] += (outputs.argmax(1) == labels).sum()
                else:
                    sums[2] += (((outputs - labels) * self.model.output_scale) ** 2).mean(1).sum()
        rows, loss, score = summed(sums, self._process).tolist()
        if self.classes:
            return {"test_loss": loss / rows, "test_accuracy": score / rows}
        return {"test_loss": loss / rows, "test_rmse": math.sqrt(score / rows)}
