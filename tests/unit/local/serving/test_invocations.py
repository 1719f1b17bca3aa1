import contextlib
import io
import json
import re
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace
from typing import Any

import pytest

from cdk_sagemaker_pytorch.local.base.server_state import Credentials, ServerSettings, configure
from cdk_sagemaker_pytorch.local.serving import invocations
from one_connection import one_connection


class Container(BaseHTTPRequestHandler):
    """Answers with the headers that it got."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("X-Amzn-SageMaker-Custom-Attributes", "back")
        self.send_header("X-Other", "1")
        self.end_headers()
        self.wfile.write(json.dumps(dict(self.headers)).encode())

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def container() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Container)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/invocations"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def silent() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/invocations"


@pytest.fixture
def invoke(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Any:
    configure(ServerSettings("", "us-east-1", "1", tmp_path, False, Credentials("", "")))
    recorded: list[Any] = []
    monkeypatch.setattr(invocations, "record_invocation", lambda *call: recorded.append(call))

    def call(url: str, kind: str, **headers: str) -> tuple[str, dict[str, str], Any]:
        server = SimpleNamespace(url_invocations=url, kind=kind, log_path="log", headers={})
        log = SimpleNamespace(arn="arn")
        served = SimpleNamespace(server=server, variant={"VariantName": "V"}, log=log)
        endpoint = SimpleNamespace(served_variant=lambda variant: served)
        backends = {"1": {"us-east-1": SimpleNamespace(endpoints={"e": endpoint})}}
        monkeypatch.setattr(invocations, "sagemaker_backends", backends)
        environ: dict[str, Any] = {"CONTENT_LENGTH": "1", "wsgi.input": io.BytesIO(b"x"), **headers}
        started: list[Any] = []
        [answer] = invocations.invoke_endpoint("e", environ, lambda *given: started.append(given))
        status, given = started[0]
        return status, {name.lower(): value for name, value in given}, json.loads(answer)

    return SimpleNamespace(call=call, recorded=recorded)


@pytest.mark.parametrize(
    ("kind", "accept", "attributes"), [("ray", "application/json", "back"), ("torchserve", None, "back")]
)
def test_each_container_gets_and_gives_what_its_front_lets_through(
    invoke: Any, container: str, kind: str, accept: str | None, attributes: str | None
) -> None:
    status, headers, seen = invoke.call(
        container, kind, HTTP_X_AMZN_SAGEMAKER_CUSTOM_ATTRIBUTES="there", HTTP_X_OTHER="1"
    )
    assert status == "200 OK"
    assert seen["Content-Type"] == "application/json"
    assert seen.get("Accept") == accept
    assert seen["X-Amzn-Sagemaker-Custom-Attributes"] == "there"
    assert "X-Other" not in seen
    assert headers.get("x-amzn-sagemaker-custom-attributes") == attributes
    assert "x-other" not in headers
    assert invoke.recorded[0][:3] == ("e", "V", 200)


def test_a_body_in_chunks_reaches_the_container(invoke: Any, container: str) -> None:
    chunked = {"CONTENT_LENGTH": "", "HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True}
    _, _, seen = invoke.call(container, "torchserve", **chunked)
    assert seen["Content-Length"] == "1"


def test_fails_when_the_container_does_not_answer_in_time(
    invoke: Any, silent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(invocations, "_TIMEOUT_SECONDS", 0.1)
    status, headers, answer = invoke.call(silent, "torchserve")
    assert (status, headers["x-amzn-errortype"]) == ("424 Failed Dependency", "ModelError")
    assert answer["OriginalStatusCode"] == 0
    assert answer["Message"].startswith(
        'Received server error (0) from V with message "Your invocation timed out while waiting'
    )
    assert invoke.recorded[0][:3] == ("e", "V", 0)


def test_an_answer_in_drops_has_no_more_time_than_another(
    invoke: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(invocations, "_TIMEOUT_SECONDS", 0.3)
    ended = threading.Event()

    def drip(link: socket.socket) -> None:
        with contextlib.suppress(OSError):
            link.recv(65536)
            link.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
            while not ended.wait(0.02):
                link.sendall(b"x")

    with one_connection(drip) as port:
        _, _, answer = invoke.call(f"http://127.0.0.1:{port}/", "torchserve")
        ended.set()
    assert answer["OriginalStatusCode"] == 0


@pytest.mark.parametrize("head", ["Content-Length: 9", "Transfer-Encoding: chunked"])
def test_an_answer_that_is_cut_short_is_none(invoke: Any, head: str) -> None:
    half = f"HTTP/1.1 200 OK\r\n{head}\r\n\r\n9\r\nhalf".encode()
    with one_connection(lambda link: (link.recv(65536), link.sendall(half))) as port:
        _, _, answer = invoke.call(f"http://127.0.0.1:{port}/", "torchserve")
    assert answer["OriginalStatusCode"] == 500


@pytest.mark.parametrize(
    ("kind", "code", "words"),
    [("ray", 503, '{"error": "Service unavailable"}'), ("torchserve", 500, "no answer from the container")],
)
def test_fails_when_the_container_is_gone(invoke: Any, kind: str, code: int, words: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closing:
        port = closing.getsockname()[1]
    status, _, answer = invoke.call(f"http://127.0.0.1:{port}/", kind)
    assert status == "424 Failed Dependency"
    assert answer["OriginalStatusCode"] == code
    assert answer["OriginalMessage"].startswith(words)


def test_fails_when_a_replica_of_ray_serve_ends_while_it_answers(invoke: Any) -> None:
    with one_connection(lambda link: link.recv(1)) as port:
        _, _, answer = invoke.call(f"http://127.0.0.1:{port}/", "ray")
    assert answer["OriginalStatusCode"] == 500
    assert set(json.loads(answer["OriginalMessage"])) == {"error"}


@pytest.mark.parametrize(
    ("headers", "code", "words"),
    [
        ({"HTTP_X_AMZN_SAGEMAKER_CUSTOM_ATTRIBUTES": "x" * 1024}, 200, None),
        ({"HTTP_X_AMZN_SAGEMAKER_CUSTOM_ATTRIBUTES": "x" * 1025}, 400, "'customAttributes' failed .* 1024"),
        ({"HTTP_X_AMZN_SAGEMAKER_INFERENCE_ID": "x" * 65}, 400, "'inferenceId' failed .* 64"),
        ({"HTTP_X_AMZN_SAGEMAKER_TARGET_VARIANT": "-"}, 400, "'targetVariant' failed .* pattern"),
        ({"CONTENT_TYPE": "x" * 1025}, 400, "'contentType' failed"),
        ({"HTTP_ACCEPT": "x" * 1025}, 400, "'accept' failed"),
    ],
)
def test_headers_are_as_the_api_has_them(
    invoke: Any, container: str, headers: dict[str, str], code: int, words: str | None
) -> None:
    status, _, answer = invoke.call(container, "ray", **headers)
    assert status.startswith(f"{code} ")
    assert words is None or re.search(words, answer["Message"])
