"""Serve a model folder's handler functions with Starlette and Uvicorn, where its own server cannot run.

A program of its own: `python -P asgi_host.py --model-dir D --port P --work-dir W --ready-file F`. The handler
chain is the package that the model's code carries; a model without it is served by the library's own copy.
"""

import argparse
import importlib
import importlib.util
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_SERVING_PACKAGE = "cdk_sagemaker_pytorch_serving"


def _own_serving_folder() -> Path:
    """Find the library's copy of the serving package: in the installed package, else in the checkout."""
    package = Path(__file__).resolve().parents[1]
    for assets in (package, package.parents[1]):
        folder = assets / "inference_assets" / "serving"
        if folder.is_dir():
            return folder
    raise FileNotFoundError(f"inference_assets/serving is neither in {package} nor beside {package.parent}")


def _import_handler_chain() -> ModuleType:
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
    return importlib.import_module(f"{_SERVING_PACKAGE}.handler_chain")


def application(chain: Any, ready_file: Path) -> Starlette:
    """Return the ASGI application that answers /ping and /invocations with a loaded handler chain."""

    async def ping(_: Request) -> Response:
        return Response(status_code=200)

    async def invocations(request: Request) -> Response:
        body = await request.body()
        headers = request.headers
        answer = await run_in_threadpool(
            chain.invoke, body, headers.get("content-type"), headers.get("accept")
        )
        return Response(answer.body, status_code=answer.status, media_type=answer.content_type)

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
    options = parser.parse_args()

    chain = _import_handler_chain().HandlerChain.load(
        options.model_dir,
        entry_point=os.environ.get("SAGEMAKER_PROGRAM"),
        code_dir=os.environ.get("SAGEMAKER_SUBMIT_DIRECTORY"),
    )
    uvicorn.run(
        application(chain, options.ready_file), host="127.0.0.1", port=options.port, log_level="warning"
    )


if __name__ == "__main__":
    main()
