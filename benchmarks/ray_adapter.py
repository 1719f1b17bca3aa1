"""What stands in front of Ray Serve in AWS's container, re-implemented: the paths that SageMaker asks for.

    python benchmarks/ray_adapter.py PORT BACKEND

Written after ``scripts/docker/ray/sagemaker_serve.py`` of aws/deep-learning-containers (release 1.4,
511a028d4b), of whose behaviour this keeps what can be measured: FastAPI on one process of Uvicorn with its
access log; an httpx client with its default limits (100 connections, health checks included, idle ones kept
for 5 seconds);
bodies that are buffered whole both ways; the headers Content-Type, Accept and X-Amzn-SageMaker-*, with
application/json where a caller says nothing; two lines of log for each request.
"""

import json
import logging
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import httpx
import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import PlainTextResponse

_OWN = "x-amzn-sagemaker-"
_DEFAULT_TYPE = "application/json"

logger = logging.getLogger("adapter")


def _own_headers(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower().startswith(_OWN)}


def _failed(status: int, reason: str) -> Response:
    return Response(json.dumps({"error": reason}).encode(), status, media_type="application/json")


def application(backend: str, timeout: float) -> FastAPI:
    """Return the application in front of Ray Serve at a URL."""

    @asynccontextmanager
    async def with_client(app: FastAPI) -> AsyncIterator[None]:
        async with httpx.AsyncClient(timeout=timeout) as client:
            app.state.client = client
            yield

    app = FastAPI(lifespan=with_client)

    @app.post("/invocations")
    async def invocations(request: Request) -> Response:
        try:
            body = await request.body()
            headers = _own_headers(request.headers)
            headers["Content-Type"] = request.headers.get("Content-Type", _DEFAULT_TYPE)
            headers["Accept"] = request.headers.get("Accept", _DEFAULT_TYPE)
            logger.info("request of %s for %s", headers["Content-Type"], headers["Accept"])
            answer = await request.app.state.client.post(f"{backend}/", content=body, headers=headers)
            logger.info("answered with %d", answer.status_code)
            return Response(
                answer.content,
                answer.status_code,
                _own_headers(answer.headers),
                answer.headers.get("Content-Type", headers["Accept"]),
            )
        except httpx.TimeoutException:
            return _failed(504, "Request timeout")
        except httpx.ConnectError:
            return _failed(503, "Service unavailable")
        except Exception as error:  # the adapter has an answer for everything
            return _failed(500, str(error))

    @app.get("/ping")
    async def ping(request: Request) -> Response:
        try:
            answer = await request.app.state.client.get(f"{backend}/-/healthz", timeout=5.0)
        except Exception:  # likewise
            return PlainTextResponse("", 503)
        return PlainTextResponse("", 200 if answer.status_code == 200 else 503)

    return app


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    limit = float(os.environ.get("RAYSERVE_BACKEND_TIMEOUT", "300"))
    uvicorn.run(application(sys.argv[2], limit), host="127.0.0.1", port=int(sys.argv[1]), log_level="info")
