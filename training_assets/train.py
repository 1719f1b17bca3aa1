"""Train a classifier or a regressor on tables of numbers, as a SageMaker training job.

The script needs what every PyTorch training image holds: torch and numpy. matplotlib draws the learning
curve where it is installed.

Channels
--------
``train`` (or ``training``) is required, ``test`` is optional. A channel is a folder, searched recursively,
that holds data of one kind. Several files are concatenated in the order of their sorted paths:

- ``*.npz`` with the arrays ``x`` and ``y``;
- ``x.npy`` and ``y.npy``, or any pairs whose names end so: ``part-0-x.npy`` with ``part-0-y.npy``;
- ``*.csv``: numbers separated by commas, the label first, as in SageMaker's built-in algorithms. One header
  line is skipped if there is one.

``x`` has the shape (rows, ...) and is flattened to (rows, features). ``y`` has the shape (rows,) or
(rows, 1), and for a regression also (rows, targets). Names that start with ``.`` or ``_`` and other kinds of
files are ignored.

Log
---
Each process logs ``rank=0 world_size=1 host=algo-1 device=cpu``. Each epoch logs one line such as
``epoch=3; train_loss=0.1234; test_loss=0.2345; test_accuracy=0.97;``, which the regular expressions of
``report.METRIC_DEFINITIONS`` read. ``train_loss`` and ``test_loss`` are what is minimised: the mean
cross-entropy, or the mean squared error of standardised targets. ``test_rmse`` is in the targets' own unit.

Results
-------
- ``model.pth`` in the model folder: for ``torch.load(..., weights_only=True)``, see `save_model`.
- ``metrics.json`` and ``learning_curve.png`` in the output data folder.

Several processes
-----------------
With more than one host in ``SM_HOSTS``, or under torchrun, each process trains on its share of the rows and
the gradients are summed: ``--batch-size`` is the number of rows that each process takes in a step. A channel
that is fully replicated is shared out by rank; one that is ``ShardedByS3Key`` is taken as it comes. Only
rank 0 writes results.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from pathlib import Path
from typing import Any, Sequence

import torch
from channel_data import read_channel, share_of
from process_group import join_processes, leave_processes
from report import draw_learning_curve, log
from trainer import MOST_CLASSES, Trainer

MODEL_FORMAT = "cdk-sagemaker-pytorch/mlp/1"


def hidden_sizes(text: str) -> list[int]:
    """Read ``128,64`` or ``[128, 64]``; an empty text means no hidden layer."""
    sizes = [int(size) for size in text.strip("[]() ").split(",") if size.strip()]
    if any(size < 1 for size in sizes):
        raise argparse.ArgumentTypeError(f"each size must be at least 1, got {text}")
    return sizes


class HiddenSizes(argparse.Action):
    """Takes several arguments: a shell, which some containers have in between, takes ``[128, 64]`` apart."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        """Read them as one text."""
        try:
            setattr(namespace, self.dest, hidden_sizes(" ".join(values or [])))
        except (ValueError, argparse.ArgumentTypeError) as error:
            raise argparse.ArgumentError(self, str(error)) from error


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    """Read the hyperparameters; an unknown one is an error, as a misspelt one would train with a default."""
    environment = os.environ.get
    parser = argparse.ArgumentParser(
        description="Train a classifier or a regressor on tables of numbers.", allow_abbrev=False
    )
    add = parser.add_argument
    add("--epochs", type=int, default=30, help="passes over the training rows; defaults to 30")
    add("--batch-size", type=int, default=64, help="rows that a process takes in a step; defaults to 64")
    add("--learning-rate", type=float, default=0.004, help="of AdamW, annealed to 0; defaults to 0.004")
    add(
        "--hidden-sizes",
        nargs="*",
        action=HiddenSizes,
        default=[128, 64],
        help="units by layer; defaults to 128,64",
    )
    add("--dropout", type=float, default=0.1, help="share of hidden units dropped; defaults to 0.1")
    add("--weight-decay", type=float, default=0.01, help="of AdamW; defaults to 0.01")
    add("--seed", type=int, default=0, help="of weights, dropout and the order of rows; defaults to 0")
    add(
        "--task",
        choices=("auto", "classification", "regression"),
        default="auto",
        help="defaults to auto: classification where y is one column of whole numbers, "
        f"at most {MOST_CLASSES} of them distinct",
    )
    add("--backend", default="auto", help="of torch.distributed; defaults to nccl on GPUs, gloo on CPUs")
    add("--num-gpus", type=int, default=int(environment("SM_NUM_GPUS") or torch.cuda.device_count()))
    add("--model-dir", default=environment("SM_MODEL_DIR", ""))
    add("--output-data-dir", default=environment("SM_OUTPUT_DATA_DIR", ""))
    add("--train", default=environment("SM_CHANNEL_TRAIN") or environment("SM_CHANNEL_TRAINING", ""))
    add("--test", default=environment("SM_CHANNEL_TEST", ""))
    add("--_tuning_objective_metric", help=argparse.SUPPRESS)  # automatic model tuning adds it to every job
    settings = parser.parse_args(arguments)
    rules = (
        ("epochs", settings.epochs >= 1, "at least 1"),
        ("batch-size", settings.batch_size >= 1, "at least 1"),
        ("learning-rate", 0 < settings.learning_rate < math.inf, "above 0"),
        ("dropout", 0 <= settings.dropout < 1, "at least 0 and below 1"),
        ("weight-decay", 0 <= settings.weight_decay < math.inf, "at least 0"),
        ("model-dir", settings.model_dir, "given, here or by SM_MODEL_DIR"),
        ("output-data-dir", settings.output_data_dir, "given, here or by SM_OUTPUT_DATA_DIR"),
        ("train", settings.train, "given, here or by a channel named train"),
    )
    wrong = [
        f"--{name} must be {rule}, got {getattr(settings, name.replace('-', '_'))!r}"
        for name, allowed, rule in rules
        if not allowed
    ]
    if wrong:
        parser.error("; ".join(wrong))
    return settings


def save_model(path: Path, trainer: Trainer, hidden_sizes: list[int]) -> None:
    """Write all that is needed to rebuild the model, as plain values and tensors on the CPU.

    The dictionary holds ``format``, ``features``, ``hidden_sizes``, ``outputs``, ``classes`` (empty for a
    regression) and ``state_dict``.
    """
    model = trainer.model
    torch.save(
        {
            "format": MODEL_FORMAT,
            "features": len(model.input_mean),
            "hidden_sizes": hidden_sizes,
            "outputs": len(model.output_mean),
            "classes": trainer.classes,
            "state_dict": {name: tensor.cpu() for name, tensor in model.state_dict().items()},
        },
        path,
    )


def main(arguments: list[str]) -> None:
    """Read the channels, train, and write the model, its metrics and the learning curve."""
    started = time.monotonic()
    settings = parse_arguments(arguments)
    train = read_channel(settings.train, "train")
    test = read_channel(settings.test, "test") if settings.test else None
    for name, of_train, of_test in () if test is None else zip("xy", train, test):
        if of_train.shape[1] != of_test.shape[1]:
            raise ValueError(
                f"channel test: the width of {name} must be that of train, {of_train.shape[1]}, "
                f"got {of_test.shape[1]}"
            )

    process = join_processes(settings.backend, settings.num_gpus)
    log(f"rank={process.rank} world_size={process.world_size} host={process.host} device={process.device}")
    trainer = Trainer(
        settings,
        share_of(process, train, "train"),
        None if test is None else share_of(process, test, "test"),
        process,
    )
    history = trainer.run()
    leave_processes(process)
    if process.rank != 0:
        return

    model_dir, output_dir = Path(settings.model_dir), Path(settings.output_data_dir)
    model_dir.mkdir(parents=True, exist_ok=True)
    output_dir.mkdir(parents=True, exist_ok=True)
    save_model(model_dir / "model.pth", trainer, settings.hidden_sizes)
    draw_learning_curve(output_dir / "learning_curve.png", history)
    report = {
        "task": "classification" if trainer.classes else "regression",
        "classes": trainer.classes,
        "features": train.x.shape[1],
        "train_rows": trainer.train_rows,
        "world_size": process.world_size,
        "framework_version": torch.__version__,
        "seconds": round(time.monotonic() - started, 3),
        "final": history[-1],
        "epochs": history,
    }
    (output_dir / "metrics.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
