"""Train with the bundled script, and with the shortest loop that does the same.

On one process the reference is a bare PyTorch loop, on two one with plain DistributedDataParallel. Both train
in the same processes, an epoch of the one after an epoch of the other, so that what else the machine does
meets both. What counts is the median of the pairs' ratios, of CPU time and of time: the one says what the
loop does, the other what it waits for as well.

PYTHONPATH=constructs:benchmarks python benchmarks/bench_training.py
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from recording import record

from cdk_sagemaker_pytorch.local.base.processes import free_port

ROOT = Path(__file__).resolve().parents[1]
MOST = {1: 1.05, 2: 1.10}
FEATURES, CLASSES = 128, 10


class Model(NamedTuple):
    name: str
    hidden_sizes: tuple[int, ...]
    batch_size: int
    rows: int
    epochs: int


MODELS = [
    Model("small", (128, 64), 64, 6_400, 60),
    Model("medium", (512, 512), 256, 2_560, 60),
    Model("large", (2048, 2048), 256, 512, 60),
]


def reference(model: Model, x: torch.Tensor, y: torch.Tensor, world_size: int) -> Callable[[], None]:
    """Return an epoch of a loop that does nothing but train."""
    import model as models

    network: torch.nn.Module = models.MultilayerPerceptron(FEATURES, list(model.hidden_sizes), CLASSES, 0.1)
    if world_size > 1:
        network = torch.nn.parallel.DistributedDataParallel(network)
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.004, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10_000)

    def epoch() -> None:
        total = torch.zeros(())
        for batch in torch.randperm(len(x)).split(model.batch_size):
            loss = torch.nn.functional.cross_entropy(network(x[batch]), y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.detach()
        total.item()

    return epoch


def bundled(model: Model, x: np.ndarray, y: np.ndarray, process) -> Callable[[], None]:
    """Return an epoch of the bundled script."""
    import arguments
    import interruption
    import trainer
    from channel_data import Table

    sizes = ",".join(map(str, model.hidden_sizes))
    settings = arguments.parse_arguments(
        [
            *("--train=-", "--model-dir=-", "--output-data-dir=-", "--checkpoint-dir=", "--num-gpus=0"),
            *(f"--batch-size={model.batch_size}", f"--hidden-sizes={sizes}", "--task=classification"),
        ]
    )
    training = trainer.Trainer(settings, Table(x, y[:, None].astype(np.float64)), None, process)
    training._begin()
    noted = interruption.Interruption(process)

    def epoch() -> None:
        training._train_epoch(noted)
        training._progress.end_epoch(training._epoch_metrics(), training.metric, {})

    return epoch


def one_process(index: int) -> None:
    """Train both in this process, and print the CPU seconds and the seconds of each epoch."""
    sys.path.insert(0, str(ROOT / "training_assets"))
    from process_group import join_processes, leave_processes

    model = MODELS[index]
    # As many threads for both: where more pay off is the script's own choice, and shown by none of this.
    torch.set_num_threads(1)
    torch.set_num_threads = lambda number: None  # type: ignore[assignment]
    process = join_processes("gloo", 0)
    random = np.random.RandomState(process.rank)
    x = random.randn(model.rows // process.world_size, FEATURES).astype(np.float32)
    y = random.randint(CLASSES, size=len(x))
    epochs = {
        "reference": reference(model, torch.from_numpy(x), torch.from_numpy(y), process.world_size),
        "bundled": bundled(model, x, y, process),
    }
    clocks = {"cpu": time.process_time, "wall": time.perf_counter}
    times: dict[str, list[float]] = {f"{role}_{clock}": [] for role in epochs for clock in clocks}
    for _ in range(model.epochs):
        for role, epoch in epochs.items():
            begun = {name: clock() for name, clock in clocks.items()}
            epoch()
            for name, clock in clocks.items():
                times[f"{role}_{name}"].append(clock() - begun[name])
    del epochs, epoch
    leave_processes(process)
    print(json.dumps(times))


def measure(index: int, world_size: int) -> dict[str, list[float]]:
    """Train in so many processes; returns the seconds of each epoch, of the process that took longest."""
    variables = os.environ | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    variables |= {"GLOO_SOCKET_IFNAME": "lo", "WORLD_SIZE": str(world_size), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, __file__, str(index)]
    processes = [
        subprocess.Popen(command, env=variables | {"RANK": str(rank)}, stdout=subprocess.PIPE, text=True)
        for rank in range(world_size)
    ]
    outputs = [process.communicate()[0] for process in processes]
    assert not any(process.returncode for process in processes)
    found = [json.loads(output.splitlines()[-1]) for output in outputs]
    return {
        name: [max(epoch) for epoch in zip(*(each[name] for each in found), strict=True)] for name in found[0]
    }


def ratio(times: dict[str, list[float]], clock: str) -> float:
    pairs = zip(times[f"bundled_{clock}"], times[f"reference_{clock}"], strict=True)
    return round(statistics.median(bundled / reference for bundled, reference in pairs), 3)


def main() -> None:
    results = []
    for index, model in enumerate(MODELS):
        for world_size, most in MOST.items():
            times = measure(index, world_size)
            ratios = {f"{clock}_ratio": ratio(times, clock) for clock in ("cpu", "wall")}
            shape = {"model": model.name, "hidden_sizes": model.hidden_sizes, "batch_size": model.batch_size}
            speeds = {
                f"{role}_rows_per_{clock}_second": round(
                    model.rows / statistics.median(times[f"{role}_{clock}"])
                )
                for role in ("reference", "bundled")
                for clock in ("cpu", "wall")
            }
            results.append({**shape, "processes": world_size, **speeds, **ratios})
            print(
                f"{model.name:7} on {world_size}: {ratios['cpu_ratio']:.3f} of the reference's CPU time,"
                f" {ratios['wall_ratio']:.3f} of its time, expected {most} or less:"
                f" {max(ratios.values()) <= most}",
                flush=True,
            )
    record(
        ROOT / "benchmarks" / "results" / "training.json",
        reference="one process: a bare loop; two: plain DistributedDataParallel (gloo); one thread each",
        results=results,
        torch=torch.__version__,
    )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        one_process(int(sys.argv[1]))
    else:
        main()
