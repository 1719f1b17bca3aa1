"""What any client may send to the ASGI host: it answers, with no 5xx, and runs none of it."""

import asyncio
import io
import json
import os
import pickle
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import uvicorn
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.types import Message

from cdk_sagemaker_pytorch.local.serving import asgi_host
from waiting import HANG_SECONDS, wait_for

JSON, CSV, NPY = "application/json", "text/csv", "application/x-npy"
ROWS = [[1.0, 2.0, 3.0]]


class MakesFolder:
    """What runs code where it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = os.fspath(folder)

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.folder,)


def npy(array: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[bytes, bytes]
    body: bytes


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Starlette:
    """The application with a model that takes any shape and the default handlers."""
    folder = tmp_path_factory.mktemp("model")
    torch.jit.save(torch.jit.script(torch.nn.ReLU()), str(folder / "model.pt"))  # type: ignore[no-untyped-call]
    with pytest.MonkeyPatch.context() as patch:
        for name in ("SAGEMAKER_PROGRAM", "SAGEMAKER_SUBMIT_DIRECTORY"):
            patch.delenv(name, raising=False)
        chain = asgi_host._import_serving("handler_chain").HandlerChain.load(folder)
    workers = asgi_host._import_serving("workers").Workers(1, HANG_SECONDS)
    return asgi_host.application(chain, workers, HANG_SECONDS, folder / "ready")


def send(
    app: Starlette,
    headers: list[tuple[bytes, bytes]],
    chunks: list[bytes],
    *,
    method: str = "POST",
    path: str = "/invocations",
    is_cut_short: bool = False,
) -> Answer:
    """Hand a request to the application, as a server of ASGI does."""
    messages: list[Message] = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    end: Message = (
        {"type": "http.disconnect"} if is_cut_short else {"type": "http.request", "more_body": False}
    )
    sent: list[Message] = []
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8080),
    }

    async def receive() -> Message:
        return messages.pop(0) if messages else end

    async def keep(message: Message) -> None:
        sent.append(message)

    async def run() -> None:
        await asyncio.wait_for(app(scope, receive, keep), HANG_SECONDS)

    asyncio.run(run())
    body = b"".join(message.get("body", b"") for message in sent[1:])
    return Answer(sent[0]["status"], dict(sent[0]["headers"]), body)


BODIES = st.one_of(
    st.binary(max_size=200),
    st.text('[]{},.0123456789eE+-\n"naif ', max_size=60).map(str.encode),
    st.sampled_from(
        [json.dumps(ROWS).encode(), b"1,2,3\n", npy(np.float32(ROWS)), npy(np.array([{}]))]
    ).flatmap(lambda body: st.integers(0, len(body)).map(lambda end: body[:end])),
    st.binary(max_size=60).map(lambda rest: b"\x93NUMPY" + rest),
    st.just(pickle.dumps({"a": 1})),
)
VALUES = st.one_of(
    st.sampled_from(
        [JSON, CSV, NPY, "*/*", f"{JSON};q=0.1, {CSV}", f'{CSV}; charset="utf-8"', f"{JSON};;", "a/b;q=1;q"]
    ),
    st.text(max_size=30).map(lambda text: text.encode("utf-8").decode("latin-1")),
    st.text('abc/;=,"\\*q.0123 ', max_size=40),
).map(lambda text: text.encode("latin-1"))
NAMES = st.sampled_from(
    [b"content-type", b"accept", b"content-length", b"x-amzn-sagemaker-custom-attributes", b"x"]
)
HEADERS = st.lists(st.tuples(NAMES, VALUES), max_size=5)
METHODS = st.sampled_from(
    ["POST"] * 8 + ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "post", "X-Y"]
)
PATHS = st.sampled_from(
    ["/invocations"] * 8 + ["/ping", "/", "/invocations/", "/../ping", "/models/a", "//", "/%00"]
)


@settings(max_examples=500, deadline=None)
@given(METHODS, PATHS, HEADERS, st.lists(BODIES, max_size=3), st.booleans())
def test_no_request_is_the_servers_mistake(
    app: Starlette,
    method: str,
    path: str,
    headers: list[tuple[bytes, bytes]],
    chunks: list[bytes],
    is_cut_short: bool,
) -> None:
    answer = send(app, headers, chunks, method=method, path=path, is_cut_short=is_cut_short)

    assert answer.status == 200 or 300 <= answer.status < 500
    if path == "/invocations" and method == "POST" and answer.status != 200 and not is_cut_short:
        assert answer.body
        assert b"Traceback" not in answer.body


@pytest.mark.parametrize(
    ("given", "most"),
    [({}, 6_553_500), ({"TS_MAX_REQUEST_SIZE": "9"}, 9), ({"MMS_MAX_REQUEST_SIZE": "8"}, 8)],
)
def test_a_request_has_the_size_that_the_server_takes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, given: dict[str, str], most: int
) -> None:
    for name in asgi_host._BODY_LIMITS:
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert asgi_host._most_bytes() == most

    class Workers:
        stuck = False
        fault = None

        async def run(self, _: Any, body: bytes, *__: Any) -> Any:
            headers = {"content-type": JSON}
            return SimpleNamespace(body=bytes(body), status=200, all_headers=lambda: headers)

    chain: Any = SimpleNamespace(invoke=None)
    limited = asgi_host.application(chain, Workers(), HANG_SECONDS, tmp_path / "ready", most)
    assert send(limited, [], [b"x" * most]).status == 200
    assert send(limited, [], [b"x" * most, b"y"]).status == 413


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([(JSON, b"[[1, 2, 3]]"), (CSV, b"1,2,3\n"), (NPY, npy(np.float32(ROWS)))]), VALUES)
def test_any_accept_is_answered_with_one_of_the_types_or_refused(
    app: Starlette, request_: tuple[str, bytes], accept: bytes
) -> None:
    content_type, body = request_
    answer = send(app, [(b"content-type", content_type.encode()), (b"accept", accept)], [body])

    assert answer.status in (200, 406)
    if answer.status == 200:
        assert answer.headers[b"content-type"].decode() in (JSON, CSV, NPY)


@pytest.mark.parametrize("content_type", [JSON, CSV, NPY, "application/octet-stream", "application/x-pickle"])
def test_no_body_runs_code(app: Starlette, tmp_path: Path, content_type: str) -> None:
    explosive = MakesFolder(tmp_path / "made")
    for body in (pickle.dumps(explosive), npy(np.array([explosive], dtype=object))):
        answer = send(app, [(b"content-type", content_type.encode())], [body])
        assert answer.status in (400, 415)
    assert not (tmp_path / "made").exists()


def test_a_thread_that_does_not_come_back_is_told_by_the_status_and_the_health_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = asgi_host._import_serving("workers")
    monkeypatch.setattr(module, "GRACE_SECONDS", 0)
    released, returned = threading.Event(), threading.Event()

    class Chain:
        def invoke(self, *_: Any) -> Any:
            released.wait(HANG_SECONDS)
            returned.set()

    timeout = 0.05
    app = asgi_host.application(Chain(), module.Workers(1, timeout), timeout, tmp_path / "ready")

    def ping() -> int:
        return send(app, [], [], method="GET", path="/ping").status

    assert ping() == 200
    answer = send(app, [], [b"x"])
    assert (answer.status, answer.body) == (504, b"no answer within 0.05 s")
    wait_for(lambda: ping() == 503)
    released.set()
    assert returned.wait(HANG_SECONDS)
    wait_for(lambda: ping() == 200)


def test_a_device_that_is_lost_is_told_by_the_health_check(tmp_path: Path) -> None:
    workers = asgi_host._import_serving("workers").Workers(1, HANG_SECONDS)
    answers = iter([(200, None), (400, None), (500, None), (500, "the GPU is lost")])
    faults = []

    class Chain:
        def invoke(self, *_: Any) -> Any:
            status, fault = next(answers)
            faults.append(fault)
            return SimpleNamespace(body=b"", status=status, all_headers=lambda: {"content-type": JSON})

    app = asgi_host.application(
        Chain(), workers, HANG_SECONDS, tmp_path / "ready", device_fault=lambda: faults[-1]
    )

    def ping() -> int:
        return send(app, [], [], method="GET", path="/ping").status

    for expected in (200, 400, 500):
        assert send(app, [], [b"x"]).status == expected
        assert ping() == 200
    assert send(app, [], [b"x"]).status == 500
    assert (ping(), workers.fault) == (503, "the GPU is lost")


@pytest.mark.parametrize(
    ("variables", "seconds"),
    [
        ({}, 60),
        ({"SAGEMAKER_MODEL_SERVER_TIMEOUT": "30"}, 30),
        ({"SAGEMAKER_MODEL_SERVER_TIMEOUT": "30", "SAGEMAKER_TS_RESPONSE_TIMEOUT": "20"}, 20),
    ],
)
def test_the_timeout_is_that_of_torchserve(
    variables: dict[str, str], seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in asgi_host._TIMEOUTS:
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert asgi_host._timeout() == seconds


@pytest.fixture
def address(app: Starlette) -> Iterator[tuple[str, int]]:
    """The application behind the HTTP server that the host runs it with."""
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield listener.getsockname()
        finally:
            server.should_exit = True
            thread.join()


def exchange(address: tuple[str, int], sent: bytes, *, hang_up: bool) -> bytes:
    """Send bytes, then perhaps hang up, and read until the server closes."""
    with socket.create_connection(address, timeout=HANG_SECONDS) as connection:
        connection.sendall(sent)
        if hang_up:
            connection.shutdown(socket.SHUT_WR)
        received = b""
        while part := connection.recv(65536):
            received += part
        return received


def request_bytes(body: bytes, length: object, content_type: str = JSON) -> bytes:
    head = f"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: {content_type}\r\nConnection: close\r\n"
    return head.encode() + f"Content-Length: {length}\r\n\r\n".encode() + body


def test_broken_http_neither_stops_nor_blames_the_server(address: tuple[str, int]) -> None:
    body = b"[[1, 2, 3]]"
    whole = request_bytes(body, len(body))
    broken = [whole[:end] for end in range(0, len(whole), 7)]
    broken += [request_bytes(body, length) for length in (10**6, -1, "x", "", "1, 2", 3)]
    broken += [whole.replace(b"POST", method) for method in (b"P\x00ST", b"", b"POST POST", b"\xff")]
    broken += [whole.replace(b"HTTP/1.1", version) for version in (b"HTTP/9.9", b"", b"FTP/1.0")]
    broken += [
        whole.replace(b"Host: x", header)
        for header in (b"Host", b"\xff\xfe: a", b"A: \x00", b"A: " + b"x" * 10**5)
    ]
    broken += [
        request_bytes(b"zz\r\nabc\r\n", 5).replace(b"Content-Length: 5", b"Transfer-Encoding: chunked")
    ]
    broken += [os.urandom(200), b"\r\n" * 100]
    for sent in broken:
        received = exchange(address, sent, hang_up=True)
        assert not received or received.startswith((b"HTTP/1.1 4", b"HTTP/1.1 200")), (sent, received)
        assert exchange(address, whole, hang_up=False).startswith(b"HTTP/1.1 200")
