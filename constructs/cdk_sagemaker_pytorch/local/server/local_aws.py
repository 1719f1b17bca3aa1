"""`LocalAws`: starts the local AWS, points programs at it, deploys to it, and ends it without a trace."""

import contextlib
import http.client
import json
import os
import re
import shutil
import socket
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from cdk_sagemaker_pytorch.local.base.errors import LocalAwsError, LocalAwsWarning
from cdk_sagemaker_pytorch.local.base.own_folders import make_private
from cdk_sagemaker_pytorch.local.base.processes import (
    SupervisedProcess,
    direct_to_loopback,
    free_port,
    host_environment,
)
from cdk_sagemaker_pytorch.local.base.quota_names import quota_problems
from cdk_sagemaker_pytorch.local.base.server_state import (
    FAULTS_PATH,
    HEALTH_PATH,
    Credentials,
    aws_environment,
    isolated_session,
)

from .cdk_cli import App, CdkCli
from .faults import Faults

# As the server writes its log.
_WARNING = re.compile(r"\S+ \S+ WARNING [\w.]+: (?P<text>.*)")
_START_TIMEOUT_SECONDS = 60.0
_POLL_SECONDS = 0.05
# What the server puts below its folder: for its user alone, whatever that folder allows.
_FOLDERS = ("logs", "training", "processing", "endpoints", "lambda")


class _LocalSession(boto3.Session):  # type: ignore[misc]
    """A session whose clients call the local AWS unless they are told otherwise."""

    def __init__(self, credentials: Credentials, endpoint_url: str, region: str) -> None:
        super().__init__(
            aws_access_key_id=credentials.access_key_id,
            aws_secret_access_key=credentials.secret_access_key,
            region_name=region,
            botocore_session=isolated_session(),
        )
        self._endpoint_url = endpoint_url

    def client(self, *args: Any, **options: Any) -> Any:
        return super().client(*args, **{"endpoint_url": self._endpoint_url, **options})

    def resource(self, *args: Any, **options: Any) -> Any:
        return super().resource(*args, **{"endpoint_url": self._endpoint_url, **options})


