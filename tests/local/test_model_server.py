import contextlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import httpx
import psutil
import pytest

from cdk_sagemaker_pytorch.local.base.container_view import why_no_container_view
from cdk_sagemaker_pytorch.local.serving import model_server
from cdk_sagemaker_pytorch.local.serving.model_server import ModelLoadError, ModelServer, ServerKind
from waiting import wait_for

pytestmark = pytest.mark.local
needs_mounts = pytest.mark.skipif(
    why_no_container_view() is not None, reason=f"private mounts: {why_no_container_view()}"
)

SERVING = Path(__file__).parents[2] / "inference_assets" / "serving"
ModelFolder = Callable[[Mapping[str, str]], Path]

# Adds up numbers; a script that needs no framework.
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
RAY_APP = """
import json, os
from ray import serve

@serve.deployment
class Adder:
    def __init__(self):
        path = os.path.join(os.environ["SM_MODEL_DIR"], "weights.json")
        self.bias = json.load(open(path))["bias"]

    async def __call__(self, request):
        return sum(await request.json()) + self.bias

app = Adder.bind()
"""


@pytest.fixture
def model_folder(tmp_path: Path) -> ModelFolder:
    def make(code: Mapping[str, str]) -> Path:
        model = tmp_path / "model"
        (model / "code").mkdir(parents=True)
        (model / "weights.json").write_text('{"bias": 10}')
        for name, text in code.items():
            (model / "code" / name).write_text(text)
        return model

    return make


def predict(server: ModelServer, body: str) -> tuple[int, str]:
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    response = httpx.post(server.url_invocations, content=body, headers=headers, timeout=60)
    return response.status_code, response.text


def descendants(server: ModelServer) -> list[psutil.Process]:
    assert server._process is not None
    supervisor = psutil.Process(server._process.pid)
    return [supervisor, *supervisor.children(recursive=True)]


def temporary_folders(processes: list[psutil.Process]) -> set[Path]:
    """Return the working folders that hosts among these processes were started with."""
    folders = set()
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            command = process.cmdline()
            if "--work-dir" in command:
                folders.add(Path(command[command.index("--work-dir") + 1]))
    return folders


def listening_addresses(processes: list[psutil.Process]) -> set[str]:
    addresses = set()
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            connections = process.net_connections("tcp")
            addresses |= {each.laddr.ip for each in connections if each.status == psutil.CONN_LISTEN}
    return addresses


def wait_until_gone(processes: list[psutil.Process]) -> None:
    wait_for(lambda: not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in processes))


def test_ray_serves_the_bundled_application_on_loopback_alone_and_leaves_nothing(
    model_folder: ModelFolder, tmp_path: Path
) -> None:
    lines: list[str] = []
    model = model_folder({"serve.py": HANDLERS})
    shutil.copytree(SERVING, model / "code" / "cdk_sagemaker_pytorch_serving")
    server = ModelServer(
        "ray",
        model,
        environment={
            "SM_RAYSERVE_APP": "cdk_sagemaker_pytorch_serving.ray_application:app",
            "SAGEMAKER_PROGRAM": "serve.py",
            "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
        },
        log_path=tmp_path / "ray.log",
        on_line=lines.append,
    )
    with server:
        assert server.ping()
        assert predict(server, "[1, 2]") == (200, "13")
        processes = descendants(server)
        assert len(processes) > 5
        assert listening_addresses(processes) <= {"127.0.0.1", "::ffff:127.0.0.1"}
        [work_dir] = temporary_folders(processes)
        assert work_dir.exists()
    wait_until_gone(processes)
    assert not work_dir.exists()
    assert not server.ping()
    assert any("is ready" in line for line in lines)
    assert server.failure_reason is None


def test_two_ray_endpoints_at_once_end_when_their_parent_is_killed(
    model_folder: ModelFolder, tmp_path: Path
) -> None:
    model = model_folder({"app.py": RAY_APP})
    # The container takes the application from here before it asks SM_RAYSERVE_APP.
    (model / "config.yaml").write_text(
        "applications:\n- {name: adder, route_prefix: /, import_path: app:app}\n"
    )
    code = f"""
import sys, urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from cdk_sagemaker_pytorch.local.serving.model_server import ModelServer
servers = [
    ModelServer("ray", Path({str(model)!r}), environment={{}}, log_path=Path({str(tmp_path)!r}, name))
    for name in ("1.log", "2.log")
]
with ThreadPoolExecutor() as pool:
    list(pool.map(ModelServer.start, servers))
for server in servers:
    print(urllib.request.urlopen(server.url_invocations, b"[1]").read().decode(), flush=True)
sys.stdin.read()
"""
    parent = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with parent:
        assert parent.stdout is not None
        assert [parent.stdout.readline() for _ in range(2)] == ["11\n", "11\n"]
        processes = psutil.Process(parent.pid).children(recursive=True)
        folders = temporary_folders(processes)
        assert len(folders) == 2
        parent.kill()
    wait_until_gone(processes)
    assert not any(folder.exists() for folder in folders)


def test_fails_when_the_ray_application_does_not_load(model_folder: ModelFolder, tmp_path: Path) -> None:
    model = model_folder({"app.py": RAY_APP})
    (model / "weights.json").unlink()
    server = ModelServer(
        "ray", model, environment={"SM_RAYSERVE_APP": "app:app"}, log_path=tmp_path / "ray.log"
    )
    with pytest.raises(ModelLoadError, match=r"FileNotFoundError: .*weights\.json.*\(log: .*ray\.log\)"):
        server.start()
    assert server.failure_reason is not None
    assert not server.ping()


