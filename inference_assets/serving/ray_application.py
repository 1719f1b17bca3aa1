"""The chain of handlers as a Ray Serve application, for the Ray Serve container.

Set ``SM_RAYSERVE_APP`` to ``cdk_sagemaker_pytorch_serving.ray_application:app``; ``POST /`` answers a
request. `ray_settings` lists the environment variables that set it up.

Ray Serve's own health check, which is the container's ``/ping``, passes from the moment that an application
is deployed, and goes on passing when its replicas fail. So the model is loaded once in a process of its own
before the application exists: one that does not load never becomes healthy. A replica whose threads are all
stuck in handler functions ends itself, and Ray Serve starts another.
"""

from __future__ import annotations

import asyncio
import os

import ray
from ray import serve
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import Response as HttpResponse

from .check_model import check_model
from .handler_chain import HandlerChain, Request, Response
from .ray_settings import Settings
from .workers import Workers

SETTINGS = Settings.from_environment()


@serve.deployment(
    name="PyTorchModel",
    num_replicas=SETTINGS.replicas,
    max_ongoing_requests=SETTINGS.max_ongoing_requests,
    # Ray Serve learns at the next check that a replica is gone, and replaces one that fails three checks.
    health_check_period_s=1,
    # A replica whose threads hold the interpreter's lock answers late: it is given the time of a request, and
    # no less than Ray Serve's own default.
    health_check_timeout_s=max(SETTINGS.timeout, 30),
    ray_actor_options={"num_gpus": SETTINGS.num_gpus},
)
class PyTorchModel:
    """A replica: one loaded model and the threads that use it."""

    def __init__(self) -> None:
        self._chain = HandlerChain.load(SETTINGS.model_dir)
        self._workers = Workers(SETTINGS.threads, SETTINGS.timeout)
        # The interpreter's own end would wait for the threads.
        self._workers.watch(lambda: os._exit(1))

    async def check_health(self) -> None:
        """Fail if a thread is stuck: Ray Serve replaces the replica, when its other threads are done."""
        if self._workers.stuck:
            raise RuntimeError(f"{self._workers.stuck} of {SETTINGS.threads} threads are stuck in the script")

    async def __call__(self, http_request: HttpRequest) -> HttpResponse:
        """Answer a request."""
        if http_request.method != "POST":
            return HttpResponse("POST a request", 405, {"allow": "POST"}, media_type="text/plain")
        body = bytearray()
        try:
            async for chunk in http_request.stream():
                body += chunk
        except ClientDisconnect:
            return HttpResponse("the body is cut short", 400, media_type="text/plain")  # nobody reads it
        headers = dict(http_request.headers)
        request = Request(body, headers.get("content-type"), headers.get("accept"), headers)
        invoke = self._invoke_in_batch if SETTINGS.max_batch_size > 1 else self._invoke_alone
        try:
            response = await asyncio.wait_for(invoke(request), SETTINGS.timeout)
        except asyncio.TimeoutError:
            return HttpResponse(f"no answer within {SETTINGS.timeout:g} s", 504, media_type="text/plain")
        return HttpResponse(response.body, response.status, response.all_headers())

    async def _invoke_alone(self, request: Request) -> Response:
        return (await self._invoke([request]))[0]

    @serve.batch(max_batch_size=SETTINGS.max_batch_size, batch_wait_timeout_s=SETTINGS.batch_wait_seconds)
    async def _invoke_in_batch(self, requests: list[Request]) -> list[Response]:
        return await self._invoke(requests)

    async def _invoke(self, requests: list[Request]) -> list[Response]:
        responses: list[Response] = await self._workers.run(self._chain.invoke_batch, requests)
        return responses


def _in_replica() -> bool:
    return ray.is_initialized() and ray.get_runtime_context().get_actor_id() is not None


# Replicas import this module too.
if SETTINGS.check_model and not _in_replica():
    check_model(SETTINGS.model_dir)

app = PyTorchModel.bind()  # type: ignore[attr-defined]
