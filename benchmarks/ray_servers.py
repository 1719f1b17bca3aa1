"""Ray Serve with a model of the benchmarks, as a model of this library is set up on AWS, and its adapter."""

import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import torch

from cdk_sagemaker_pytorch.images.pytorch_image import PyTorchImage
from cdk_sagemaker_pytorch.local.base.processes import free_port
from cdk_sagemaker_pytorch.local.serving.model_server import ModelServer
from cdk_sagemaker_pytorch.serving.ray_environment import ray_environment

ROOT = Path(__file__).resolve().parents[1]
COLUMNS, CLASSES = 784, 10

#: What a model is told on AWS; and before there was HAProxy.
HAPROXY = ray_environment(PyTorchImage.inference().ray_serve_tag)
OWN_PROXY = {"RAY_SERVE_LOG_TO_STDERR": "1"}


def write_model(folder: Path, script: str) -> Path:
    """Write the folder of a model of one layer, with a script."""
    package = folder / "code" / "cdk_sagemaker_pytorch_serving"
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "inference_assets" / "serving", package, ignore=ignore)
    torch.manual_seed(0)
    torch.jit.save(torch.jit.script(torch.nn.Linear(COLUMNS, CLASSES)), folder / "model.pt")
    (folder / "code" / "inference.py").write_text(script)
    return folder


@contextmanager
def ray_serve(model: Path, log: Path, variables: Mapping[str, str]) -> Iterator[ModelServer]:
    """Serve a model with Ray Serve on a loopback port."""
    environment = {
        "SM_RAYSERVE_APP": "cdk_sagemaker_pytorch_serving.ray_application:app",
        "CDK_SAGEMAKER_PYTORCH_CHECK_MODEL": "false",
        **variables,
    }
    with ModelServer("ray", model, environment=environment, log_path=log, startup_timeout=300) as server:
        yield server


def adapter(backend: str, log: Path, timeout: float = 300) -> AbstractContextManager[str]:
    """Put the container's adapter in front of a server's URL; returns its own, without a path."""
    return _program("ray_adapter.py", log, backend.rstrip("/"), RAYSERVE_BACKEND_TIMEOUT=str(timeout))


def empty_backend(log: Path) -> AbstractContextManager[str]:
    """Start a server that computes nothing; returns its URL without a path."""
    return _program("empty_backend.py", log)


@contextmanager
def _program(name: str, log: Path, *arguments: str, **variables: str) -> Iterator[str]:
    port = free_port()
    command = [sys.executable, str(Path(__file__).with_name(name)), str(port), *arguments]
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=variables)
    try:
        url = f"http://127.0.0.1:{port}"
        while not _answers(f"{url}/ping"):
            if process.poll() is not None:
                raise SystemExit(f"{name} ended with code {process.returncode}: see {log}")
        yield url
    finally:
        process.terminate()
        process.wait()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:  # noqa: S310 - our own
            return bool(response.status == 200)
    except OSError:
        return False
