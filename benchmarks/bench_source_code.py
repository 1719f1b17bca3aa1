"""Bind 10,000 files as source code: the first time, and again without a change.

    PYTHONPATH=constructs python benchmarks/bench_source_code.py

Times are those of `SourceCode.bind_training` in a new app, the CDK's part included; the best of some runs.
"""

import os
import random
import tempfile
import time
from pathlib import Path

from aws_cdk import App, Stack

from cdk_sagemaker_pytorch import SourceCode
from cdk_sagemaker_pytorch.source.archive_cache import CACHE_VARIABLE

FILES = 10_000
RUNS = 3
TARGET = 10
EXCLUDE = ["*.csv", "/data/", "!/package_001/*.csv"]


def write_files(folder: Path) -> None:
    """Write modules of about two kilobytes, a hundred to a package."""
    chance = random.Random(0)  # noqa: S311 - not for secrets
    for number in range(FILES - 1):
        path = folder / f"package_{number // 100:03}" / f"module_{number % 100:03}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"name_{chance.randrange(500)} = {chance.random()}\n" for _ in range(60)))
    (folder / "train.py").write_text("print('trained')\n")


def seconds_to_bind(source_dir: Path, exclude: list[str]) -> tuple[float, str]:
    """Bind the folder in a new app; returns the time, and the key of the asset."""
    with tempfile.TemporaryDirectory() as output:
        stack = Stack(App(outdir=output), "Stack")
        begun = time.perf_counter()
        source_code = SourceCode.from_directory(source_dir, entry_point="train.py", exclude=exclude)
        archive = source_code.bind_training(stack, "Code")
        return time.perf_counter() - begun, archive.object_key


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_files(folder / "src")
        seconds_to_bind(folder / "src" / "package_000" / "..", [])  # starts jsii, and fills the page cache
        time.sleep(2.5)  # what was written just now is not kept
        cold, warm, excluding = [], [], []
        for number in range(RUNS):
            os.environ[CACHE_VARIABLE] = str(folder / f"cache-{number}")
            cold.append(seconds_to_bind(folder / "src", []))
            warm.append(seconds_to_bind(folder / "src", []))
            excluding.append(seconds_to_bind(folder / "src", EXCLUDE))
        assert len({key for _, key in cold + warm + excluding}) == 1
        first, again, with_patterns = min(cold)[0], min(warm)[0], min(excluding)[0]
    ratio = first / again
    print(f"cold {first:6.2f} s for {FILES:,} files")
    print(f"warm {again:6.2f} s, cold/warm {ratio:.1f}, expected {TARGET} or more: {ratio >= TARGET}")
    print(f"warm {with_patterns:6.2f} s with {len(EXCLUDE)} exclude patterns")


if __name__ == "__main__":
    main()
