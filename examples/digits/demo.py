"""The library's main job on this machine: train, package, deploy, predict, destroy.

It deploys app.py to the local AWS with the CDK CLI, runs the pipeline on the 1,797 handwritten digits
that ship with scikit-learn, and asks the endpoint for the held-out fifth. The progress goes to standard
error; the last line on standard output is one JSON object.
"""

import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from cdk_sagemaker_pytorch import Predictor
from cdk_sagemaker_pytorch.local import LocalAws, LocalAwsError
from cdk_sagemaker_pytorch.local.base.node_program import find_node

sys.path.insert(0, str(Path(__file__).parent))
from execution_progress import ExecutionFailedError, follow_execution

ROOT = Path(__file__).resolve().parents[2]
LOCAL_AWS = ROOT / ".local-aws"
STACK = "Digits"
console = Console(stderr=True)


class Stages:
    """Where the time went."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        console.print(f"[bold cyan]▶[/] {name}")
        yield
        self.seconds[name] = time.monotonic() - began

    def table(self) -> Table:
        table = Table("stage", "seconds", title="Where the time went", title_justify="left")
        table.columns[1].justify = "right"
        for name, seconds in self.seconds.items():
            table.add_row(name, f"{seconds:.1f}")
        table.add_section()
        table.add_row("all", f"{sum(self.seconds.values()):.1f}")
        return table


def synthesize(folder: Path) -> Path:
    """Run app.py, which writes its cloud assembly into a folder."""
    subprocess.run(
        [sys.executable, "app.py"],
        cwd=ROOT,
        env={
            "JSII_NODE": find_node() or "node",
            **os.environ,
            "CDK_OUTDIR": str(folder),
            "CDK_CONTEXT_JSON": _context(),
        },
        check=True,
        stdout=sys.stderr,
    )
    return folder


def _context() -> str:
    return json.dumps(json.loads((ROOT / "cdk.json").read_text())["context"])


def upload_digits(s3: Any, bucket: str) -> tuple[np.ndarray, np.ndarray]:
    """Upload both channels, and return the held-out samples and their labels."""
    digits = load_digits()
    train_x, test_x, train_y, test_y = train_test_split(
        digits.data.astype(np.float32), digits.target, test_size=0.2, random_state=0
    )
    for channel, x, y in (("train", train_x, train_y), ("test", test_x, test_y)):
        body = io.BytesIO()
        np.savez(body, x=x, y=y)
        s3.put_object(Bucket=bucket, Key=f"digits/{channel}/digits.npz", Body=body.getvalue())
    return test_x, test_y


def main() -> int:
    stages = Stages()
    shutil.rmtree(LOCAL_AWS, ignore_errors=True)  # logs of an earlier run
    with (
        tempfile.TemporaryDirectory() as folder,
        ThreadPoolExecutor() as background,
    ):
        assembly = background.submit(synthesize, Path(folder))
        aws = LocalAws(LOCAL_AWS, wait_factor=0.1)  # endpoints are sooner in service here than on AWS
        try:
            with stages.stage("start the local AWS"):
                aws.start()
            with stages.stage("bootstrap it with the CDK CLI"):
                aws.bootstrap()
            with stages.stage("synthesize app.py (begun beside the above)"):
                assembly.result()
            with stages.stage("deploy the stack with the CDK CLI"):
                outputs = aws.deploy(folder)[STACK]
            with stages.stage("upload the digits"):
                samples, labels = upload_digits(aws.client("s3"), outputs["DataBucket"])
            with stages.stage("run the pipeline: train, package, deploy, verify"):
                deployed = follow_execution(aws, outputs["StateMachineArn"], console)
            with stages.stage(f"predict {len(samples)} held-out digits"):
                runtime = aws.client("sagemaker-runtime")
                scores = Predictor(deployed["endpoint_name"], runtime).predict(samples)
                accuracy = float(np.mean(scores.argmax(axis=1) == labels))
            with stages.stage("destroy the stack with the CDK CLI"):
                aws.destroy(folder)
        finally:
            aws.stop()
    console.print(stages.table())
    print(
        json.dumps(
            {
                "endpoint": deployed["endpoint_name"],
                "training_job": deployed["training_job_name"],
                "model_data": deployed["model_data_url"],
                "samples": len(samples),
                "accuracy": round(accuracy, 4),
                "seconds": round(sum(stages.seconds.values()), 1),
            }
        )
    )
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (LocalAwsError, ExecutionFailedError) as error:
        console.print(f"[bold red]{type(error).__name__}[/]: {error}", highlight=False)
        sys.exit(1)
