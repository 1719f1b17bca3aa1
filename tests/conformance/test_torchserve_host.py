"""Endpoints on the real TorchServe with AWS's inference toolkit, in an environment of their own."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.conformance

REPOSITORY = Path(__file__).parents[2]
HANDLERS = """
import json, os

def model_fn(model_dir):
    return json.load(open(os.path.join(model_dir, "weights.json")))["bias"]

def input_fn(body, content_type):
    return json.loads(body)

def predict_fn(data, model):
    return sum(data) + model

def output_fn(prediction, accept):
    return json.dumps(prediction)
"""
# Runs in the other environment: serves the model, sends bodies, prints what came back and what listens.
SERVE = """
import http.client, json, sys
from pathlib import Path
import psutil
from cdk_sagemaker_pytorch.local.model_server import ModelLoadError, ModelServer

model_dir, log_path, environment, bodies = sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), sys.argv[4:]
seen = {"answers": []}
try:
    log_path = Path(log_path)
    with ModelServer("torchserve", Path(model_dir), environment=environment, log_path=log_path) as server:
        seen["kind"], seen["note"], seen["ping"] = server.kind, server.server_note, server.ping()
        address, path = server.url_invocations.removeprefix("http://").split("/")
        for body in bodies:
            connection = http.client.HTTPConnection(address, timeout=60)
            connection.request("POST", "/" + path, body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            seen["answers"].append([response.status, response.read().decode()])
        sockets = [c for p in psutil.Process().children(recursive=True) for c in p.net_connections("inet")]
        seen["listening"] = sorted({c.laddr.ip for c in sockets if c.status == "LISTEN"})
except ModelLoadError as error:
    seen["error"] = str(error)
print(json.dumps(seen))
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    model = tmp_path / "model"
    (model / "code").mkdir(parents=True)
    (model / "weights.json").write_text('{"bias": 10}')
    (model / "code" / "serve.py").write_text(HANDLERS)
    return model


@pytest.fixture
def serve(model: Path, inference_python: Path) -> Callable[..., dict[str, Any]]:
    """Serve the model with these variables, send these bodies, and return what was seen."""

    def run(environment: dict[str, str], *bodies: str) -> dict[str, Any]:
        done = subprocess.run(
            [
                inference_python,
                "-c",
                SERVE,
                model,
                model.with_name("log.txt"),
                json.dumps(environment),
                *bodies,
            ],
            env=os.environ | {"PYTHONPATH": str(REPOSITORY / "constructs")},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        seen: dict[str, Any] = json.loads(done.stdout)
        return seen

    return run


def test_torchserve_serves_the_handler_functions_on_loopback_alone(
    serve: Callable[..., dict[str, Any]],
) -> None:
    seen = serve({"SAGEMAKER_PROGRAM": "serve.py"}, "[1, 2]")
    assert (seen["kind"], seen["note"], seen["ping"]) == ("torchserve", None, True)
    assert seen["answers"] == [[200, "13"]]
    assert seen["listening"] == ["::ffff:127.0.0.1"]


def test_torchserve_serves_the_bundled_entry_point(model: Path, serve: Callable[..., dict[str, Any]]) -> None:
    serving = REPOSITORY / "inference_assets" / "serving"
    shutil.copytree(serving, model / "code" / "cdk_sagemaker_pytorch_serving")
    environment = {
        "SAGEMAKER_PROGRAM": "cdk_sagemaker_pytorch_serving.torchserve_entry_point",
        "CDK_SAGEMAKER_PYTORCH_ENTRY_POINT": "serve.py",
    }
    assert serve(environment, "[1, 2]")["answers"] == [[200, "13"]]


def test_fails_when_the_model_does_not_load(model: Path, serve: Callable[..., dict[str, Any]]) -> None:
    (model / "weights.json").write_text("{}")
    error = str(serve({"SAGEMAKER_PROGRAM": "serve.py"})["error"])
    assert "KeyError: 'bias' (log: " in error
