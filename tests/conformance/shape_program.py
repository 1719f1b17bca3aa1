"""Runs handler shapes, in the environment of AWS's inference toolkit; a program of its own.

Its argument is ``toolkit`` or ``ours``, its standard input a JSON list of shapes, its standard output the
list of what came of each: through the toolkit and TorchServe's own worker code, or through this library's
chain of handlers.
"""

import contextlib
import importlib
import io
import json
import logging
import os
import struct
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

Shape = dict[str, Any]
Answer = dict[str, Any]
ASSETS = Path(__file__).parents[2] / "inference_assets"


def main() -> None:
    """Run what the standard input says."""
    logging.disable(logging.CRITICAL)
    run = {"toolkit": through_toolkit, "ours": through_chain}[sys.argv[1]]
    shapes = json.load(sys.stdin)
    with tempfile.TemporaryDirectory() as folder:
        answers = [_run(run, shape, Path(folder), f"shape_{number}") for number, shape in enumerate(shapes)]
    json.dump(answers, sys.stdout)


def _run(run: Callable[[Shape, Path, str], Answer], shape: Shape, folder: Path, name: str) -> Answer:
    model_dir = folder / name
    code = model_dir / "code"
    code.mkdir(parents=True)
    (code / f"{name}.py").write_text(shape["script"])
    os.environ["SAGEMAKER_PROGRAM"] = f"{name}.py"
    os.environ.update(shape["environment"])
    sys.path.insert(0, str(code))
    try:
        # What a script prints is no answer.
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            return run(shape, model_dir, name)
    finally:
        sys.path.remove(str(code))
        for variable in shape["environment"]:
            del os.environ[variable]


def through_chain(shape: Shape, model_dir: Path, name: str) -> Answer:
    """Answer with this library's handlers."""
    if str(ASSETS) not in sys.path:
        sys.path.append(str(ASSETS))
    chains = importlib.import_module("serving.handler_chain")
    try:
        chain = chains.HandlerChain.load(model_dir)
    except Exception as error:
        return {"end": "does not load", "message": f"{type(error).__name__}: {error}"}
    headers = {key.lower(): value for key, value in shape["headers"].items()}
    body = bytearray(shape["body"].encode("latin-1"))
    response = chain.invoke(body, headers.get("content-type"), headers.get("accept"), headers)
    return _answer(response.status, response.content_type, response.body, response.headers or {})


def through_toolkit(shape: Shape, model_dir: Path, name: str) -> Answer:
    """Answer with AWS's toolkit, as a worker of TorchServe runs it."""
    services = importlib.import_module("ts.service")
    toolkit = importlib.import_module("sagemaker_pytorch_serving_container.handler_service")
    importlib.import_module("sagemaker_inference.content_types").UTF8_TYPES = ["application/json", "text/csv"]
    metrics = importlib.import_module("ts.metrics.metric_cache_yaml_impl").MetricsCacheYamlImpl
    handler = toolkit.HandlerService()
    manifest = {"runtime": "python", "model": {"modelName": "model", "modelVersion": "1"}}
    configuration = Path(services.__file__).parent / "configs" / "metrics.yaml"
    cache = metrics(config_file_path=str(configuration))
    cache.initialize_cache()
    service = services.Service(
        "model", str(model_dir), manifest, handler.handle, None, 1, metrics_cache=cache
    )
    service.set_cl_socket(None)
    try:
        handler.initialize(service.context)
    except BaseException as error:
        return {"end": "does not load", "message": f"{type(error).__name__}: {error}"}
    content_type = shape["headers"].get("Content-Type", "")
    body = {"name": "body", "value": bytearray(shape["body"].encode("latin-1")), "contentType": content_type}
    headers = [{"name": key.encode(), "value": value.encode()} for key, value in shape["headers"].items()]
    request = {"requestId": b"1", "parameters": [body], "headers": headers}
    try:
        return _read(service.predict([request]))
    except BaseException as error:
        return {"end": "the worker ends", "message": f"{type(error).__name__}: {error}"}


def _read(message: bytearray) -> Answer:
    """Read what a worker sends to TorchServe."""
    stream = io.BytesIO(message)

    def number() -> int:
        return int(struct.unpack("!i", stream.read(4))[0])

    def text() -> str:
        return stream.read(number()).decode()

    number(), text(), text()
    content_type, status, _ = text(), number(), text()
    headers = {text(): text() for _ in range(number())}
    headers.pop("content-type", None)
    return _answer(status, content_type, stream.read(number()), headers)


def _answer(status: int, content_type: str, body: bytes, headers: dict[str, str]) -> Answer:
    return {
        "status": status,
        "content_type": content_type,
        "body": body.decode("latin-1"),
        "headers": headers,
    }


if __name__ == "__main__":
    main()
