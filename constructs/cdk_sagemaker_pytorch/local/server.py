"""The server program of the local AWS: one process that answers every service on one loopback port.

`LocalAws` runs it as a child process: `python -m cdk_sagemaker_pytorch.local.server --port … --directory …`.
"""

import argparse
import json
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from werkzeug.serving import make_server

from .server_state import HEALTH_PATH, ServerSettings, configure, settings

_logger = logging.getLogger(__name__)


class LocalAwsApplication:
    """The WSGI application: InvokeEndpoint and answers of custom resources are its own, the rest moto's."""

    def __init__(self) -> None:
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication

        from .cloudformation.custom_resources import RESPONSE_PATH, receive_answer
        from .invocations import endpoint_of, invoke_endpoint

        self._moto = DomainDispatcherApplication(_service_application)
        self._endpoint_of = endpoint_of
        self._invoke_endpoint = invoke_endpoint
        self._response_path = RESPONSE_PATH
        self._receive_answer = receive_answer

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request."""
        path = environ.get("PATH_INFO", "")
        if path == HEALTH_PATH:
            return _answer(start_response, "200 OK", b"{}")
        if path.startswith(self._response_path):
            body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            self._receive_answer(path.removeprefix(self._response_path), body)
            return _answer(start_response, "200 OK", b"{}")
        if name := self._endpoint_of(path):
            return self._invoke_endpoint(name, environ, start_response)
        try:
            answer: Iterable[bytes] = self._moto(environ, start_response)
        except NotImplementedError as error:
            _logger.warning("not simulated: %s", error)
            # 501, for SDKs repeat what ends with 500 again and again.
            body = json.dumps({"__type": "NotImplemented", "message": f"the local AWS: {error}"}).encode()
            return _answer(start_response, "501 Not Implemented", body)
        return answer


def main(argv: list[str] | None = None) -> None:
    """Run the server until it is stopped.

    Parameters
    ----------
    argv
        Arguments of the command line. Defaults to this process's own.
    """
    parser = argparse.ArgumentParser(prog="cdk_sagemaker_pytorch.local.server")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--region", required=True)
    parser.add_argument("--account", required=True)
    parser.add_argument("--no-iam", action="store_true")
    arguments = parser.parse_args(argv)
    configure(
        ServerSettings(
            endpoint_url=f"http://127.0.0.1:{arguments.port}",
            region=arguments.region,
            account=arguments.account,
            directory=arguments.directory,
            enforce_iam=not arguments.no_iam,
        )
    )
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stdout
    )
    for noisy in ("werkzeug", "botocore", "moto"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    # A state that fails is the business of its machine, and of its history.
    logging.getLogger("moto.stepfunctions").setLevel(logging.CRITICAL)
    # What moto reads when it is imported.
    os.environ.update(
        MOTO_ACCOUNT_ID=arguments.account,
        MOTO_PORT=str(arguments.port),
        MOTO_IAM_LOAD_MANAGED_POLICIES="true",
        AWS_DEFAULT_REGION=arguments.region,
    )
    from moto.moto_server.werkzeug_app import MotoRequestHandler

    from . import iam

    iam.install()
    server = make_server(
        "127.0.0.1", arguments.port, LocalAwsApplication(), threaded=True, request_handler=MotoRequestHandler
    )
    # The interpreter of Step Functions takes over a second to import: be ready before it is needed.
    threading.Thread(target=_install_step_functions, daemon=True).start()
    _logger.info("listening on %s", settings().endpoint_url)
    server.serve_forever()


def _service_application(service: Any) -> Any:
    """Return moto's application of a service, with what this package adds to it."""
    from moto.moto_server.werkzeug_app import create_backend_app

    if service == "cloudformation":
        from .cloudformation.api import application

        return application()
    if service == "sagemaker":
        from .sagemaker_api import install

        install()
    elif service == "stepfunctions":
        _install_step_functions()
    elif service in ("lambda", "awslambda"):
        from .lambda_functions import install as install_lambda

        install_lambda()
    return create_backend_app(service)


_step_functions_lock = threading.Lock()
_step_functions_ready = False


def _install_step_functions() -> None:
    global _step_functions_ready
    with _step_functions_lock:
        if not _step_functions_ready:
            from .step_functions import install

            install()
            _step_functions_ready = True


def _answer(start_response: Callable[..., Any], status: str, body: bytes) -> Iterable[bytes]:
    start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


if __name__ == "__main__":
    main()
