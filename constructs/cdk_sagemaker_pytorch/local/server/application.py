"""The server program of the local AWS: one process that answers every service on one loopback port.

`LocalAws` runs it as a child process, `python -m cdk_sagemaker_pytorch.local.server.application`, with the
user's keys in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, for arguments are open to all users.
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

from cdk_sagemaker_pytorch.local.base.errors import LocalAwsError
from cdk_sagemaker_pytorch.local.base.own_folders import claim
from cdk_sagemaker_pytorch.local.base.server_state import (
    FAULTS_PATH,
    HEALTH_PATH,
    Credentials,
    ServerSettings,
    configure,
    settings,
)

# Parts of moto that are no AWS service: its dashboard and controls, and the credentials of an EC2 instance.
_NO_SERVICES = ("moto_api", "moto_api._internal", "instance_metadata")

# CloudFormation takes 4 KiB; nobody without the token fills this process's memory.
_LONGEST_ANSWER_BYTES = 64 * 1024
_MAX_DRAINED_BYTES = 64 * 1024 * 1024

_logger = logging.getLogger(__name__)


class LocalAwsApplication:
    """The WSGI application: InvokeEndpoint and answers of custom resources are its own, the rest moto's."""

    def __init__(self) -> None:
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication

        from cdk_sagemaker_pytorch.local.cloudformation.custom_resources import RESPONSE_PATH, receive_answer
        from cdk_sagemaker_pytorch.local.serving.invocations import endpoint_of, invoke_endpoint

        from . import admission, error_answers, fault_injection

        self._admission = admission
        self._answer_error = error_answers.answer_error
        self._faults = fault_injection
        self._moto = DomainDispatcherApplication(_service_application)
        self._endpoint_of = endpoint_of
        self._invoke_endpoint = invoke_endpoint
        self._response_path = RESPONSE_PATH
        self._receive_answer = receive_answer

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request."""
        start_response = self._admission.without_cors(start_response)
        try:
            self._admission.check_address(environ)
            return self._answer(environ, start_response)
        except self._admission.RefusedError as error:
            _drain(environ)
            return self._answer_error(error.status, error.code, error.message, environ, start_response)

    def _answer(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path == HEALTH_PATH:
            return _answer(start_response, "200 OK", b"{}")
        if path.startswith(self._response_path):
            # Not signed: the token in the path is the key to it.
            length = environ.get("CONTENT_LENGTH") or "0"
            too_long = not length.isdecimal() or int(length) > _LONGEST_ANSWER_BYTES
            body = b"" if too_long else environ["wsgi.input"].read(int(length))
            if too_long or not self._receive_answer(path.removeprefix(self._response_path), body):
                return _answer(start_response, "403 Forbidden", b"{}")
            return _answer(start_response, "200 OK", b"{}")
        if path == FAULTS_PATH:
            self._admission.check_user(environ)
            return self._faults.answer_control(environ, start_response)
        self._admission.check_key(environ)
        return self._faults.call_with_faults(self._answer_call, environ, start_response)

    def _answer_call(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if name := self._endpoint_of(path):
            return self._invoke_endpoint(name, environ, start_response)
        try:
            answer: Iterable[bytes] = self._moto(environ, start_response)
        except NotImplementedError as error:
            _logger.warning("not simulated: %s", error)
            # 501, for SDKs repeat what ends with 500 again and again.
            return self._answer_error(
                "501 Not Implemented", "NotImplemented", f"the local AWS: {error}", environ, start_response
            )
        except self._admission.RefusedError:
            raise
        except Exception as error:
            _logger.exception("%s %s", environ["REQUEST_METHOD"], path)
            # The server's own page would be no answer that an SDK can read.
            message = f"the local AWS failed: {type(error).__name__}: {error}"
            return self._answer_error(
                "500 Internal Server Error", "InternalFailure", message, environ, start_response
            )
        return answer


def main(argv: list[str] | None = None) -> None:
    """Run the server until it is stopped.

    Parameters
    ----------
    argv
        Arguments of the command line. Defaults to this process's own.
    """
    parser = argparse.ArgumentParser(prog="cdk_sagemaker_pytorch.local.server.application")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--region", required=True)
    parser.add_argument("--account", required=True)
    parser.add_argument("--no-iam", action="store_true")
    parser.add_argument("--wait-factor", type=float, required=True)
    parser.add_argument("--quotas", type=json.loads, required=True)
    arguments = parser.parse_args(argv)
    try:
        claim(arguments.directory)
    except LocalAwsError as error:
        sys.exit(str(error))
    # Taken out, so that nothing this process starts inherits them.
    user = Credentials(os.environ.pop("AWS_ACCESS_KEY_ID"), os.environ.pop("AWS_SECRET_ACCESS_KEY"))
    configure(
        ServerSettings(
            endpoint_url=f"http://127.0.0.1:{arguments.port}",
            region=arguments.region,
            account=arguments.account,
            directory=arguments.directory,
            enforce_iam=not arguments.no_iam,
            user=user,
            wait_factor=arguments.wait_factor,
            quotas=arguments.quotas,
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
        MOTO_DISABLE_GLOBAL_CORS="true",
        AWS_DEFAULT_REGION=arguments.region,
    )
    from moto.moto_server.werkzeug_app import MotoRequestHandler

    from cdk_sagemaker_pytorch.local.iam import access as iam
    from cdk_sagemaker_pytorch.local.iam import policy_sizes

    from . import request_constraints

    iam.install()
    policy_sizes.install()
    request_constraints.install()
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

    if service is None:
        raise NotImplementedError("the service that the request is signed for is not known")
    if service in _NO_SERVICES:
        from .admission import RefusedError

        raise RefusedError("AccessDenied", "the local AWS has nothing here")
    if service == "cloudformation":
        from cdk_sagemaker_pytorch.local.cloudformation.api import application

        return application()
    if service == "sagemaker":
        from cdk_sagemaker_pytorch.local.sagemaker.api import install

        install()
    elif service == "stepfunctions":
        _install_step_functions()
    elif service == "events":
        from cdk_sagemaker_pytorch.local.events import bus, schedules

        bus.install()
        schedules.start()
    elif service in ("lambda", "awslambda"):
        from cdk_sagemaker_pytorch.local.functions.lambda_functions import install as install_lambda

        install_lambda()
    app = create_backend_app(service)
    if service == "s3":
        # Objects are bytes, whatever they say they are: the body of an object is no form, and not the query.
        app.request_class = type("S3Request", (app.request_class,), {"want_form_data_parsed": False})
    app.register_error_handler(404, _unknown_path)
    return app


def _unknown_path(error: Any) -> Any:
    """Stand in for Flask's page: moto has no such path, that is, no such operation of a REST service."""
    from flask import request

    raise NotImplementedError(f"{request.method} {request.path} has not been implemented") from error


_step_functions_lock = threading.Lock()
_step_functions_ready = False


def _install_step_functions() -> None:
    global _step_functions_ready
    with _step_functions_lock:
        if not _step_functions_ready:
            from cdk_sagemaker_pytorch.local.step_functions.interpreter import install

            install()
            _step_functions_ready = True


def _drain(environ: dict[str, Any]) -> None:
    """Read what is left of a request that is refused: an answer before its end would break the connection."""
    length = environ.get("CONTENT_LENGTH") or "0"
    left = min(int(length), _MAX_DRAINED_BYTES) if length.isdecimal() else 0
    while left > 0 and (read := environ["wsgi.input"].read(min(left, 1 << 16))):
        left -= len(read)


def _answer(start_response: Callable[..., Any], status: str, body: bytes) -> Iterable[bytes]:
    start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


if __name__ == "__main__":
    main()
