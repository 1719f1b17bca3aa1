"""Handlers that end or never come back, on the real TorchServe: one request fails, the next does not."""

import contextlib
import http.client
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cdk_sagemaker_pytorch.images.framework_version import FrameworkVersion
from cdk_sagemaker_pytorch.serving.inference_code import serving_environment
from waiting import wait_for

from .four_servers import ASSETS, Answer, Server, torchserve

pytestmark = pytest.mark.conformance

LIMIT_SECONDS = 5
SCRIPT = """
import os, sys

def model_fn(model_dir):
    return os.getpid()

def input_fn(body, content_type):
    return str(body, "utf-8") if isinstance(body, (bytes, bytearray)) else body

def predict_fn(data, model):
    if data == "raises": return [][3]
    if data == "exits": sys.exit()
    if data == "interrupts": raise KeyboardInterrupt
    if data == "generates": raise GeneratorExit
    if data == "ends": os._exit(1)
    while data == "hangs": pass
    return model

def output_fn(prediction, accept):
    return str(prediction)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("torchserve")


@pytest.fixture(scope="module")
def server(folder: Path, inference_python: Path) -> Iterator[Server]:
    code = folder / "model" / "code"
    code.mkdir(parents=True)
    (code / "faults.py").write_text(SCRIPT)
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ASSETS / "serving", code / "cdk_sagemaker_pytorch_serving", ignore=ignore)
    environment = serving_environment(
        FrameworkVersion.of("2.6"),
        entry_point="faults.py",
        has_handlers=True,
        submit_directory="/opt/ml/model/code",
        region="eu-west-1",
    ) | {"SAGEMAKER_TS_RESPONSE_TIMEOUT": str(LIMIT_SECONDS), "SAGEMAKER_MODEL_SERVER_WORKERS": "1"}
    with torchserve([(str(code.parent), environment, str(folder / "log"))], inference_python) as addresses:
        (address,) = addresses()
        yield Server(address)


@pytest.fixture
def ask(server: Server) -> Callable[[str], Answer]:
    """Send a request to a server that answers, and return what came."""

    def send(body: str) -> Answer:
        wait_for(lambda: process_of(server) is not None)
        return server.invoke(body.encode(), "text/plain")

    return send


def process_of(server: Server) -> int | None:
    """The process that answers a good request; None where none does."""
    with contextlib.suppress(OSError, http.client.HTTPException):
        answer = server.invoke(b"which", "text/plain")
        return int(answer.body) if answer.status == 200 else None
    return None


@pytest.mark.parametrize("fault", ["raises", "exits", "interrupts", "generates"])
def test_what_a_function_raises_is_a_fault_of_its_request_alone(
    ask: Callable[[str], Answer], server: Server, fault: str
) -> None:
    before = process_of(server)
    answer = ask(fault)
    assert answer.status == 500
    assert answer.body.startswith(b"predict_fn raised ")
    assert process_of(server) == before is not None


@pytest.mark.parametrize("fault", ["ends", "hangs"])
def test_a_worker_that_is_lost_is_replaced(ask: Callable[[str], Answer], server: Server, fault: str) -> None:
    before = wait_for(lambda: process_of(server))
    assert ask(fault).status in (500, 503, 507)
    assert wait_for(lambda: process_of(server)) != before


def test_each_fault_is_logged_with_its_traceback(ask: Callable[[str], Answer], folder: Path) -> None:
    ask("raises")
    wait_for(lambda: "IndexError: list index out of range" in (folder / "log").read_text())
