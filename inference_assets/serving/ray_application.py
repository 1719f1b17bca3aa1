"""The chain of handlers as a Ray Serve application, for the Ray Serve container.

Set ``SM_RAYSERVE_APP`` to ``cdk_sagemaker_pytorch_serving.ray_application:app``; ``POST /`` answers a
request. Environment variables, all optional:

``SM_MODEL_DIR``
    The folder of the model. Defaults to ``/opt/ml/model``.
``SAGEMAKER_PROGRAM``, ``SAGEMAKER_SUBMIT_DIRECTORY``
    The user's script and its folder, see `HandlerChain.load`.
``SAGEMAKER_MODEL_SERVER_WORKERS``
    Replicas of the model. Defaults to one per GPU, or to 1 without GPUs.
``RAYSERVE_BACKEND_TIMEOUT``
    Seconds until a request that is not answered gets 504. Defaults to 300.
``CDK_SAGEMAKER_PYTORCH_NUM_GPUS``
    GPUs of a replica, fractions allowed. Defaults to an equal share of those of the machine, at most 1.
``CDK_SAGEMAKER_PYTORCH_THREADS``
    Requests, or batches, that a replica computes at once. Defaults to 1, as torch uses all cores for each.
``CDK_SAGEMAKER_PYTORCH_MAX_ONGOING_REQUESTS``
    Requests that a replica accepts before others wait in the proxy. Defaults to twice the batch size, at
    least 16.
``CDK_SAGEMAKER_PYTORCH_MAX_BATCH_SIZE``
    Requests that are predicted together, see `HandlerChain.invoke_batch`. Defaults to 1, no batching.
``CDK_SAGEMAKER_PYTORCH_BATCH_WAIT_SECONDS``
    How long a request waits for others to share its batch. Defaults to 0.01.

``CDK_SAGEMAKER_PYTORCH_CHECK_MODEL``
    ``false`` deploys without loading the model once beforehand. Defaults to true.

Ray Serve's own health check, which is the container's ``/ping``, passes from the moment that an application
is deployed, and goes on passing when its replicas fail. So the model is loaded once in a process of its own
before the application exists: one that does not load never becomes healthy.
"""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import ray
from ray import serve
from starlette.requests import Request as HttpRequest
from starlette.responses import Response as HttpResponse

from .check_model import check_model
from .handler_chain import HandlerChain, Request, Response

_PREFIX = "CDK_SAGEMAKER_PYTORCH_"


class Settings(NamedTuple):
    """The environment variables of the module's text, read."""

    model_dir: str
    replicas: int
    num_gpus: float
    timeout: float
    threads: int
    max_ongoing_requests: int
    max_batch_size: int
    batch_wait_seconds: float
    check_model: bool

    @classmethod
    def from_environment(cls) -> Settings:
        """Read the settings.

        Raises
        ------
        ValueError
            A variable is no number, or too small.
        """
        gpus = len(list(Path("/dev").glob("nvidia[0-9]*")))
        replicas = int(_number("SAGEMAKER_MODEL_SERVER_WORKERS", max(gpus, 1), 1))
        max_batch_size = int(_number(_PREFIX + "MAX_BATCH_SIZE", 1, 1))
        return cls(
            model_dir=os.environ.get("SM_MODEL_DIR") or "/opt/ml/model",
            replicas=replicas,
            num_gpus=_number(_PREFIX + "NUM_GPUS", min(1, gpus / replicas), 0),
            timeout=_number("RAYSERVE_BACKEND_TIMEOUT", 300, 0.001),
            threads=int(_number(_PREFIX + "THREADS", 1, 1)),
            max_ongoing_requests=int(
                _number(_PREFIX + "MAX_ONGOING_REQUESTS", max(16, 2 * max_batch_size), 1)
            ),
            max_batch_size=max_batch_size,
            batch_wait_seconds=_number(_PREFIX + "BATCH_WAIT_SECONDS", 0.01, 0),
            check_model=os.environ.get(_PREFIX + "CHECK_MODEL", "true").lower() not in ("0", "false"),
        )


def _number(name: str, default: float, least: float) -> float:
    text = os.environ.get(name)
    try:
        value = float(text) if text else default
    except ValueError:
        value = float("nan")
    if not value >= least:
        raise ValueError(f"environment variable {name} must be a number of at least {least}, got {text!r}")
    return value


SETTINGS = Settings.from_environment()


@serve.deployment(
    name="PyTorchModel",
    num_replicas=SETTINGS.replicas,
    max_ongoing_requests=SETTINGS.max_ongoing_requests,
    ray_actor_options={"num_gpus": SETTINGS.num_gpus},
)
class PyTorchModel:
    """A replica: one loaded model and the threads that use it."""

    def __init__(self) -> None:
        self._chain = HandlerChain.load(SETTINGS.model_dir)
        self._threads = ThreadPoolExecutor(SETTINGS.threads)

    async def __call__(self, http_request: HttpRequest) -> HttpResponse:
        """Answer a request."""
        if http_request.method != "POST":
            return HttpResponse("POST a request", 405, {"allow": "POST"}, media_type="text/plain")
        body = bytearray()
        async for chunk in http_request.stream():
            body += chunk
        headers = dict(http_request.headers)
        request = Request(body, headers.get("content-type"), headers.get("accept"), headers)
        invoke = self._invoke_in_batch if SETTINGS.max_batch_size > 1 else self._invoke_alone
        try:
            response = await asyncio.wait_for(invoke(request), SETTINGS.timeout)
        except asyncio.TimeoutError:
            return HttpResponse(f"no answer within {SETTINGS.timeout:g} s", 504, media_type="text/plain")
        return HttpResponse(response.body, response.status, {"content-type": response.content_type})

    async def _invoke_alone(self, request: Request) -> Response:
        return (await self._invoke([request]))[0]

    @serve.batch(max_batch_size=SETTINGS.max_batch_size, batch_wait_timeout_s=SETTINGS.batch_wait_seconds)
    async def _invoke_in_batch(self, requests: list[Request]) -> list[Response]:
        return await self._invoke(requests)

    async def _invoke(self, requests: list[Request]) -> list[Response]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._chain.invoke_batch, requests)


def _in_replica() -> bool:
    return ray.is_initialized() and ray.get_runtime_context().get_actor_id() is not None


# Replicas import this module too.
if SETTINGS.check_model and not _in_replica():
    check_model(SETTINGS.model_dir)

app = PyTorchModel.bind()  # type: ignore[attr-defined]
