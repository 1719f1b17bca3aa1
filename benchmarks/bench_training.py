"""Train with the bundled script, and with the shortest loop that does the same: rows per CPU second.

On one process the reference is a bare PyTorch loop, on two one with plain DistributedDataParallel. Each pair
is measured in turns, in processes of their own. Of each the epoch counts
that took the least CPU time, as others may use the machine.

PYTHONPATH=constructs:benchmarks python benchmarks/bench_training.py
"""

import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from recording import record

from cdk_sagemaker_pytorch.local.base.processes import free_port

ROOT = Path(__file__).resolve().parents[1]
ROUNDS = 2
MOST = {1: 1.05, 2: 1.10}
FEATURES = 128


class Model(NamedTuple):
    name: str
    hidden_sizes: tuple[int, ...]
    batch_size: int
    rows: int
    epochs: int


MODELS = [
    Model("small", (128, 64), 64, 6_400, 12),
    Model("medium", (512, 512), 256, 2_560, 6),
    Model("large", (2048, 2048), 256, 1_024, 4),
]


def shortest(ends: list[float]) -> float:
    return min(end - begin for begin, end in itertools.pairwise(ends))


def reference(data: Path, model: Model, rank: int, world_size: int) -> float:
    """Train without anything but the training; returns the CPU seconds of the shortest epoch."""
    torch.manual_seed(0)
    with np.load(data) as arrays:
        x = torch.from_numpy(arrays["x"][rank::world_size])
        y = torch.from_numpy(arrays["y"][rank::world_size])
    import model as models

    network: torch.nn.Module = models.MultilayerPerceptron(FEATURES, list(model.hidden_sizes), 10, 0.1)
    if world_size > 1:
        torch.distributed.init_process_group("gloo", rank=rank, world_size=world_size)
        network = torch.nn.parallel.DistributedDataParallel(network)
    steps = -(-len(x) // model.batch_size) * model.epochs
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.004, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    ends = [0.0] * model.epochs
    for epoch in range(model.epochs):
        total = torch.zeros(())
        for batch in torch.randperm(len(x)).split(model.batch_size):
            loss = torch.nn.functional.cross_entropy(network(x[batch]), y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.detach()
        total.item()
        ends[epoch] = time.process_time()
    if world_size > 1:
        torch.distributed.destroy_process_group()
    return shortest(ends)


def bundled(data: Path, model: Model, folder: Path) -> float:
    """Train with the bundled script; returns the CPU seconds of the shortest epoch."""
    import train
    import trainer

    ends: list[float] = []
    epoch_metrics = trainer.Trainer._epoch_metrics

    def timed(self: trainer.Trainer) -> dict[str, float]:
        metrics = epoch_metrics(self)
        ends.append(time.process_time())
        return metrics

    trainer.Trainer._epoch_metrics = timed  # type: ignore[method-assign]
    sizes = ",".join(map(str, model.hidden_sizes))
    arguments = [f"--train={data.parent}", f"--model-dir={folder}", f"--output-data-dir={folder}"]
    arguments += [f"--epochs={model.epochs}", f"--batch-size={model.batch_size}", f"--hidden-sizes={sizes}"]
    train.main([*arguments, "--num-gpus=0", "--checkpoint-dir="])
    return shortest(ends)


def one_process(role: str, index: int, data: str, rank: int, world_size: int) -> None:
    model = MODELS[index]
    sys.path.insert(0, str(ROOT / "training_assets"))
    # As many threads for both: where these pay off is the script's own choice, and shown by none of this.
    torch.set_num_threads(1)
    torch.set_num_threads = lambda number: None  # type: ignore[assignment]
    with tempfile.TemporaryDirectory() as folder:
        if role == "reference":
            seconds = reference(Path(data), model, rank, world_size)
        else:
            seconds = bundled(Path(data), model, Path(folder))
    print(json.dumps({"seconds": seconds}))


def seconds_of(role: str, index: int, data: Path, world_size: int) -> float:
    variables = os.environ | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    variables |= {"GLOO_SOCKET_IFNAME": "lo", "WORLD_SIZE": str(world_size), "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen(
            [sys.executable, __file__, role, str(index), str(data), str(rank), str(world_size)],
            env=variables | {"RANK": str(rank)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(world_size)
    ]
    outputs = [process.communicate()[0] for process in processes]
    assert not any(process.returncode for process in processes)
    return max(json.loads(output.splitlines()[-1])["seconds"] for output in outputs)


def main() -> None:
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for index, model in enumerate(MODELS):
            data = Path(folder, model.name, "train.npz")
            data.parent.mkdir()
            random = np.random.RandomState(0)
            x = random.randn(model.rows, FEATURES).astype(np.float32)
            np.savez(data, x=x, y=random.randint(10, size=model.rows))
            for world_size in MOST:
                best = {"reference": float("inf"), "bundled": float("inf")}
                for _ in range(ROUNDS):
                    for role in best:
                        best[role] = min(best[role], seconds_of(role, index, data, world_size))
                rows = model.rows
                ratio = best["bundled"] / best["reference"]
                results.append(
                    {
                        "model": model.name,
                        "hidden_sizes": model.hidden_sizes,
                        "batch_size": model.batch_size,
                        "processes": world_size,
                        **{f"{role}_rows_per_cpu_second": round(rows / best[role]) for role in best},
                        "ratio": round(ratio, 3),
                    }
                )
                print(
                    f"{model.name:7} {world_size} process(es) {rows / best['bundled']:10,.0f} rows per CPU s, "
                    f"{ratio:.3f} of the reference's time, expected {MOST[world_size]} or less: "
                    f"{ratio <= MOST[world_size]}",
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
        role, index, data, rank, world_size = sys.argv[1:]
        one_process(role, int(index), data, int(rank), int(world_size))
    else:
        main()