class LocalAws:
    """A local AWS; a context manager that runs it as long as the block lasts.

    Everything listens on 127.0.0.1 only, and each start has keys of its own, which every call needs. When
    the block ends, or this process ends in any way, all processes, ports and temporary folders of the local
    AWS are gone.

    Parameters
    ----------
    directory
        Folder where logs, job folders and model folders stay for reading afterwards; made if it is missing,
        for this user alone. It can be used again: a job replaces what one of its name has left there.
        Defaults to a temporary folder that goes away.
    port
        Port to listen on. Defaults to a free one.
    region, account
        The one region and account of this AWS. Default to "us-east-1" and "123456789012".
    enforce_iam
        Whether calls of state machines, functions, jobs and model servers are checked against the policies
        of their roles. Defaults to True. Calls without a known key are refused in any case.
    wait_factor
        What the seconds of Wait states and those before retries are multiplied with, from 0 to 1: with 0.1,
        a wait of ten seconds takes one. Waits for a timestamp, time limits and times that are told stay as
        they are. Defaults to 1.
    quotas
        Instances of SageMaker that may run at once, by Service Quotas' names, for example
        `{"ml.g5.xlarge for endpoint usage": 1, "ml.m5.large for spot training job usage": 2}`. What exceeds
        one is refused with ResourceLimitExceeded. What is not named is not limited.
    cdk_executable
        Path of the CDK CLI. Defaults to the one beside this Python, else `npx` fetches it.
    on_warning
        Called from a thread with each line of the server's log that warns, as it comes. Defaults to nothing;
        `deploy` warns of what it deployed in any case.

    Examples
    --------
    >>> with LocalAws() as aws:  # doctest: +SKIP
    ...     outputs = aws.deploy("cdk.out")
    ...     aws.client("s3").list_buckets()
    """

    def __init__(
        self,
        directory: str | os.PathLike[str] | None = None,
        *,
        port: int | None = None,
        region: str = "us-east-1",
        account: str = "123456789012",
        enforce_iam: bool = True,
        wait_factor: float = 1.0,
        quotas: Mapping[str, int] | None = None,
        cdk_executable: str | os.PathLike[str] | None = None,
        on_warning: Callable[[str], None] | None = None,
    ) -> None:
        if len(account) != 12 or not account.isdigit():
            raise ValueError(f"account must have 12 digits, got {account!r}")
        if not 0 <= wait_factor <= 1:
            raise ValueError(f"wait_factor must be between 0 and 1, got {wait_factor!r}")
        if problems := quota_problems(quotas or {}):
            raise ValueError("; ".join(problems))
        self.region = region
        self.account = account
        self._given_directory = None if directory is None else Path(directory).absolute()
        self._given_port = port
        self._enforce_iam = enforce_iam
        self._wait_factor = wait_factor
        self._quotas = dict(quotas or {})
        self._cdk_executable = cdk_executable
        self._on_warning = on_warning
        self._process: SupervisedProcess | None = None
        self._directory: Path | None = None
        self._port = 0
        self._credentials: Credentials | None = None
        self._session: boto3.Session | None = None
        self._bootstrapped = False

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def endpoint_url(self) -> str:
        """Where it listens: `http://127.0.0.1:PORT`."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def directory(self) -> Path:
        """Folder of logs, jobs and models."""
        if self._directory is None:
            raise LocalAwsError("the local AWS is not started")
        return self._directory

    @property
    def logs_directory(self) -> Path:
        """Folder of the logs: `server.log`, `training/JOB`, `lambda/FUNCTION.log`, `endpoints/ENDPOINT`."""
        return self.directory / "logs"

    @property
    def environment(self) -> dict[str, str]:
        """The variables, keys among them, that point AWS SDKs, the AWS CLI and the CDK CLI at this AWS."""
        if self._credentials is None:
            raise LocalAwsError("the local AWS is not started")
        direct = direct_to_loopback({name: os.environ.get(name, "") for name in ("NO_PROXY", "no_proxy")})
        pointers = aws_environment(self._credentials, region=self.region, endpoint_url=self.endpoint_url)
        return (
            direct
            | pointers
            | {
                # The CDK CLI hands CloudFormation the address of a template, and checks that it is one of S3.
                "AWS_ENDPOINT_URL_S3_FOR_CLOUDFORMATION": f"https://s3.{self.region}.amazonaws.com",
                "CDK_DEFAULT_ACCOUNT": self.account,
                "CDK_DEFAULT_REGION": self.region,
            }
        )

    @property
    def faults(self) -> Faults:
        """What is to go wrong, on order: throttled calls, lost answers, endpoints that fail."""
        self.session()  # started?
        return Faults(self._send_control)

    def interrupt(
        self, training_job_name: str, *, grace_seconds: float = 10.0, capacity_after_seconds: float = 0.0
    ) -> None:
        """Take the spot instances of a training job away, as AWS does when it needs them itself.

        The script gets SIGTERM on each host and, after the grace period, SIGKILL. The job is Interrupted
        until there are instances again; then it starts in new containers, with the checkpoints from S3.

        Parameters
        ----------
        training_job_name
            A job with EnableManagedSpotTraining whose secondary status is Training.
        grace_seconds
            Between the two signals. Defaults to 10; AWS gives up to two minutes.
        capacity_after_seconds
            How long it takes until there are instances again. Defaults to 0. If that is later than
            MaxWaitTimeInSeconds, the job ends there.

        Raises
        ------
        LocalAwsError
            If there is no such job, or it has no spot instances, or it does not train at the moment.
        """
        interruption = {"grace_seconds": grace_seconds, "capacity_after_seconds": capacity_after_seconds}
        request = {
            "action": "interrupt",
            "training_job": training_job_name,
            "interruption": interruption,
        }
        self._send_control(json.dumps(request).encode())

    def start(self) -> None:
        """Start it and wait until it answers.

        Raises
        ------
        LocalAwsError
            If it is started already, if the port is in use, or if the server does not come up.
        """
        if self._process is not None:
            raise LocalAwsError("the local AWS is started already")
        self._port = self._given_port or free_port()
        _check_port(self._port)
        self._directory = self._given_directory or Path(tempfile.mkdtemp(prefix="local-aws-"))
        self._directory.mkdir(0o700, parents=True, exist_ok=True)
        for name in _FOLDERS:
            make_private(self._directory / name)
        self._credentials = Credentials.random()
        log = self.logs_directory / "server.log"
        arguments = ["--port", str(self._port), "--directory", str(self._directory)]
        arguments += ["--region", self.region, "--account", self.account]
        arguments += ["--wait-factor", str(self._wait_factor), "--quotas", json.dumps(self._quotas)]
        if not self._enforce_iam:
            arguments.append("--no-iam")
        self._process = SupervisedProcess(
            [sys.executable, "-m", "cdk_sagemaker_pytorch.local.server.application", *arguments],
            cwd=self._directory,
            env=host_environment()
            | {
                "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
                "AWS_ACCESS_KEY_ID": self._credentials.access_key_id,
                "AWS_SECRET_ACCESS_KEY": self._credentials.secret_access_key,
            },
            log_path=log,
            on_line=self._heard,
            temporary_folders=[] if self._given_directory else [self._directory],
        )
        try:
            self._wait_until_it_answers(self._process, self._port, log)
        except BaseException:
            self.stop()
            raise
        self._session = _LocalSession(self._credentials, self.endpoint_url, self.region)

    def stop(self) -> None:
        """Stop it and everything it started; a temporary folder goes with it."""
        if self._process is not None:
            self._process.stop()
            self._process = None
        if self._directory is not None and self._given_directory is None:
            shutil.rmtree(self._directory, ignore_errors=True)
        self._directory = None
        self._credentials = None
        self._session = None
        self._bootstrapped = False

    def session(self) -> boto3.Session:
        """Return a boto3 session of the user; its clients call this AWS."""
        if self._session is None:
            raise LocalAwsError("the local AWS is not started")
        return self._session

    def client(self, service: str, **options: Any) -> Any:
        """Return a boto3 client of this AWS.

        Parameters
        ----------
        service
            For example "sagemaker-runtime".
        **options
            More arguments for boto3's `Session.client`.
        """
        return self.session().client(service, **options)

    def bootstrap(self) -> None:
        """Run `cdk bootstrap`, once.

        Raises
        ------
        CdkError
            If the CLI fails.
        """
        if not self._bootstrapped:
            self._cdk().bootstrap(self.account, self.region)
            self._bootstrapped = True

    def deploy(
        self, app: App, *stacks: str, env: Mapping[str, str] | None = None
    ) -> dict[str, dict[str, str]]:
        """Deploy an app with the real CDK CLI, after `bootstrap`.

        Parameters
        ----------
        app
            Folder of a synthesized app (`cdk.out`), or the command that synthesizes it, as a list.
        *stacks
            Names of the stacks. Defaults to all.
        env
            More variables for the app.

        Returns
        -------
        dict
            The outputs: stack name to output key to value.

        Raises
        ------
        CdkError
            If the CLI fails; it carries what the CLI wrote.

        Warns
        -----
        LocalAwsWarning
            For each resource that the local AWS does not simulate.
        """
        self.bootstrap()
        before = {event["EventId"] for event in self._warning_events()}
        outputs = self._cdk().deploy(app, stacks, env)
        for event in self._warning_events():
            if event["EventId"] not in before:
                warnings.warn(event["ResourceStatusReason"], LocalAwsWarning, stacklevel=2)
        return outputs

    def destroy(self, app: App, *stacks: str, env: Mapping[str, str] | None = None) -> None:
        """Destroy an app's stacks with the real CDK CLI; parameters and errors as for `deploy`."""
        self._cdk().destroy(app, stacks, env)

    def _warning_events(self) -> list[dict[str, Any]]:
        """Return the events of all stacks that succeeded with a reason: it says what is not as on AWS."""
        cloudformation = self.client("cloudformation")
        events = [
            event
            for stack in cloudformation.describe_stacks()["Stacks"]
            for event in cloudformation.describe_stack_events(StackName=stack["StackId"])["StackEvents"]
        ]
        return [
            event
            for event in reversed(events)
            if event["ResourceType"] != "AWS::CloudFormation::Stack"
            and event["ResourceStatus"] in ("CREATE_COMPLETE", "UPDATE_COMPLETE")
            and "ResourceStatusReason" in event
        ]

    def _send_control(self, body: bytes) -> bytes:
        request = AWSRequest("POST", f"{self.endpoint_url}{FAULTS_PATH}", data=body)
        SigV4Auth(self.session().get_credentials(), "local", self.region).add_auth(request)
        with _connection(self._port) as connection:
            connection.request("POST", FAULTS_PATH, body, dict(request.headers.items()))
            answer = connection.getresponse()
            content = answer.read()
        if answer.status != 200:
            raise LocalAwsError(f"the local AWS does not do this: {content.decode()}")
        return content

    def _heard(self, line: str) -> None:
        if self._on_warning is not None and (match := _WARNING.match(line)):
            self._on_warning(match["text"])

    def _cdk(self) -> CdkCli:
        self.session()  # started?
        return CdkCli(self.environment, self._cdk_executable)

    @staticmethod
    def _wait_until_it_answers(process: SupervisedProcess, port: int, log: Path) -> None:
        deadline = time.monotonic() + _START_TIMEOUT_SECONDS
        while not _answers(port):
            if process.poll() is not None or time.monotonic() > deadline:
                text = log.read_text(encoding="utf-8", errors="replace")[-2000:]
                raise LocalAwsError(f"the server of the local AWS did not start:\n{text}")
            time.sleep(_POLL_SECONDS)


def _check_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise LocalAwsError(
                f"port {port} cannot be used ({error.strerror}): choose another, or none to get a free one"
            ) from error


def _answers(port: int) -> bool:
    with _connection(port) as connection, contextlib.suppress(OSError, http.client.HTTPException):
        connection.request("GET", HEALTH_PATH)
        return connection.getresponse().status == 200
    return False


@contextlib.contextmanager
def _connection(port: int) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        yield connection
    finally:
        connection.close()
