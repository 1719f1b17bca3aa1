"""Kills training runs, lets them begin again, and says what weights came of it: a program for the tests.

``python killed_runs.py FOLDER WORLD_SIZE PORT...`` trains on the data of the folder to the end, and then once
for each of `POINTS`, where a process kills itself. Processes are forks of this one, which has torch already.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import checkpoint
import torch
import torch._dynamo  # which process_group imports, and would in each fork anew
import train
import trainer

#: Where a process kills itself: before its n-th step, or in its n-th checkpoint.
POINTS = [
    ("step", 1),
    ("step", 2),
    ("step", 5),
    ("step", 6),
    ("step", 7),
    ("step", 13),
    ("half a file", 1),
    ("half a file", 2),
    ("file without its name", 3),
    ("named file", 2),
]
ARGUMENTS = [
    *("--epochs=3", "--batch-size=4", "--accumulation-steps=2", "--hidden-sizes=6,5", "--dropout=0.3"),
    *("--seed=3", "--checkpoint-every-steps=2", "--keep=best", "--patience=3", "--num-gpus=0"),
]


def kill_here() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def prepare(kind: str, number: int) -> None:
    """Let this process kill itself at a point."""
    counts = {"left": number}

    def is_there() -> bool:
        counts["left"] -= 1
        return counts["left"] == 0

    if kind == "step":
        step = trainer.Trainer._step

        def counted(self: object, *arguments: object) -> object:
            if is_there():
                kill_here()
            return step(self, *arguments)

        trainer.Trainer._step = counted
        return
    write, replace = checkpoint.write_atomically, os.replace

    def counted_write(path: Path, content: bytes | memoryview) -> None:
        if not is_there():
            write(path, content)
            return
        if kind == "half a file":
            path.with_name(f".{path.name}.tmp").write_bytes(bytes(content)[: len(content) // 2])
            kill_here()
        if kind == "file without its name":
            os.replace = lambda *paths: kill_here()
        write(path, content)
        os.replace = replace
        kill_here()

    checkpoint.write_atomically = counted_write


def fork(task: Callable[[], None], log: Path) -> int:
    """Run a task in a process of its own."""
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(output, 1)
        os.dup2(output, 2)
        task()
        code = 0
    except SystemExit as error:
        code = int(error.code or 0)
    finally:
        sys.stdout.flush()
        os._exit(code)
    raise AssertionError


def run(data: Path, folder: Path, world_size: int, port: int, point: tuple[str, int] | None) -> list[int]:
    """Train with some processes, of which one kills itself at a point if one is given; returns exit codes."""

    def task(rank: int) -> None:
        os.environ.update(RANK=str(rank), WORLD_SIZE=str(world_size))
        os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), GLOO_SOCKET_IFNAME="lo")
        if point is not None and rank == (world_size - 1 if point[0] == "step" else 0):
            prepare(*point)
        folders = [f"--{name}-dir={folder / name}" for name in ("model", "output-data", "checkpoint")]
        train.main([f"--train={data / 'train'}", f"--test={data / 'test'}", *folders, *ARGUMENTS])

    processes = [fork(lambda rank=rank: task(rank), folder / f"log-{rank}") for rank in range(world_size)]
    first, code = os.wait()
    if point is not None:
        # The others wait for the one that is gone, or have noticed.
        for process in set(processes) - {first}:
            os.kill(process, signal.SIGKILL)
    codes = {first: code}
    for process in set(processes) - {first}:
        codes[process] = os.waitpid(process, 0)[1]
    return [codes[process] for process in processes]


def outcome(folder: Path) -> dict[str, object]:
    weights = torch.load(folder / "model" / "model.pth", weights_only=True)["state_dict"]
    report = json.loads((folder / "output-data" / "metrics.json").read_text())
    checkpoints = sorted(path.name for path in (folder / "checkpoint").iterdir())
    log = (folder / "log-0").read_text()
    return {
        "weights": {name: tensor.numpy().tobytes().hex() for name, tensor in weights.items()},
        "metrics": report["epochs"],
        "checkpoints": checkpoints,
        "continued": [line.split()[-1] for line in log.splitlines() if line.startswith("continues")],
    }


def main(data: Path, world_size: int, ports: list[int]) -> None:
    outcomes = {}
    for number, point in enumerate([None, *POINTS]):
        name = "never killed" if point is None else f"{point[0]} {point[1]}"
        folder = data / name
        folder.mkdir()
        if point is not None:
            run(data, folder, world_size, ports[2 * number], point)
        codes = run(data, folder, world_size, ports[2 * number + 1], None)
        assert not any(codes), (name, codes)
        outcomes[name] = outcome(folder)
    (data / "outcomes.json").write_text(json.dumps(outcomes))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), [int(port) for port in sys.argv[3:]])