def test_asgi_serves_the_handler_functions(model_folder: ModelFolder, tmp_path: Path) -> None:
    server = ModelServer(
        "asgi",
        model_folder({"serve.py": HANDLERS}),
        environment={"SAGEMAKER_PROGRAM": "serve.py", "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code"},
        log_path=tmp_path / "asgi.log",
    )
    with server:
        assert server.ping()
        assert predict(server, "[1, 2]") == (200, "13")
        status, message = predict(server, "not json")
        assert status == 500
        assert "JSONDecodeError" in message
        processes = descendants(server)
        assert listening_addresses(processes) == {"127.0.0.1"}
    wait_until_gone(processes)


@needs_mounts
@pytest.mark.parametrize("kind", ["asgi", "ray"])
def test_a_handler_that_says_opt_ml_finds_its_model(
    model_folder: ModelFolder, tmp_path: Path, kind: ServerKind
) -> None:
    handlers = HANDLERS.replace("os.path.join(model_dir, ", "os.path.join('/opt/ml/model/', ")
    app = RAY_APP.replace('os.environ["SM_MODEL_DIR"]', '"/opt/ml/model"')
    server = ModelServer(
        kind,
        model_folder({"serve.py": handlers, "app.py": app}),
        environment={
            "SAGEMAKER_PROGRAM": "serve.py",
            "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
            "SM_RAYSERVE_APP": "app:app",
        },
        log_path=tmp_path / "server.log",
    )
    with server:
        assert predict(server, "[1, 2]") == (200, "13")


def test_asgi_starts_over_when_a_script_does_not_come_back(model_folder: ModelFolder, tmp_path: Path) -> None:
    script = HANDLERS.replace(
        "    return sum", "    while data == []: pass\n    if data == [0]: exit()\n    return sum"
    )
    server = ModelServer(
        "asgi",
        model_folder({"inference.py": script}),
        environment={"SAGEMAKER_MODEL_SERVER_TIMEOUT": "5"},
        log_path=tmp_path / "asgi.log",
    )
    with server:
        assert predict(server, "[0]") == (500, "predict_fn raised SystemExit: None")
        assert predict(server, "[1, 2]") == (200, "13")
        assert predict(server, "[]") == (504, "no answer within 5 s")
        wait_for(lambda: not server.ping())
        wait_for(server.ping)
        assert predict(server, "[1, 2]") == (200, "13")
        processes = descendants(server)
    wait_until_gone(processes)
    assert "in predict_fn" in server.log_path.read_text()


def test_requirements_are_installed_for_the_endpoint_alone(model_folder: ModelFolder, tmp_path: Path) -> None:
    model = model_folder({"inference.py": HANDLERS, "requirements.txt": "numpy\n"})
    server = ModelServer("asgi", model, environment={}, log_path=tmp_path / "asgi.log")
    with server:
        assert predict(server, "[1]") == (200, "11")
    assert "Requirement already satisfied: numpy" in server.log_path.read_text()


def test_fails_when_a_requirement_cannot_be_installed(model_folder: ModelFolder, tmp_path: Path) -> None:
    model = model_folder({"inference.py": HANDLERS, "requirements.txt": "./missing.whl\n"})
    with pytest.raises(ModelLoadError, match=r"InstallRequirementsError: .*(?s:.*)missing\.whl"):
        ModelServer("asgi", model, environment={}, log_path=tmp_path / "asgi.log").start()


def test_fails_when_the_model_does_not_load(model_folder: ModelFolder, tmp_path: Path) -> None:
    model = model_folder({"inference.py": "def model_fn(model_dir):\n    raise ValueError('no weights')"})
    server = ModelServer("asgi", model, environment={}, log_path=tmp_path / "asgi.log")
    with pytest.raises(ModelLoadError, match=r"ValueError: no weights \(log: .*asgi\.log\)"):
        server.start()


def test_fails_when_the_model_does_not_load_in_time(model_folder: ModelFolder, tmp_path: Path) -> None:
    model = model_folder({"inference.py": "import time\ntime.sleep(600)"})
    server = ModelServer("asgi", model, environment={}, log_path=tmp_path / "log", startup_timeout=0.5)
    with pytest.raises(ModelLoadError, match=r"the model was not loaded after 0\.5 seconds"):
        server.start()


def test_asgi_takes_the_place_of_torchserve_and_says_so(
    model_folder: ModelFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_server, "torchserve_missing", lambda: ["java"])
    model = model_folder({"inference.py": HANDLERS})
    # What the container gets for a model that carries the serving package.
    environment = {"SAGEMAKER_PROGRAM": "cdk_sagemaker_pytorch_serving.torchserve_entry_point"}
    server = ModelServer("torchserve", model, environment=environment, log_path=tmp_path / "log")
    note = "a plain ASGI host in place of TorchServe: not installed: java"
    assert (server.kind, server.server_note) == ("asgi", note)
    with server:
        assert predict(server, "[1]") == (200, "11")
    assert note in server.log_path.read_text()


def test_fails_when_the_server_is_unknown_or_the_folder_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="kind must be one of ray, torchserve, asgi, elastic_inference, got"):
        ModelServer("flask", tmp_path, environment={}, log_path=tmp_path / "log")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"model_dir must be a folder, got .*nothing"):
        ModelServer("asgi", tmp_path / "nothing", environment={}, log_path=tmp_path / "log")
