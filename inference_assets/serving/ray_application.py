"""The chain of handlers as a Ray Serve application, for the Ray Serve container.

Set ``SM_RAYSERVE_APP`` to ``cdk_sagemaker_pytorch_serving.ray_application:app``; ``POST /`` answers a
request. `ray_settings` lists the environment variables that set it up, `ray_health` says what the container's
``/ping`` means.

The model is loaded once in a process of its own before the application exists: one that does not load never
becomes healthy. A replica whose threads are all stuck in handler functions ends itself, as does one that has
lost its GPU, and Ray Serve starts another.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
import time

import ray
from ray import serve
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import Response as HttpResponse

from .check_model import check_model
from .device_fault import device_fault
from .handler_chain import HandlerChain, Request, Response, request_id
from .ray_health import Heartbeat
from .ray_settings import MAX_ONGOING_REQUESTS, Settings
from .workers import GRACE_SECONDS, Workers

SETTINGS = Settings.from_environment()
# So much earlier than the container's adapter gives up, whose words say nothing about the model.
_MARGIN_SECONDS = min(0.5, SETTINGS.timeout / 10)

logger = logging.getLogger(__name__)


class BodyTooLargeError(Exception):
    """The body has more bytes than it may have."""


@serve.deployment(
    name="PyTorchModel",
    num_replicas=SETTINGS.replicas,
    # The replica counts its requests itself, all alike whatever brings them, and refuses what is too much.
    max_ongoing_requests=max(128, 2 * SETTINGS.max_ongoing_requests),
    # What waits in a proxy while there is no replica has its bound here.
    max_queued_requests=max(MAX_ONGOING_REQUESTS, SETTINGS.max_ongoing_requests * SETTINGS.replicas),
    # Ray Serve learns at the next check that a replica is gone, and replaces one that fails three checks.
    health_check_period_s=1,
    # A replica whose threads hold the interpreter's lock answers late: it is given the time of a request, and
    # no less than Ray Serve's own default.
    health_check_timeout_s=max(SETTINGS.timeout, 30),
    # What a replica that is to go has accepted it answers.
    graceful_shutdown_timeout_s=max(SETTINGS.timeout + GRACE_SECONDS, 20),
    # Replicas share what CPUs there are: with one to be had for each, none could take the place of another.
    ray_actor_options={"num_cpus": 0, "num_gpus": SETTINGS.num_gpus},
    # A line for each request costs more than the request; what fails is logged here.
    logging_config={"enable_access_log": False},
)
class PyTorchModel:
    """A replica: one loaded model and the threads that use it.

    Parameters
    ----------
    torch_threads
        Cores that torch computes with, see `Settings.torch_threads`.
    """

    def __init__(self, torch_threads: int | None = None) -> None:
        _log_to_stderr()
        _use_cores(torch_threads)
        began = time.monotonic()
        self._chain = HandlerChain.load(SETTINGS.model_dir)
        self._heartbeat = Heartbeat(time.monotonic() - began)
        self._ongoing = 0
        self._workers = Workers(SETTINGS.threads, SETTINGS.timeout)
        # The interpreter's own end would wait for the threads.
        self._workers.watch(lambda: os._exit(1))

    async def check_health(self) -> None:
        """Fail if a thread is stuck or the GPU lost: Ray Serve replaces the replica once all else is done."""
        if self._workers.fault:
            raise RuntimeError(self._workers.fault)
        if self._workers.stuck:
            raise RuntimeError(f"{self._workers.stuck} of {SETTINGS.threads} threads are stuck in the script")
        self._heartbeat.beat()

    async def __call__(self, http_request: HttpRequest) -> HttpResponse:
        """Answer a request."""
        if http_request.method != "POST":
            return HttpResponse("POST a request", 405, {"allow": "POST"}, media_type="text/plain")
        reason = self._why_not_now()
        if reason is not None:
            await _skip_body(http_request)
            return _refused(503, reason)
        self._ongoing += 1
        try:
            return await self._answered(http_request)
        finally:
            self._ongoing -= 1

    def _why_not_now(self) -> str | None:
        if self._workers.fault:
            return "this replica is being replaced"
        if self._ongoing >= SETTINGS.max_ongoing_requests:
            return f"busy: {self._ongoing} requests are being answered or wait"
        return None

    async def _answered(self, http_request: HttpRequest) -> HttpResponse:
        headers = dict(http_request.headers)
        try:
            body = await asyncio.wait_for(_body(http_request), SETTINGS.timeout)
        except asyncio.TimeoutError:
            return _refused(408, f"the body was not there within {SETTINGS.timeout:g} s")
        except ClientDisconnect:
            return _refused(400, "the body is cut short")  # nobody reads it
        except BodyTooLargeError as error:
            return _refused(413, str(error))
        request = Request(body, headers.get("content-type"), headers.get("accept"), headers)
        invoke = self._invoke_in_batch if SETTINGS.max_batch_size > 1 else self._invoke_alone
        try:
            response = await asyncio.wait_for(invoke(request), SETTINGS.timeout - _MARGIN_SECONDS)
        except asyncio.TimeoutError:
            logger.error(
                "request %s: no answer within %g s; the threads are at\n%s",
                request_id(request),
                SETTINGS.timeout,
                self._workers.where(),
            )
            return _refused(504, f"no answer within {SETTINGS.timeout:g} s")
        return HttpResponse(response.body, response.status, response.all_headers())

    async def _invoke_alone(self, request: Request) -> Response:
        return (await self._invoke([request]))[0]

    @serve.batch(max_batch_size=SETTINGS.max_batch_size, batch_wait_timeout_s=SETTINGS.batch_wait_seconds)
    async def _invoke_in_batch(self, requests: list[Request]) -> list[Response]:
        return await self._invoke(requests)

    async def _invoke(self, requests: list[Request]) -> list[Response]:
        responses: list[Response] = await self._workers.run(self._answers, requests)
        return responses

    def _answers(self, requests: list[Request]) -> list[Response]:
        """Answer requests, in a thread; where one fails, look whether all others will."""
        responses = self._chain.invoke_batch(requests)
        if any(response.status >= 500 for response in responses):
            fault = device_fault()
            if fault is not None:
                self._workers.condemn(fault)
        return responses


async def _body(http_request: HttpRequest) -> bytearray:
    """Read a body, and keep no more of it than it may have.

    The rest is read all the same: who still sends it would meet a closed connection instead of the answer.
    """
    body, got = bytearray(), 0
    async for chunk in http_request.stream():
        got += len(chunk)
        if got <= SETTINGS.max_body_bytes:
            body += chunk
        else:
            body.clear()
    if got > SETTINGS.max_body_bytes:
        raise BodyTooLargeError(f"the body must have at most {SETTINGS.max_body_bytes} bytes, got {got}")
    return body


async def _skip_body(http_request: HttpRequest) -> None:
    """Read a body and keep none of it, see `_body`."""
    with contextlib.suppress(ClientDisconnect):
        async for _ in http_request.stream():
            pass


def _refused(status: int, reason: str) -> HttpResponse:
    return HttpResponse(reason, status, media_type="text/plain")


def _log_to_stderr() -> None:
    """Let the container's log have what this package says, of requests that are refused, too."""
    package = logging.getLogger(__package__)
    if not package.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(levelname)s %(asctime)s %(name)s: %(message)s"))
        package.addHandler(handler)
        package.setLevel(logging.INFO)
        package.propagate = False


def _use_cores(threads: int | None) -> None:
    if threads is None:
        return
    os.environ["OMP_NUM_THREADS"] = str(threads)  # read when torch is imported
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(threads)


def _in_replica() -> bool:
    return ray.is_initialized() and ray.get_runtime_context().get_actor_id() is not None


# Replicas import this module too.
if SETTINGS.check_model and not _in_replica():
    check_model(SETTINGS.model_dir)

app = PyTorchModel.bind(SETTINGS.torch_threads)  # type: ignore[attr-defined]
