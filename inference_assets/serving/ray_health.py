"""Whether the container can answer, for its ``/ping``: replicas say so, and Ray Serve's proxies ask.

Ray Serve's own health check, behind ``/ping``, passes while no replica can answer: a request path that is
stuck goes unseen (ray-project/ray#61263), and its proxies are healthy without any replica. So each replica
writes a file each second as long as it can answer. A middleware in front of the proxies, which
``RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH`` names, lets the health check fail when all of these are older
than Ray Serve takes to replace a replica. SageMaker then replaces the container.

``CDK_SAGEMAKER_PYTORCH_UNHEALTHY_AFTER_SECONDS``
    How long that is, besides twice the time that the model took to load. Defaults to 60.
``CDK_SAGEMAKER_PYTORCH_HEALTH_DIR``
    The folder of these files. Defaults to one of this user in the folder for temporary files.

Proxies import this module, so it imports no torch and no Ray.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Any, Awaitable, Callable, MutableMapping

# For Ray Serve to see that a replica is gone, and to start the process of another.
_REPLACEMENT_SECONDS = 60.0
#: The path of Ray Serve's health check.
HEALTH_PATH = "/-/healthz"

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


def health_folder() -> Path:
    """Return the folder in which replicas say that they can answer."""
    own = f"cdk-sagemaker-pytorch-{os.getuid()}"
    return Path(os.environ.get("CDK_SAGEMAKER_PYTORCH_HEALTH_DIR") or Path(tempfile.gettempdir()) / own)


class Heartbeat:
    """One replica's word that it can answer.

    Parameters
    ----------
    load_seconds
        How long its model took to load, and so takes to load again.
    """

    def __init__(self, load_seconds: float) -> None:
        given = os.environ.get("CDK_SAGEMAKER_PYTORCH_UNHEALTHY_AFTER_SECONDS")
        self._patience = float(given or _REPLACEMENT_SECONDS) + 2 * load_seconds
        folder = health_folder()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path = folder / str(os.getpid())

    def beat(self) -> None:
        """Say that this replica can answer now."""
        # The clock is that of the machine, the same in all processes; it does not jump.
        temporary = self._path.with_suffix(".new")
        temporary.write_text(f"{time.monotonic()} {self._patience}", encoding="ascii")
        temporary.replace(self._path)


def why_unhealthy() -> str | None:
    """Return why no replica can answer, or None while one can, or may be replaced."""
    beats = []
    for path in sorted(health_folder().glob("[0-9]*[0-9]")):
        when, patience = map(float, path.read_text(encoding="ascii").split())
        beats.append((when, patience))
    if not beats:
        return "no replica has loaded its model yet"
    # The one that may be waited for longest.
    when, patience = max(beats, key=sum)
    silent = time.monotonic() - when
    return None if silent <= patience else f"no replica could answer for {silent:.0f} s"


class TrueHealth:
    """An ASGI application in front of Ray Serve's, whose health check fails when no replica can answer."""

    def __init__(self, app: Application) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        reason = why_unhealthy() if scope.get("path") == HEALTH_PATH else None
        if reason is None:
            await self._app(scope, receive, send)
            return
        headers = [(b"content-type", b"text/plain")]
        await send({"type": "http.response.start", "status": 503, "headers": headers})
        await send({"type": "http.response.body", "body": reason.encode()})


def middlewares() -> list[Any]:
    """Return what goes in front of Ray Serve's proxies and replicas."""
    from starlette.middleware import Middleware

    return [Middleware(TrueHealth)]
