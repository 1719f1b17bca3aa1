"""What the parts of the local AWS's server program share: its settings and its boto3 clients."""

import threading
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import botocore.session
from botocore.config import Config

#: Path that the server answers as soon as it is up.
HEALTH_PATH = "/_local/health"

#: Keys of the one user of the local AWS, who may do everything. They open nothing outside it.
ADMIN_ACCESS_KEY_ID = "AKIALOCALAWSADMIN000"
ADMIN_SECRET_ACCESS_KEY = "local-aws-admin"  # noqa: S105 - a fixed word, not a secret


@dataclass(frozen=True)
class Credentials:
    """Keys of a session; `session_token` is None for the admin user."""

    access_key_id: str
    secret_access_key: str
    session_token: str | None = None


ADMIN_CREDENTIALS = Credentials(ADMIN_ACCESS_KEY_ID, ADMIN_SECRET_ACCESS_KEY)


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
    """

    endpoint_url: str
    region: str
    account: str
    directory: Path
    enforce_iam: bool

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
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    if credentials.session_token is not None:
        environment["AWS_SESSION_TOKEN"] = credentials.session_token
    return environment


def client(service: str, credentials: Credentials = ADMIN_CREDENTIALS) -> Any:
    """Return the boto3 client of a service of this local AWS, as the given caller."""
    with _client_lock:
        return _client(service, credentials)


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
    session = botocore.session.Session()
    # The service models are large: read each once, whoever calls.
    session.register_component("data_loader", _data_loader())
    return boto3.Session(botocore_session=session)


@cache
def _data_loader() -> Any:
    return botocore.session.Session().get_component("data_loader")
