"""Compare the handlers with the defaults of AWS's inference toolkit, both behind TorchServe, in one run.

    PYTHONPATH=constructs python benchmarks/bench_serving.py

Needs torch, TorchServe with AWS's inference toolkit, and Java. One worker of each serves the same TorchScript
model on loopback; a request and its answer are of the same type. The servers take turns. Each line tells
the best and the median time of a request, and the ratio of the best ones. Whether orjson is installed, which
the handlers then take, is told with the results, which go to benchmarks/results/serving.json.
"""

import http.client
import io
import json
import shutil
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
import ts
from recording import record

from cdk_sagemaker_pytorch.local.serving.model_server import ModelServer

ROOT = Path(__file__).resolve().parents[1]
ASSETS = ROOT / "inference_assets"
RESULTS = ROOT / "benchmarks" / "results" / "serving.json"
COLUMNS, CLASSES = 784, 10
JSON, CSV, NPY = "application/json", "text/csv", "application/x-npy"
TARGETS = {("CSV", 1000): 5.0}
SECONDS_PER_CASE = 12.0


def write_models(folder: Path) -> tuple[Path, Path]:
    """Write the folder of the model as a user packs it, and as this library does."""
    toolkit, ours = folder / "toolkit", folder / "ours"
    toolkit.mkdir()
    torch.manual_seed(0)
    torch.jit.save(torch.jit.script(torch.nn.Linear(COLUMNS, CLASSES)), toolkit / "model.pt")
    shutil.copytree(toolkit, ours)
    package = ours / "code" / "cdk_sagemaker_pytorch_serving"
    shutil.copytree(ASSETS / "serving", package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ASSETS / "inference.py", ours / "code")
    return toolkit, ours


def start(folder: Path, stack: ExitStack) -> dict[str, http.client.HTTPConnection]:
    """Start both servers, and return a connection to each."""
    common = {"SAGEMAKER_MODEL_SERVER_WORKERS": "1", "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code"}
    environments = {
        "toolkit": common | {"SAGEMAKER_PROGRAM": "inference.py"},
        "ours": common | {"SAGEMAKER_PROGRAM": "cdk_sagemaker_pytorch_serving.torchserve_entry_point"},
    }
    servers = {
        name: ModelServer(
            "torchserve", model, environment=environments[name], log_path=folder / f"{name}.log"
        )
        for name, model in zip(environments, write_models(folder), strict=True)
    }
    for server in servers.values():
        if server.server_note:
            raise SystemExit(server.server_note)
        stack.callback(server.stop)
    with ThreadPoolExecutor() as pool:
        list(pool.map(ModelServer.start, servers.values()))
    connections = {}
    for name, server in servers.items():
        address = server.url_invocations.removeprefix("http://").removesuffix("/invocations")
        connections[name] = http.client.HTTPConnection(address, timeout=120)
        stack.callback(connections[name].close)
    return connections


def bodies(rows: int) -> dict[str, tuple[str, bytes]]:
    """Return the requests of so many rows: content type and body by name."""
    array = np.random.default_rng(0).random((rows, COLUMNS), dtype=np.float32)
    stream = io.BytesIO()
    np.save(stream, array)
    return {
        "CSV": (CSV, "\n".join(",".join(row) for row in array.astype(str).tolist()).encode()),
        "JSON": (JSON, json.dumps(array.tolist()).encode()),
        "NPY": (NPY, stream.getvalue()),
    }


def invoke(connection: http.client.HTTPConnection, content_type: str, body: bytes) -> tuple[float, bytes]:
    """Send a request; returns the milliseconds until its answer is there, and the answer."""
    begun = time.perf_counter()
    connection.request("POST", "/invocations", body, {"Content-Type": content_type, "Accept": content_type})
    response = connection.getresponse()
    answer = response.read()
    milliseconds = (time.perf_counter() - begun) * 1e3
    if response.status != 200:
        raise SystemExit(f"{response.status}: {answer[:500].decode(errors='replace')}")
    return milliseconds, answer


def read(content_type: str, answer: bytes) -> np.ndarray:
    """Read an answer with the means of numpy and the standard library alone."""
    if content_type == NPY:
        return np.load(io.BytesIO(answer))
    if content_type == CSV:
        return np.loadtxt(io.BytesIO(answer), delimiter=",")
    return np.array(json.loads(answer))


def compare(
    name: str, rows: int, request: tuple[str, bytes], connections: dict[str, http.client.HTTPConnection]
) -> dict:
    """Send one request to both again and again."""
    answers = {server: invoke(connection, *request)[1] for server, connection in connections.items()}
    values = [read(request[0], answer).reshape(-1) for answer in answers.values()]
    np.testing.assert_allclose(*values, rtol=1e-4, atol=1e-5)
    times: dict[str, list[float]] = {server: [] for server in connections}
    deadline = time.monotonic() + SECONDS_PER_CASE
    while time.monotonic() < deadline and len(times["ours"]) < 500:
        for server, connection in connections.items():
            times[server].append(invoke(connection, *request)[0])
    result = {
        server: {"best_ms": round(min(found), 2), "median_ms": round(statistics.median(found), 2)}
        for server, found in times.items()
    }
    ratio = round(result["toolkit"]["best_ms"] / result["ours"]["best_ms"], 2)
    return {"case": name, "rows": rows, "requests": len(times["ours"]), **result, "toolkit_over_ours": ratio}


def main() -> int:
    """Print the table; return 1 where a target is missed."""
    results, missed = [], []
    print(
        f"{'':14}{'toolkit ms':>22}{'ours ms':>22}\n{'':14}{'best    median':>22}{'best    median':>22}",
        end="",
    )
    print(f"{'ratio':>8}{'target':>8}")
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        connections = start(Path(folder), stack)
        for rows in (1, 1000):
            for name, request in bodies(rows).items():
                result = compare(name, rows, request, connections)
                results.append(result)
                ratio, target = result["toolkit_over_ours"], TARGETS.get((name, rows), 1.0)
                missed += [f"{name} at {rows} rows"] if ratio < target else []
                figures = [result[server][key] for server in connections for key in ("best_ms", "median_ms")]
                columns = "".join(f"{figure:11.2f}" for figure in figures)
                print(f"{name + f' {rows} x {COLUMNS}':14}{columns}{ratio:8.1f}{target:8.1f}", flush=True)
    print(f"\nmissed: {', '.join(missed) or 'none'}")
    reference = f"sagemaker-pytorch-inference behind torchserve {ts.__version__}"
    record(RESULTS, reference=reference, results=results, orjson=find_spec("orjson") is not None)
    return bool(missed)


if __name__ == "__main__":
    sys.exit(main())
