"""What the parts of the local AWS's server program share: its settings and its boto3 clients."""

import base64
import os
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Self

import boto3
import botocore.session
from botocore.config import Config

from .processes import NO_PROFILES

#: Path that the server answers as soon as it is up.
HEALTH_PATH = "/_local/health"
#: Path that `LocalAws.faults` talks to.
FAULTS_PATH = "/_local/faults"


@dataclass(frozen=True)
class Credentials:
    """Keys of a session; `session_token` is None for the user. They show in no traceback and no log."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)

    @classmethod
    def random(cls) -> Self:
        """Return keys of the one user of a local AWS, who may do everything: new ones for each start."""
        key_id = "AKIA" + base64.b32encode(secrets.token_bytes(10)).decode()
        return cls(key_id, secrets.token_urlsafe(30))


@dataclass(frozen=True)
class ServerSettings:
    """Settings of the running server.

    Parameters
    ----------
    endpoint_url
        `http://127.0.0.1:PORT`.
    region, account
        The one region and account the resources live in.
    directory
        Absolute path of the folder for logs, job folders and model folders.
    enforce_iam
        Whether calls are checked against the caller's policies.
    user
        Keys of the user, who may do everything.
    wait_factor
        What the seconds of Wait states are multiplied with.
    quotas
        Quotas of SageMaker by name; those that are not named are not limited.
    """

    endpoint_url: str
    region: str
    account: str
    directory: Path
    enforce_iam: bool
    user: Credentials
    wait_factor: float = 1.0
    quotas: Mapping[str, int] = field(default_factory=dict)

    @property
    def logs_directory(self) -> Path:
        """Folder of the log files."""
        return self.directory / "logs"


_settings: ServerSettings | None = None
_client_lock = threading.Lock()


def configure(settings: ServerSettings) -> None:
    """Set the settings of this process; called once, before the server starts."""
    global _settings
    _settings = settings


def settings() -> ServerSettings:
    """Return the settings of this process."""
    if _settings is None:
        raise RuntimeError("the local AWS is not configured in this process")
    return _settings


def aws_environment(credentials: Credentials, *, region: str, endpoint_url: str) -> dict[str, str]:
    """Return the variables that point any AWS SDK at the local AWS and nowhere else."""
    environment = {
        "AWS_ENDPOINT_URL": endpoint_url,
        "AWS_ENDPOINT_URL_S3": endpoint_url,
        "AWS_ACCESS_KEY_ID": credentials.access_key_id,
        "AWS_SECRET_ACCESS_KEY": credentials.secret_access_key,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        # Some operations, such as StartSyncExecution, go to a host with a prefix: sync-127.0.0.1.
        "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
        **NO_PROFILES,
    }
    if credentials.session_token is not None:
        environment["AWS_SESSION_TOKEN"] = credentials.session_token
    return environment


def client(service: str, credentials: Credentials | None = None) -> Any:
    """Return the boto3 client of a service of this local AWS, as the given caller; by default as the user."""
    with _client_lock:
        return _client(service, credentials or settings().user)


@cache
def _client(service: str, credentials: Credentials) -> Any:
    return _session(credentials).client(
        service,
        endpoint_url=settings().endpoint_url,
        region_name=settings().region,
        aws_access_key_id=credentials.access_key_id,
        aws_secret_access_key=credentials.secret_access_key,
        aws_session_token=credentials.session_token,
        # A retry would hide the error that AWS would show, and a Lambda function may run for 15 minutes.
        config=Config(retries={"total_max_attempts": 1}, read_timeout=1000, s3={"addressing_style": "path"}),
    )


@cache
def _session(credentials: Credentials) -> boto3.Session:
    session = isolated_session()
    # The service models are large: read each once, whoever calls.
    session.register_component("data_loader", _data_loader())
    return boto3.Session(botocore_session=session)


@cache
def _data_loader() -> Any:
    return isolated_session().get_component("data_loader")


def isolated_session() -> botocore.session.Session:
    """Return a botocore session that reads neither variables nor configuration files of this machine.

    An unknown AWS_PROFILE would end it, and what a profile says about endpoints and credential programs
    would be obeyed. Nor does it ask a proxy, or a host of another name for some operations.
    """
    variables = {
        name: (None, None, default, convert)
        for name, (_, _, default, convert) in botocore.session.Session.SESSION_VARIABLES.items()
    }
    for name in ("config_file", "credentials_file"):
        variables[name] = (None, None, os.devnull, None)
    session = botocore.session.Session(session_vars=variables)
    session.set_default_client_config(Config(proxies={}, inject_host_prefix=False))
    return session
