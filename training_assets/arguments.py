"""The hyperparameters of the training script."""

from __future__ import annotations

import argparse
import math
import os
from typing import Any, Sequence

import torch
from labels import MOST_CLASSES


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
    parser = argparse.ArgumentParser(
        description="Train a classifier or a regressor on tables of numbers.", allow_abbrev=False
    )
    _add_training(parser)
    _add_result(parser)
    _add_container(parser)
    settings = parser.parse_args(arguments)
    wrong = _wrong(settings)
    if wrong:
        parser.error("; ".join(wrong))
    return settings


def _add_training(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--epochs", type=int, default=30, help="passes over the training rows; defaults to 30")
    add("--batch-size", type=int, default=64, help="rows that a process takes at once; defaults to 64")
    add(
        "--accumulation-steps",
        type=int,
        default=1,
        help="batches whose gradients are summed before the weights change; defaults to 1",
    )
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
        "--precision",
        choices=("float32", "bfloat16", "float16", "auto"),
        default="float32",
        help="of the multiplications; auto takes what the device is fastest with; defaults to float32",
    )
    add(
        "--task",
        choices=("auto", "classification", "regression"),
        default="auto",
        help="defaults to auto: classification where y is one column of whole numbers, "
        f"at most {MOST_CLASSES} of them distinct",
    )


def _add_result(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--metric",
        choices=("auto", "train_loss", "test_loss", "test_accuracy", "test_rmse"),
        default="auto",
        help="by which an epoch is the best; defaults to test_loss, without a test channel to train_loss",
    )
    add(
        "--patience", type=int, default=0, help="epochs without a better one to stop after; defaults to never"
    )
    add("--keep", choices=("last", "best"), default="last", help="epoch that is saved; defaults to the last")
    add(
        "--torchscript",
        choices=("no", "trace", "script"),
        default="no",
        help="save the model as TorchScript, in model.pt; defaults to its weights, in model.pth",
    )


def _add_container(parser: argparse.ArgumentParser) -> None:
    environment = os.environ.get
    add = parser.add_argument
    add("--backend", default="auto", help="of torch.distributed; defaults to nccl on GPUs, gloo on CPUs")
    add("--num-gpus", type=int, default=int(environment("SM_NUM_GPUS") or torch.cuda.device_count()))
    add("--model-dir", default=environment("SM_MODEL_DIR", ""))
    add("--output-data-dir", default=environment("SM_OUTPUT_DATA_DIR", ""))
    add(
        "--checkpoint-dir",
        # There it is kept in S3, if the job was asked to (CheckpointConfig).
        default="/opt/ml/checkpoints" if os.path.isdir("/opt/ml/checkpoints") else "",
        help="defaults to /opt/ml/checkpoints if there is that folder; empty: no checkpoints",
    )
    add(
        "--checkpoint-every-steps",
        type=int,
        default=0,
        help="changes of the weights between two checkpoints; defaults to an epoch's",
    )
    add("--train", default=environment("SM_CHANNEL_TRAIN") or environment("SM_CHANNEL_TRAINING", ""))
    add("--test", default=environment("SM_CHANNEL_TEST", ""))
    add(
        "--memory-map",
        choices=("auto", "always", "never"),
        default="auto",
        help="leave x of .npy pairs on the disk; defaults to where it is large for the memory of the host",
    )
    add("--_tuning_objective_metric", help=argparse.SUPPRESS)  # automatic model tuning adds it to every job


def _wrong(settings: argparse.Namespace) -> list[str]:
    """List what is not allowed, or cannot go together."""
    rules = (
        ("epochs", settings.epochs >= 1, "at least 1"),
        ("batch-size", settings.batch_size >= 1, "at least 1"),
        ("accumulation-steps", settings.accumulation_steps >= 1, "at least 1"),
        ("learning-rate", 0 < settings.learning_rate < math.inf, "above 0"),
        ("dropout", 0 <= settings.dropout < 1, "at least 0 and below 1"),
        ("weight-decay", 0 <= settings.weight_decay < math.inf, "at least 0"),
        ("patience", settings.patience >= 0, "at least 0"),
        ("checkpoint-every-steps", settings.checkpoint_every_steps >= 0, "at least 0"),
        ("model-dir", settings.model_dir, "given, here or by SM_MODEL_DIR"),
        ("output-data-dir", settings.output_data_dir, "given, here or by SM_OUTPUT_DATA_DIR"),
        ("train", settings.train, "given, here or by a channel named train"),
        (
            "metric",
            settings.test or not settings.metric.startswith("test"),
            "auto or train_loss without a channel named test",
        ),
    )
    return [
        f"--{name} must be {rule}, got {getattr(settings, name.replace('-', '_'))!r}"
        for name, allowed, rule in rules
        if not allowed
    ]
