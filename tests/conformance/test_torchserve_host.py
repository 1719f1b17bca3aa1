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
from cdk_sagemaker_pytorch.local.serving.model_server import ModelLoadError, ModelServer

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


# Runs in the other environment: what the ports of a server with a token say to somebody without it.
ASK = """
import http.client, json, sys
from pathlib import Path
import psutil
from cdk_sagemaker_pytorch.local.serving.model_server import ModelServer

def ask(port, method, path, headers={}):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path, "[1, 2]" if method == "POST" else None, headers)
        response = connection.getresponse()
        return [response.status, response.read().decode()]
    except http.client.HTTPException:
        return [0, ""]  # gRPC
    finally:
        connection.close()

calls = [("GET", "/ping"), ("GET", "/models"), ("GET", "/models/model"), ("POST", "/invocations"),
    ("POST", "/predictions/model"), ("POST", "/models?url=x"), ("PUT", "/models/model?min_worker=0"),
    ("DELETE", "/models/model"), ("GET", "/token?type=management"), ("POST", "/workflows?url=x")]
environment = {"SAGEMAKER_PROGRAM": "serve.py"}
log_path = Path(sys.argv[2])
with ModelServer(
    "torchserve", Path(sys.argv[1]), environment=environment, log_path=log_path, token="t"
) as server:
    sockets = [c for p in psutil.Process().children(recursive=True) for c in p.net_connections("inet")]
    ports = {c.laddr.port for c in sockets if c.status == "LISTEN"}
    strangers = [ask(port, *call)[0] for port in ports for call in calls]
    port = int(server.url_invocations.split(":")[2].split("/")[0])
    kind = {"Content-Type": "application/json"}
    wrong = ask(port, "POST", "/invocations", kind | {"Authorization": "Bearer x"})
    right = ask(port, "POST", "/invocations", kind | server.headers)
print(json.dumps({"strangers": strangers, "wrong": wrong[0], "right": right}))
"""


def test_torchserve_answers_nobody_without_its_key(model: Path, inference_python: Path) -> None:
    done = subprocess.run(
        [inference_python, "-c", ASK, model, model.with_name("log.txt")],
        env=os.environ | {"PYTHONPATH": str(REPOSITORY / "constructs")},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    seen = json.loads(done.stdout)
    assert len(seen["strangers"]) == 50
    assert set(seen["strangers"]) <= {400, 404, 0}
    assert seen["strangers"].count(400) >= 15
    assert seen["wrong"] == 400
    assert seen["right"] == [200, "13"]


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


# Runs in the other environment: TorchServe alone, as in its container; prints how it ended and what it said.
TORCHSERVE = """
import http.client, json, os, subprocess, sys
from pathlib import Path
from cdk_sagemaker_pytorch.local.serving import torchserve_host
from cdk_sagemaker_pytorch.local.base.processes import free_port

model_dir, work_dir = map(Path, sys.argv[1:3])
ports = [free_port() for _ in range(5)]
server = torchserve_host._start(model_dir, work_dir, ports)
try:
    output, _ = server.communicate(timeout=120)
    try:
        http.client.HTTPConnection("127.0.0.1", ports[0], timeout=2).request("GET", "/ping")
        listening = True
    except OSError:
        listening = False
    print(json.dumps({"ended": True, "listening": listening, "output": output}))
except subprocess.TimeoutExpired:
    print(json.dumps({"ended": False}))
finally:
    server.terminate()
    server.wait()
"""


def test_torchserve_ends_when_the_model_does_not_load(
    model: Path, inference_python: Path, tmp_path: Path
) -> None:
    serving = REPOSITORY / "inference_assets" / "serving"
    shutil.copytree(serving, model / "code" / "cdk_sagemaker_pytorch_serving")
    (model / "weights.json").write_text("{}")
    work_dir = tmp_path / "work"
    work_dir.mkdir()
    done = subprocess.run(
        [inference_python, "-c", TORCHSERVE, model, work_dir],
        env=os.environ
        | {
            "PATH": f"{inference_python.parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": os.pathsep.join([str(REPOSITORY / "constructs"), str(model), str(model / "code")]),
            "SM_MODEL_DIR": str(model),
            "SAGEMAKER_BASE_DIR": str(tmp_path),
            "SAGEMAKER_SUBMIT_DIRECTORY": str(model / "code"),
            "SAGEMAKER_PROGRAM": "cdk_sagemaker_pytorch_serving.torchserve_entry_point",
            "CDK_SAGEMAKER_PYTORCH_ENTRY_POINT": "serve.py",
        },
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    seen = json.loads(done.stdout.splitlines()[-1])
    assert seen["ended"], "TorchServe goes on, and answers its health check"
    assert not seen["listening"]
    assert "KeyError: 'bias'" in seen["output"]
