"""Serve a model folder's handler functions with Starlette and Uvicorn, where its own server cannot run.

A program of its own, see `model_server`. The handler chain is the package that the model's code carries; a
model without it is served by the library's own copy. When its one thread does not come back from a request
the program starts over, as TorchServe replaces a worker.
"""

import argparse
import asyncio
import importlib
import importlib.util
import logging
import os
import runpy
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

logger = logging.getLogger(__name__)

_SERVING_PACKAGE = "cdk_sagemaker_pytorch_serving"
# The variables that tell TorchServe how long an answer may take, and its default in seconds.
_TIMEOUTS = ("SAGEMAKER_TS_RESPONSE_TIMEOUT", "SAGEMAKER_MODEL_SERVER_TIMEOUT")
_DEFAULT_TIMEOUT = 60.0
# The same for the size of a request, in bytes, of TorchServe and Multi Model Server.
_BODY_LIMITS = ("TS_MAX_REQUEST_SIZE", "MMS_MAX_REQUEST_SIZE")
_DEFAULT_BODY_BYTES = 6_553_500


def _own_serving_folder() -> Path:
    """Find the library's copy of the serving package: in the installed package, else in the checkout."""
    package = Path(__file__).resolve().parents[2]
    for assets in (package, package.parents[1]):
        folder = assets / "inference_assets" / "serving"
        if folder.is_dir():
            return folder
    raise FileNotFoundError(f"inference_assets/serving is neither in {package} nor beside {package.parent}")


def _import_serving(module: str) -> ModuleType:
    if importlib.util.find_spec(_SERVING_PACKAGE) is None:
        folder = _own_serving_folder()
        spec = importlib.util.spec_from_file_location(
            _SERVING_PACKAGE, folder / "__init__.py", submodule_search_locations=[str(folder)]
        )
        if spec is None or spec.loader is None:
            raise ImportError(f"cannot import the serving package in {folder}")
        package = importlib.util.module_from_spec(spec)
        sys.modules[_SERVING_PACKAGE] = package
        spec.loader.exec_module(package)
    return importlib.import_module(f"{_SERVING_PACKAGE}.{module}")


def _entry_point() -> str | None:
    """Return the user's script, seen through the entry point that wraps it for TorchServe."""
    program = os.environ.get("SAGEMAKER_PROGRAM", "")
    if program == f"{_SERVING_PACKAGE}.torchserve_entry_point":
        return os.environ.get("CDK_SAGEMAKER_PYTORCH_ENTRY_POINT") or None
    return program or None


def _timeout() -> float:
    """Return how many seconds an answer may take."""
    given = (os.environ.get(name) for name in _TIMEOUTS)
    return float(next(filter(None, given), _DEFAULT_TIMEOUT))


def _most_bytes() -> int:
    """Return how large a request may be."""
    given = (os.environ.get(name) for name in _BODY_LIMITS)
    return int(next(filter(None, given), _DEFAULT_BODY_BYTES))


async def _body(request: Request, most_bytes: int) -> bytearray | None:
    """Read a body to its end, and keep none that is too large."""
    body, got = bytearray(), 0
    async for chunk in request.stream():
        got += len(chunk)
        if got <= most_bytes:
            body += chunk
        else:
            body.clear()
    return body if got <= most_bytes else None


def application(
    chain: Any,
    workers: Any,
    timeout: float,
    ready_file: Path,
    most_bytes: int = _DEFAULT_BODY_BYTES,
    device_fault: Callable[[], str | None] = lambda: None,
) -> Starlette:
    """Return the ASGI application that answers /ping and /invocations with a loaded handler chain.

    Parameters
    ----------
    chain
        The handler chain.
    workers
        What runs it, `workers.Workers` of the serving package.
    timeout
        Seconds until a request that is not answered gets 504.
    ready_file
        What to make when the application starts.
    most_bytes
        Size of a request beyond which it gets 413. Defaults to TorchServe's own limit.
    device_fault
        What says why the device is lost to this process, asked where a request fails. Defaults to nothing.
    """

    async def ping(_: Request) -> Response:
        return Response(status_code=503 if workers.stuck or workers.fault else 200)

    async def invocations(request: Request) -> Response:
        try:
            body = await _body(request, most_bytes)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody reads it
        if body is None:
            return Response(f"a request of more than {most_bytes} bytes", 413, media_type="text/plain")
        headers = dict(request.headers)
        content_type, accept = headers.get("content-type"), headers.get("accept")
        call = workers.run(chain.invoke, body, content_type, accept, headers)
        try:
            answer = await asyncio.wait_for(call, timeout)
        except TimeoutError:
            logger.error("no answer within %g s; the thread is at\n%s", timeout, workers.where())
            return Response(f"no answer within {timeout:g} s", 504, media_type="text/plain")
        if answer.status >= 500 and (fault := device_fault()):
            workers.condemn(fault)
        return Response(answer.body, answer.status, answer.all_headers())

    @asynccontextmanager
    async def ready(_: Starlette) -> AsyncIterator[None]:
        ready_file.touch()
        yield

    routes = [
        Route("/ping", ping, methods=["GET"]),
        Route("/invocations", invocations, methods=["POST"]),
    ]
    return Starlette(routes=routes, lifespan=ready)


def main() -> None:
    """Load the model, then serve until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    for option in ("--model-dir", "--work-dir", "--ready-file"):
        parser.add_argument(option, type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--internal-ports", type=int, nargs="+", required=True)
    options = parser.parse_args()

    # The chain falls back to this variable, and what it names may be for TorchServe alone.
    os.environ["SAGEMAKER_PROGRAM"] = _entry_point() or ""
    chain = _import_serving("handler_chain").HandlerChain.load(options.model_dir)
    timeout = _timeout()
    # One request at a time, as a worker of TorchServe does: a script need not be safe for threads.
    workers = _import_serving("workers").Workers(1, timeout)
    workers.watch(lambda: os.execv(sys.executable, sys.orig_argv))  # noqa: S606
    # Beside this file; the package is not there to import from.
    check = runpy.run_path(str(Path(__file__).with_name("token_check.py")))["TokenCheck"]
    device_fault = _import_serving("device_fault").device_fault
    app = check(
        application(chain, workers, timeout, options.ready_file, _most_bytes(), device_fault=device_fault)
    )
    uvicorn.run(app, host="127.0.0.1", port=options.port, log_level="warning")


if __name__ == "__main__":
    main()
