"""What a training job reports: its log, its metrics, its learning curve."""

from __future__ import annotations

from pathlib import Path
from typing import Any

#: What SageMaker needs to read the metrics from the log (``MetricDefinitions`` of a training job).
METRIC_DEFINITIONS = [
    {"Name": name, "Regex": name + r"=([0-9.eE+-]+);"}
    for name in ("train_loss", "test_loss", "test_accuracy", "test_rmse")
]


def log(message: str) -> None:
    """Print a line at once: standard output is the log of a training job."""
    print(message, flush=True)  # noqa: T201


def metric_line(metrics: dict[str, float]) -> str:
    """Format the metrics of an epoch as `METRIC_DEFINITIONS` reads them."""
    return " ".join(f"{name}={value:.6g};" for name, value in metrics.items())


def draw_learning_curve(path: Path, history: list[dict[str, float]]) -> None:
    """Draw the losses, and the accuracy or error, by epoch; without matplotlib say so and carry on."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        log("matplotlib is not installed: no learning curve is drawn")
        return
    figure = Figure(figsize=(7, 4.5))
    losses = figure.add_subplot(xlabel="epoch", ylabel="loss")
    epochs = [metrics["epoch"] for metrics in history]
    lines: list[Any] = []
    for name in (name for name in history[0] if name != "epoch"):
        axes = losses
        if not name.endswith("loss"):
            axes = losses.twinx()
            axes.set_ylabel(name)
        values = [metrics[name] for metrics in history]
        lines += axes.plot(epochs, values, color=f"C{len(lines)}", label=name)
    losses.legend(handles=lines, loc="center right")
    losses.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, dpi=100)
