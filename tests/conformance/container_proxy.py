"""What stands before Ray Serve in the Ray Serve container: /invocations and /ping, on a loopback port.

As there, headers other than Content-Type, Accept and X-Amzn-SageMaker-* go neither way, and a request
without one of the first two gets application/json.
"""

import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Iterator

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

TIMEOUT_SECONDS = 300
DEFAULT_TYPE = "application/json"


def sagemaker_headers(headers: Headers | httpx.Headers) -> dict[str, str]:
    """Keep the headers that belong to SageMaker."""
    return {name: value for name, value in headers.items() if name.lower().startswith("x-amzn-sagemaker-")}


def application(backend: str) -> Starlette:
    """Return the ASGI application before a Ray Serve at an address such as ``http://127.0.0.1:8000``."""
    client = httpx.AsyncClient(base_url=backend, timeout=TIMEOUT_SECONDS)

    async def invocations(request: Request) -> Response:
        accept = request.headers.get("accept", DEFAULT_TYPE)
        content_type = request.headers.get("content-type", DEFAULT_TYPE)
        # Spaces around a value are no part of it, and the client takes none.
        headers = {"content-type": content_type.strip(), "accept": accept.strip()}
        try:
            answer = await client.post(
                "/", content=await request.body(), headers=sagemaker_headers(request.headers) | headers
            )
        except httpx.TimeoutException:
            return Response(status_code=504)
        except httpx.ConnectError:
            return Response(status_code=503)
        return Response(
            answer.content,
            answer.status_code,
            sagemaker_headers(answer.headers),
            media_type=answer.headers.get("content-type", accept),
        )

    async def ping(_: Request) -> Response:
        try:
            healthy = (await client.get("/-/healthz", timeout=5)).status_code == 200
        except httpx.HTTPError:
            healthy = False
        return Response(status_code=200 if healthy else 503)

    @contextlib.asynccontextmanager
    async def close_client(_: Starlette) -> AsyncIterator[None]:
        async with client:
            yield

    routes = [Route("/invocations", invocations, methods=["POST"]), Route("/ping", ping)]
    return Starlette(routes=routes, lifespan=close_client)


@contextlib.contextmanager
def container_proxy(backend: str) -> Iterator[str]:
    """Run the proxy in a thread as long as the block lasts; gives its own address."""
    server = uvicorn.Server(uvicorn.Config(application(backend), log_level="warning"))
    with socket.create_server(("127.0.0.1", 0)) as listener:  # connections wait until it runs
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()
