import asyncio
from typing import Any

import pytest

from cdk_sagemaker_pytorch.local.serving.token_check import (
    TOKEN_HEADER,
    TOKEN_VARIABLE,
    TokenCheck,
    ray_serve_middlewares,
)

NAME = TOKEN_HEADER.encode()


def ask(check: TokenCheck, kind: str, *headers: tuple[bytes, bytes]) -> list[dict[str, Any]]:
    """Send one request; return what came back."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": f"{kind}.request"}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(check({"type": kind, "path": "/", "headers": list(headers)}, receive, send))
    return sent


async def inside(scope: Any, receive: Any, send: Any) -> None:
    await send({"reached": scope.get("headers")})


@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_the_token_opens_and_is_not_seen_inside(kind: str) -> None:
    other = (b"accept", b"a/b")
    assert ask(TokenCheck(inside, "sesame"), kind, other, (NAME, b"sesame")) == [{"reached": [other]}]


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(NAME, b"")],
        [(NAME, b"sesam")],
        [(NAME, b"sesame2")],
        [(NAME, b"SESAME")],
        [(NAME, b"sesame"), (NAME, b"sesame")],
        [(b"authorization", b"sesame")],
    ],
)
def test_fails_when_the_token_is_another(headers: list[tuple[bytes, bytes]]) -> None:
    check = TokenCheck(inside, "sesame")
    answer = ask(check, "http", *headers)
    assert (answer[0]["status"], len(answer)) == (403, 2)
    assert ask(check, "websocket", *headers) == [{"type": "websocket.close", "code": 1008}]


def test_without_a_token_everybody_comes_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    assert ask(TokenCheck(inside), "http") == [{"reached": []}]


def test_the_token_is_the_one_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, "sesame")
    [middleware] = ray_serve_middlewares()
    assert ask(middleware.cls(inside), "http")[0]["status"] == 403
    assert ask(middleware.cls(inside), "http", (NAME, b"sesame")) == [{"reached": []}]


def test_starting_and_stopping_needs_none() -> None:
    assert ask(TokenCheck(inside, "sesame"), "lifespan") == [{"reached": []}]
