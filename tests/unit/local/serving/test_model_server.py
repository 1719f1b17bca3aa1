"""What a server's health check makes of what answers it. Real servers: tests/local/test_model_server.py."""

import itertools
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cdk_sagemaker_pytorch.local.serving import model_server
from cdk_sagemaker_pytorch.local.serving.model_server import ModelLoadError, ModelServer
from one_connection import one_connection


@pytest.fixture
def server(tmp_path: Path) -> ModelServer:
    return ModelServer("asgi", tmp_path, environment={}, log_path=tmp_path / "log", startup_timeout=10)


@pytest.mark.parametrize(
    "answer", [b"", b"no HTTP at all\r\n\r\n", b"HTTP/9.9 200 OK\r\n\r\n", b"x" * 70_000]
)
def test_what_answers_no_http_is_not_healthy(server: ModelServer, answer: bytes) -> None:
    with one_connection(lambda link: (link.recv(65536), link.sendall(answer))) as port:
        server._port = port
        assert not server.ping()


def test_a_health_check_that_hangs_takes_from_the_time_to_start(
    server: ModelServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = itertools.count(step=2)  # each look at the clock is a health check later
    monkeypatch.setattr(model_server, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    pings = []
    monkeypatch.setattr(server, "ping", lambda: pings.append(1))

    def wait(_: float) -> int:
        raise TimeoutError

    process: Any = SimpleNamespace(wait=wait)
    (tmp_path / "ready").touch()
    with pytest.raises(ModelLoadError, match="the model was not loaded after 10 seconds"):
        server._wait_until_ready(process, tmp_path / "ready")
    assert len(pings) == 4
