"""Train a multilayer perceptron on the rows of one or many processes."""

from __future__ import annotations

import argparse
import contextlib
import inspect
import math
from typing import Any, ContextManager

import torch
from channel_data import Table
from checkpoint import Checkpoints
from interruption import Interrupted, Interruption
from labels import class_indices, find_classes
from model import MultilayerPerceptron, largest_layer
from precision import Precision
from process_group import Process, gathered, summed
from progress import Progress
from report import log, metric_line
from rows import Rows
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel

# Rows that pass the model at once when it is measured.
EVALUATION_ROWS = 8192

# A layer with fewer multiplications in a step than this is done before other threads have woken up.
THREADS_PAY_FROM = 8_000_000

# The hyperparameters that decide on the result, besides the precision.
DECISIVE = (
    "epochs",
    "batch_size",
    "accumulation_steps",
    "learning_rate",
    "hidden_sizes",
    "dropout",
    "weight_decay",
    "seed",
    "task",
)


def mean_and_scale(rows: Rows, process: Process) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation by column over all processes; a constant column has the scale 1."""
    count = summed(torch.tensor(len(rows), device=process.device), process)
    mean = torch.zeros(rows.features, dtype=torch.float64, device=process.device)
    for block in rows.blocks():
        mean += block.double().sum(0)
    mean = summed(mean, process) / count
    squares = torch.zeros_like(mean)
    for block in rows.blocks():
        squares += ((block.double() - mean) ** 2).sum(0)
    scale = (summed(squares, process) / count).sqrt()
    return mean.float(), torch.where(scale > 0, scale, torch.ones_like(scale)).float()


def in_parallel(model: MultilayerPerceptron, device: torch.device) -> DistributedDataParallel:
    """Let the gradients of a model be averaged over all processes, while they are computed."""
    # The means and scales are the same everywhere, and stay so.
    name = "forward_sync_buffers"
    if name not in inspect.signature(DistributedDataParallel).parameters:  # before PyTorch 2.13
        name = "broadcast_buffers"
    options: dict[str, Any] = {name: False, "gradient_as_bucket_view": True}
    if device.type == "cuda":
        options["device_ids"] = [device.index]
    return DistributedDataParallel(model, **options)


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
    metric
        By which an epoch is the best.
    """

    def __init__(
        self, settings: argparse.Namespace, train: Table, test: Table | None, process: Process
    ) -> None:
        self._settings, self._process = settings, process
        device = process.device
        targets = torch.from_numpy(train.y).to(device)
        self._x = Rows(train.x, device)
        self._rows_by_process = gathered(torch.tensor([len(self._x)], device=device), process).tolist()
        self.train_rows = sum(self._rows_by_process)
        self.classes = find_classes(settings.task, targets, process)
        self.metric = self._metric(with_test=test is not None)
        torch.manual_seed(settings.seed)  # every process draws the same weights
        outputs = len(self.classes) or targets.shape[1]
        self.model = MultilayerPerceptron(
            self._x.features, settings.hidden_sizes, outputs, settings.dropout
        ).to(device)
        is_large = settings.batch_size * largest_layer(self.model) >= THREADS_PAY_FROM
        if not is_large:
            torch.set_num_threads(1)
        self._precision = Precision(settings.precision, device, is_large)
        self.model.input_mean, self.model.input_scale = mean_and_scale(self._x, process)
        if not self.classes:
            self.model.output_mean, self.model.output_scale = mean_and_scale(Rows(train.y, device), process)
        self._y = self._labels(targets, "train")
        self._test = None
        if test is not None:
            labels = self._labels(torch.from_numpy(test.y).to(device), "test")
            self._test = (Rows(test.x, device), labels)

    def _metric(self, with_test: bool) -> str:
        known = ["train_loss"]
        if with_test:
            known += ["test_loss", "test_accuracy" if self.classes else "test_rmse"]
        asked: str = self._settings.metric
        if asked == "auto":
            return known[1] if with_test else known[0]
        if asked not in known:
            task = "classification" if self.classes else "regression"
            raise ValueError(f"--metric must be one of {', '.join(known)} for a {task}, got {asked}")
        return asked

    def _labels(self, targets: torch.Tensor, channel: str) -> torch.Tensor:
        """Turn targets into the indices of their classes, or standardise them."""
        if not self.classes:
            return (targets.float() - self.model.output_mean) / self.model.output_scale
        return class_indices(targets, self.classes, channel)

    def run(self) -> Progress:
        """Train, from the last checkpoint if there is one, and log a line of metrics for each epoch.

        Raises
        ------
        FloatingPointError
            The training loss stopped being finite.
        Interrupted
            The process got SIGTERM.
        ValueError
            The checkpoint is of another run.
        """
        settings, process = self._settings, self._process
        self._begin()
        progress = self._progress
        try:
            with Interruption(process) as interruption:
                while progress.epoch <= settings.epochs and not self._has_lost_patience():
                    self._train_epoch(interruption)
                    metrics = self._epoch_metrics()
                    if process.rank == 0:
                        log(metric_line(metrics))
                    needs_weights = process.rank == 0 and (settings.keep == "best" or self._checkpoints)
                    weights = self.model.state_dict() if needs_weights else {}
                    progress.end_epoch(metrics, self.metric, weights)
                    self._save()
        finally:
            del self._parallel  # which holds on to the group of the processes
        if settings.keep == "best" and process.rank == 0:
            self.model.load_state_dict(progress.best_weights)
        return progress

    def _begin(self) -> None:
        """Make what changes the weights, and bring all of it to where the last checkpoint was."""
        settings, process = self._settings, self._process
        batches = math.ceil(max(self._rows_by_process) / settings.batch_size)
        self._steps_of_epoch = math.ceil(batches / settings.accumulation_steps)
        self._optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        self._schedule = torch.optim.lr_scheduler.CosineAnnealingLR(
            self._optimizer, settings.epochs * self._steps_of_epoch
        )
        self._parallel: Any = self.model
        if process.world_size > 1:
            self._parallel = in_parallel(self.model, process.device)
            # It arranges gradients anew after the first backward. That one is of no rows here, so that a run
            # that continues adds them up in the same order as one that was never killed.
            self._parallel(self._x[torch.zeros(0, dtype=torch.long, device=process.device)]).sum().backward()
            self._optimizer.zero_grad()
        # From here on each process draws its own dropout.
        torch.manual_seed(settings.seed + process.rank)
        self._progress = Progress(process.device)
        self._checkpoints = Checkpoints(settings.checkpoint_dir, self._made_by(), process)
        state = self._checkpoints.load()
        if state is not None:
            self._continue_from(state)

    def _made_by(self) -> dict[str, Any]:
        """List what the result depends on."""
        if not self._settings.checkpoint_dir:
            return {}
        made_by = {f"--{name.replace('_', '-')}": getattr(self._settings, name) for name in DECISIVE}
        made_by.update({"--precision": self._precision.name, "the metric of the best epoch": self.metric})
        made_by["the number of processes"] = self._process.world_size
        made_by["the checksums of channel train"] = self._checksums(self._x, self._y)
        if self._test is not None:
            made_by["the checksums of channel test"] = self._checksums(*self._test)
        return made_by

    def _checksums(self, x: Rows, y: torch.Tensor) -> list[int]:
        rows_and_labels = torch.tensor(
            [x.checksum(), Rows(y.reshape(len(y), -1).cpu().numpy(), y.device).checksum()]
        )
        sums: list[int] = gathered(rows_and_labels.to(self._process.device), self._process).tolist()
        return sums

    def _continue_from(self, state: dict[str, Any]) -> None:
        rank = self._process.rank
        self.model.load_state_dict(state["model"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._schedule.load_state_dict(state["schedule"])
        self._precision.scaler.load_state_dict(state["scaler"])
        self._progress.load_state_dict(state["progress"])
        self._progress.loss = state["losses"][rank].to(self._process.device)
        # Copies: of a row alone it would take memory that is not the row's.
        torch.set_rng_state(state["random"][rank].clone())
        if "random_of_gpu" in state:
            torch.cuda.set_rng_state(state["random_of_gpu"][rank].clone(), self._process.device)

    def _save(self) -> None:
        """Write a checkpoint, to which every process adds what it alone knows."""
        if not self._checkpoints:
            return
        device, process = self._process.device, self._process

        def of_all(values: torch.Tensor) -> torch.Tensor:
            return gathered(values.reshape(-1).to(device), process).reshape(process.world_size, -1).cpu()

        state = {
            "step": self._progress.steps,
            "progress": self._progress.state_dict(),
            "losses": of_all(self._progress.loss)[:, 0],
            "random": of_all(torch.get_rng_state()),
            "model": self.model.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "schedule": self._schedule.state_dict(),
            "scaler": self._precision.scaler.state_dict(),
        }
        if device.type == "cuda":
            state["random_of_gpu"] = of_all(torch.cuda.get_rng_state(device))
        self._checkpoints.save(state)

    def _has_lost_patience(self) -> bool:
        patience, progress = self._settings.patience, self._progress
        return bool(patience) and progress.epoch - 1 - progress.best_epoch >= patience

    def _train_epoch(self, interruption: Interruption) -> None:
        """Do what is left of the current epoch."""
        progress, every = self._progress, self._settings.checkpoint_every_steps
        self.model.train()
        order = self._order(progress.epoch)
        for step in range(progress.steps_of_epoch, self._steps_of_epoch):
            progress.loss += self._step(order, step)
            progress.steps_of_epoch += 1
            progress.steps += 1
            if interruption.is_agreed():
                self._save()
                raise Interrupted
            if every and progress.steps % every == 0:
                self._save()

    def _order(self, epoch: int) -> torch.Tensor:
        """Order of the rows of this process in an epoch, whatever was drawn before."""
        settings, process = self._settings, self._process
        seed = ((settings.seed * 1_000_003 + process.rank) * 1_000_003 + epoch) % 2**63
        generator = torch.Generator().manual_seed(seed)
        return torch.randperm(len(self._x), generator=generator).to(process.device)

    def _step(self, order: torch.Tensor, step: int) -> torch.Tensor:
        """Change the weights once; returns the sum of the losses of this process."""
        size, scaler = self._settings.batch_size, self._precision.scaler
        begin = step * size * self._settings.accumulation_steps
        end = begin + size * self._settings.accumulation_steps
        rows = sum(min(end, of_process) - min(begin, of_process) for of_process in self._rows_by_process)
        # A process that has run out of rows still takes part, with none.
        starts = range(begin, min(end, max(self._rows_by_process)), size)
        losses = []
        for start in starts:
            batch = order[start : start + size]
            with self._until_summed(is_last=start == starts[-1]):
                with self._precision.autocast():
                    outputs = self._parallel(self._x[batch])
                loss = self._loss(outputs.float(), self._y[batch])
                if start == begin:  # not before: their memory goes to the new ones at once
                    self._optimizer.zero_grad()
                # Between processes gradients are averaged: this makes it the mean over all rows.
                scaler.scale(loss * (self._process.world_size / rows)).backward()
            losses.append(loss.detach())
        scaler.step(self._optimizer)
        scaler.update()
        self._schedule.step()
        return sum(losses[1:], losses[0])

    def _until_summed(self, is_last: bool) -> ContextManager[Any]:
        """Keep gradients in the process, until those of the last batch of a step."""
        if is_last or self._process.world_size == 1:
            return contextlib.nullcontext()
        without_sum: ContextManager[Any] = self._parallel.no_sync()
        return without_sum

    def _loss(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Sum of the losses of the rows."""
        if self.classes:
            return functional.cross_entropy(outputs, labels, reduction="sum")
        return functional.mse_loss(outputs, labels, reduction="sum") / labels.shape[1]

    def _epoch_metrics(self) -> dict[str, float]:
        epoch, process = self._progress.epoch, self._process
        loss = float(summed(self._progress.loss.clone(), process)) / self.train_rows
        if not math.isfinite(loss):
            raise FloatingPointError(
                f"the training loss is not finite in epoch {epoch}: lower --learning-rate, "
                f"got {self._settings.learning_rate}"
            )
        return {"epoch": epoch, "train_loss": loss, **self._test_metrics()}

    def _test_metrics(self) -> dict[str, float]:
        if self._test is None:
            return {}
        self.model.eval()
        x, y = self._test
        sums = torch.zeros(3, dtype=torch.float64, device=self._process.device)
        with torch.no_grad():
            for block, labels in zip(x.blocks(EVALUATION_ROWS), torch.split(y, EVALUATION_ROWS)):
                outputs = self.model(block)
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
