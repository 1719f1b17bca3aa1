"""One model on four servers: AWS's toolkit on TorchServe as the reference, and this library on three."""

import contextlib
import http.client
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch

from cdk_sagemaker_pytorch.images.framework_version import FrameworkVersion
from cdk_sagemaker_pytorch.local.serving.model_server import ModelServer, ServerKind
from cdk_sagemaker_pytorch.serving.inference_code import serving_environment

from .container_proxy import container_proxy
from .serving_scripts.network import Network

REPOSITORY = Path(__file__).parents[2]
ASSETS = REPOSITORY / "inference_assets"
SCRIPTS = Path(__file__).parent / "serving_scripts"
PROGRAM = Path(__file__).with_name("torchserve_program.py")

TOOLKIT = "AWS's toolkit on TorchServe"
TORCHSERVE, RAY, ASGI = OURS = ("TorchServe", "Ray Serve", "ASGI host")

NO_SCRIPT = "no script"
TIMEOUT_SECONDS = 60


@dataclass(frozen=True)
class Answer:
    """What a server sent back."""

    status: int
    content_type: str | None
    body: bytes


@dataclass(frozen=True)
class Server:
    """A model server with the paths of the container contract."""

    address: str

    def ping(self) -> int:
        """Return the status of the health check."""
        return self._send("GET", "/ping", b"", {}).status

    def invoke(
        self,
        body: bytes,
        content_type: str | None = None,
        accept: str | None = None,
        attributes: str | None = None,
    ) -> Answer:
        """Send a request; a header that is None is not sent."""
        headers = {
            "Content-Type": content_type,
            "Accept": accept,
            "X-Amzn-SageMaker-Custom-Attributes": attributes,
        }
        return self._send("POST", "/invocations", body, headers)

    def _send(self, method: str, path: str, body: bytes, headers: dict[str, str | None]) -> Answer:
        host = self.address.removeprefix("http://")
        connection = http.client.HTTPConnection(host, timeout=TIMEOUT_SECONDS)
        with contextlib.closing(connection):
            # http.client adds no Accept and no Content-Type of its own.
            given = {name: value for name, value in headers.items() if value is not None}
            connection.request(method, path, body, given)
            response = connection.getresponse()
            return Answer(response.status, response.getheader("Content-Type"), response.read())


def write_models(script: str, folder: Path) -> tuple[Path, Path]:
    """Write the folder of a model as a user packs it, and as this library does.

    Parameters
    ----------
    script
        One of `serving_scripts` without its suffix, or `NO_SCRIPT`.
    folder
        Where to write.
    """
    packed, ours = folder / "packed", folder / "ours"
    packed.mkdir()
    torch.manual_seed(7)
    network = Network().eval()
    if script == NO_SCRIPT:
        traced = torch.jit.trace(network, torch.zeros(1, 4))  # type: ignore[no-untyped-call]
        torch.jit.save(traced, packed / "model.pt")
    else:
        torch.save(network.state_dict(), packed / "model.pth")
        (packed / "code").mkdir()
        for name in (f"{script}.py", "network.py"):
            shutil.copy(SCRIPTS / name, packed / "code" / name)
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(packed, ours)
    shutil.copytree(ASSETS / "serving", ours / "code" / "cdk_sagemaker_pytorch_serving", ignore=ignore)
    if script == NO_SCRIPT:
        shutil.copy(ASSETS / "inference.py", ours / "code")
    return packed, ours


@contextlib.contextmanager
def torchserve(
    models: list[tuple[str, dict[str, str], str]], inference_python: Path
) -> Iterator[Callable[[], list[str]]]:
    """Serve models on TorchServe as long as the block lasts.

    Parameters
    ----------
    models
        Of each the folder, the environment and the log file.
    inference_python
        The Python that has TorchServe.

    Yields
    ------
    Callable
        Waits until all models are loaded, and returns the servers' addresses.
    """
    with subprocess.Popen(
        [inference_python, PROGRAM, json.dumps(models)],
        env=os.environ | {"PYTHONPATH": str(REPOSITORY / "constructs")},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as program:
        assert program.stdin is not None
        assert program.stdout is not None
        line = program.stdout.readline

        def addresses() -> list[str]:
            found = line()
            assert found, f"TorchServe did not start, see {[log for *_, log in models]}"
            return list(json.loads(found))

        try:
            yield addresses
        finally:
            program.stdin.close()


@contextlib.contextmanager
def four_servers(script: str, folder: Path, inference_python: Path) -> Iterator[dict[str, Server]]:
    """Serve a model on all four as long as the block lasts; gives them by name."""
    packed, ours = write_models(script, folder)
    entry_point = "inference.py" if script == NO_SCRIPT else f"{script}.py"

    def environment(framework_version: str, *, has_handlers: bool) -> dict[str, str]:
        return serving_environment(
            FrameworkVersion.of(framework_version),
            entry_point=entry_point,
            has_handlers=has_handlers,
            submit_directory="/opt/ml/model/code",
            region="eu-west-1",
        )

    def local(kind: ServerKind, framework_version: str) -> ModelServer:
        variables = environment(framework_version, has_handlers=True)
        return ModelServer(kind, ours, environment=variables, log_path=folder / f"{kind}.log")

    ray, asgi = local("ray", "2.13"), local("asgi", "2.6")
    on_torchserve = [
        (str(packed), environment("2.6", has_handlers=False), str(folder / "toolkit.log")),
        (str(ours), environment("2.6", has_handlers=True), str(folder / "torchserve.log")),
    ]
    with contextlib.ExitStack() as stack:
        addresses = stack.enter_context(torchserve(on_torchserve, inference_python))
        stack.callback(ray.stop)
        stack.callback(asgi.stop)
        with ThreadPoolExecutor() as pool:
            list(pool.map(ModelServer.start, [ray, asgi]))
        toolkit, torchserve_ = addresses()
        proxy = stack.enter_context(container_proxy(ray.url_invocations.removesuffix("/")))
        yield {
            TOOLKIT: Server(toolkit),
            TORCHSERVE: Server(torchserve_),
            RAY: Server(proxy),
            ASGI: Server(asgi.url_invocations.removesuffix("/invocations")),
        }
