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
- ``model.pth`` in the model folder: for ``torch.load(..., weights_only=True)``, see `model.save_weights`.
  With ``--torchscript trace`` or ``script`` it is ``model.pt`` instead, for `torch.jit.load`.
- ``metrics.json`` and ``learning_curve.png`` in the output data folder.

Checkpoints
-----------
After each epoch, and each ``--checkpoint-every-steps``, all that decides on the rest of the run is written
to the checkpoint folder. A job that starts again with the same hyperparameters and rows continues there, and
ends, on CPUs, with the same bits as one that was never killed; with others it is refused. On SIGTERM a
checkpoint is written at once, and the script ends with exit code 143.

Several processes
-----------------
With more than one host in ``SM_HOSTS``, or under torchrun, each process trains on its share of the rows with
`DistributedDataParallel`: ``--batch-size`` is the number of rows that each process takes at once. Processes
may have different numbers of rows. A channel that is fully replicated is shared out by rank; one that is
``ShardedByS3Key`` is taken as it comes. Only rank 0 writes results.

The modules
-----------
``arguments`` reads the hyperparameters, ``channel_data`` and ``rows`` the data. ``labels`` says what is
learned, ``model`` what learns it and how that is saved, ``trainer`` how; ``precision``, ``checkpoint``,
``progress`` and ``interruption`` are parts of that. ``process_group`` joins the processes, and ``report``
tells what came of it.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
import torch
from arguments import parse_arguments
from channel_data import Table, read_channel, share_of
from interruption import Interrupted
from model import save_torchscript, save_weights
from process_group import Process, join_processes, leave_processes
from progress import Progress
from report import draw_learning_curve, log
from trainer import Trainer

# Rows of the training channel that a TorchScript model is compared on.
COMPARED_ROWS = 64


def read_channels(settings: argparse.Namespace) -> tuple[Table, Table | None]:
    """Read the training rows, and those to test on if there are any."""
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    train = read_channel(settings.train, "train", settings.memory_map, processes)
    if not settings.test:
        return train, None
    test = read_channel(settings.test, "test", settings.memory_map, processes)
    for name, of_train, of_test in zip("xy", train, test):
        if of_train.shape[1] != of_test.shape[1]:
            raise ValueError(
                f"channel test: the width of {name} must be that of train, {of_train.shape[1]}, "
                f"got {of_test.shape[1]}"
            )
    return train, test


def save_model(settings: argparse.Namespace, trainer: Trainer, train: Table) -> None:
    """Write the model as it was asked for."""
    folder = Path(settings.model_dir)
    folder.mkdir(parents=True, exist_ok=True)
    if settings.torchscript == "no":
        save_weights(folder / "model.pth", trainer.model, settings.hidden_sizes, trainer.classes)
        return
    rows = torch.from_numpy(train.x[np.arange(min(COMPARED_ROWS, len(train.x)))])
    save_torchscript(folder / "model.pt", trainer.model, settings.torchscript, rows, bool(trainer.classes))


def save_report(folder: Path, trainer: Trainer, progress: Progress, process: Process, seconds: float) -> None:
    """Write the metrics and the learning curve."""
    folder.mkdir(parents=True, exist_ok=True)
    draw_learning_curve(folder / "learning_curve.png", progress.history)
    report = {
        "task": "classification" if trainer.classes else "regression",
        "classes": trainer.classes,
        "features": len(trainer.model.input_mean),
        "train_rows": trainer.train_rows,
        "world_size": process.world_size,
        "framework_version": torch.__version__,
        "seconds": round(seconds, 3),
        "final": progress.history[-1],
        "best_epoch": progress.best_epoch,
        "epochs": progress.history,
    }
    (folder / "metrics.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def main(arguments: list[str]) -> None:
    """Read the channels, train, and write the model, its metrics and the learning curve."""
    started = time.monotonic()
    settings = parse_arguments(arguments)
    train, test = read_channels(settings)

    process = join_processes(settings.backend, settings.num_gpus)
    log(f"rank={process.rank} world_size={process.world_size} host={process.host} device={process.device}")
    trainer = Trainer(
        settings,
        share_of(process, train, "train"),
        None if test is None else share_of(process, test, "test"),
        process,
    )
    try:
        progress = trainer.run()
    except Interrupted:
        place = f"the checkpoint in {settings.checkpoint_dir}" if settings.checkpoint_dir else "the beginning"
        log(f"SIGTERM: ends, and continues from {place} when started again")
        leave_processes(process)
        sys.exit(128 + signal.SIGTERM)
    leave_processes(process)
    if process.rank == 0:
        save_model(settings, trainer, train)
        save_report(Path(settings.output_data_dir), trainer, progress, process, time.monotonic() - started)


if __name__ == "__main__":
    main(sys.argv[1:])
