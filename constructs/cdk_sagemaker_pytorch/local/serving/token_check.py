"""Requests without the token of a model server are refused, whatever they ask for.

A port of 127.0.0.1 is open to all users of the machine. This imports nothing of the package, for it also runs
in processes of the model servers.
"""

import hmac
import importlib
import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

TOKEN_VARIABLE = "LOCAL_AWS_SERVER_TOKEN"  # noqa: S105 - the name of a variable
TOKEN_HEADER = "x-local-aws-token"  # noqa: S105 - the name of a header
#: What the model's own variable for middlewares of Ray Serve said, as module:function.
MIDDLEWARES_VARIABLE = "LOCAL_AWS_RAY_SERVE_MIDDLEWARES"

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class TokenCheck:
    """An ASGI application in front of another one; without a token it lets everything through.

    Parameters
    ----------
    app
        What answers requests with the token. It does not see the token.
    token
        The token. Defaults to the variable `TOKEN_VARIABLE`.
    """

    def __init__(self, app: Callable[..., Awaitable[None]], token: str | None = None) -> None:
        self._app = app
        self._token = (os.environ.get(TOKEN_VARIABLE, "") if token is None else token).encode()

    async def __call__(self, scope: Scope, receive: Callable[..., Any], send: Send) -> None:
        """Answer one request, or one connection."""
        if not self._token or scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        name = TOKEN_HEADER.encode()
        given = b"".join(value for key, value in scope["headers"] if key == name)
        if hmac.compare_digest(given, self._token):
            headers = [pair for pair in scope["headers"] if pair[0] != name]
            await self._app({**scope, "headers": headers}, receive, send)
        elif scope["type"] == "http":
            await send({"type": "http.response.start", "status": 403, "headers": []})
            await send({"type": "http.response.body", "body": b"ask the local AWS, not its model server"})
        else:
            await send({"type": "websocket.close", "code": 1008})


def ray_serve_middlewares() -> list[Any]:
    """Return what stands in front of Ray Serve's proxy and replicas: the check, and what the model has there.

    As `RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH` wants it, which Ray Serve puts around each other so that
    the last one sees a request first.
    """
    from starlette.middleware import Middleware

    module, _, function = os.environ.get(MIDDLEWARES_VARIABLE, "").partition(":")
    own = getattr(importlib.import_module(module), function)() if function else []
    return [*own, Middleware(TokenCheck)]
