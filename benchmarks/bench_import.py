"""Import `container_image`, beside a Python that does nothing: the best of some runs of each, in turns.

python benchmarks/bench_import.py
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RUNS = 20
TARGET_MILLISECONDS = 50
SOURCES = Path(__file__).resolve().parents[1] / "constructs"
PROGRAMS = {
    "bare": "pass",
    "import": "import cdk_sagemaker_pytorch.images.container_image",
    "answer": "from cdk_sagemaker_pytorch import image_uri\n"
    "image_uri('2.13', region='us-east-1', instance_type='ml.m5.large')",
}


def milliseconds(program: str, environment: dict[str, str]) -> float:
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)
    return 1000 * (time.perf_counter() - begun)


def main() -> None:
    with tempfile.TemporaryDirectory() as compiled:
        environment = os.environ | {"PYTHONPATH": str(SOURCES), "PYTHONPYCACHEPREFIX": compiled}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package is compiled
        best = dict.fromkeys(PROGRAMS, float("inf"))
        for _ in range(RUNS):
            for name, program in PROGRAMS.items():
                best[name] = min(best[name], milliseconds(program, environment))
    more = {name: best[name] - best["bare"] for name in PROGRAMS}
    print(f"bare Python                {best['bare']:6.1f} ms")
    print(
        f"import container_image     {more['import']:+6.1f} ms,"
        f" expected {TARGET_MILLISECONDS} or less: {more['import'] <= TARGET_MILLISECONDS}"
    )
    print(f"and answer one question    {more['answer']:+6.1f} ms")


if __name__ == "__main__":
    main()
