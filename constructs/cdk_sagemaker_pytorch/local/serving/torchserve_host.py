"""Serve a model with TorchServe on 127.0.0.1, as AWS's PyTorch inference images do up to version 2.6.

A program of its own, see `model_server`. It needs Java and the packages torchserve and
sagemaker-pytorch-inference; the latter's handler service runs the model's handler functions. TorchServe
answers /ping before a model is loaded and goes on trying when it cannot be, so this program asks the
management API for a ready worker, and ends at the first worker that dies.
"""

import argparse
import http.client
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

_HANDLER_SERVICE = "sagemaker_pytorch_serving_container.handler_service:handle"
_MODEL = "model"
# TorchServe's own line once all output of a worker that died, its traceback above all, is in the log.
_WORKER_DIED = re.compile(r"Stopped Scanner - \S+-stdout")
_POLL_SECONDS = 0.2
# TorchServe's own; AWS's configuration lets the environment raise it.
_DEFAULT_BODY_BYTES = 6_553_500
# Set where requests must carry a token. TorchServe makes its own, in key_file.json of its working folder.
_TOKEN_VARIABLE = "LOCAL_AWS_SERVER_TOKEN"  # noqa: S105 - the name of a variable
_TOKEN_MINUTES = 60 * 24 * 365


def _write_config(file: Path, ports: list[int], *, open_to_all: bool) -> None:
    port, management_port, metrics_port, grpc_port, grpc_management_port = ports
    timeout = os.environ.get("SAGEMAKER_TS_RESPONSE_TIMEOUT") or os.environ.get(
        "SAGEMAKER_MODEL_SERVER_TIMEOUT"
    )
    workers = os.environ.get("SAGEMAKER_MODEL_SERVER_WORKERS")
    settings = {
        "inference_address": f"http://127.0.0.1:{port}",
        "management_address": f"http://127.0.0.1:{management_port}",
        "metrics_address": f"http://127.0.0.1:{metrics_port}",
        "grpc_inference_port": grpc_port,
        "grpc_management_port": grpc_management_port,
        "default_service_handler": _HANDLER_SERVICE,
        "default_response_timeout": timeout or 60,
        "default_workers_per_model": workers or 1,
        "decode_input_request": "false",
        "disable_token_authorization": str(open_to_all).lower(),
        "token_expiration_min": _TOKEN_MINUTES,
        "max_request_size": os.environ.get("TS_MAX_REQUEST_SIZE") or _DEFAULT_BODY_BYTES,
        "max_response_size": os.environ.get("TS_MAX_RESPONSE_SIZE") or _DEFAULT_BODY_BYTES,
        "disable_system_metrics": "true",
    }
    file.write_text("".join(f"{name}={value}\n" for name, value in settings.items()), encoding="utf-8")


def _start(model_dir: Path, work_dir: Path, ports: list[int]) -> "subprocess.Popen[str]":
    config = work_dir / "config.properties"
    _write_config(config, ports, open_to_all=not os.environ.get(_TOKEN_VARIABLE))
    (work_dir / "model-store").mkdir(exist_ok=True)
    command = [sys.executable, "-m", "ts.model_server", "--start", "--foreground", "--ncs"]
    command += ["--model-store", str(work_dir / "model-store"), "--ts-config", str(config)]
    command += ["--models", f"{_MODEL}={model_dir}"]
    toolkit = importlib.util.find_spec("sagemaker_pytorch_serving_container")
    if toolkit is not None and toolkit.submodule_search_locations:
        command += ["--log-config", str(Path(toolkit.submodule_search_locations[0], "etc", "log4j2.xml"))]
    # TorchServe keeps its process id and its sockets in the temporary folder: each server has its own.
    environment = {**os.environ, "TMPDIR": str(work_dir), "TEMP": str(work_dir)}
    return subprocess.Popen(  # noqa: S603
        command, cwd=work_dir, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def _copy_output(server: "subprocess.Popen[str]", failed: threading.Event) -> None:
    for line in server.stdout or ():
        sys.stdout.write(line)
        sys.stdout.flush()
        if _WORKER_DIED.search(line):
            failed.set()
    failed.set()


def _authorization(key_file: Path) -> dict[str, str]:
    if not key_file.exists():
        return {}
    keys = json.loads(key_file.read_text(encoding="utf-8"))
    return {"Authorization": f"Bearer {keys['management']['key']}"}


def _worker_is_ready(management_port: int, key_file: Path) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", management_port, timeout=5)
    try:
        connection.request("GET", f"/models/{_MODEL}", headers=_authorization(key_file))
        response = connection.getresponse()
        described = json.loads(response.read())
        return response.status == 200 and any(
            worker["status"] == "READY" for version in described for worker in version["workers"]
        )
    except (OSError, http.client.HTTPException, ValueError, KeyError):  # not there, or not written yet
        return False
    finally:
        connection.close()


def main() -> None:
    """Serve until SIGTERM, or until a worker dies before one was ready."""
    parser = argparse.ArgumentParser(description=__doc__)
    for option in ("--model-dir", "--work-dir", "--ready-file"):
        parser.add_argument(option, type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--internal-ports", type=int, nargs="+", required=True)
    options = parser.parse_args()

    management_port = options.internal_ports[0]
    server = _start(options.model_dir, options.work_dir, [options.port, *options.internal_ports])
    failed = threading.Event()
    reader = threading.Thread(target=_copy_output, args=(server, failed), daemon=True)
    reader.start()
    while not _worker_is_ready(management_port, options.work_dir / "key_file.json"):
        if failed.wait(_POLL_SECONDS):
            # Java and the workers are the supervisor's to end.
            os._exit(1)
    options.ready_file.touch()
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    reader.join()
    sys.exit(server.wait() or 1)


if __name__ == "__main__":
    main()
