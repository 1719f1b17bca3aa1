"""Where the scripts and functions that ship with the library are."""

from collections.abc import Mapping
from pathlib import Path

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from cdk_sagemaker_pytorch.common.function_role import new_function_role

from .source_archive import ALWAYS_EXCLUDED

__all__ = ["new_shipped_function", "shipped_asset"]

_PACKAGE = Path(__file__).parents[1]


def shipped_asset(*parts: str) -> Path:
    """Path of something that ships with the library.

    An installed package carries the asset folders inside it; in a checkout they lie beside
    ``constructs/``.

    Parameters
    ----------
    *parts : str
        For example ``"training_assets", "train.py"``.

    Raises
    ------
    FileNotFoundError
        When it is in neither place: the installation is broken.
    """
    candidates = [root.joinpath(*parts) for root in (_PACKAGE, _PACKAGE.parent.parent)]
    for candidate in candidates:
        if candidate.exists():
            return candidate
    raise FileNotFoundError(
        f"{'/'.join(parts)} is missing from the installation, looked for: "
        + ", ".join(str(candidate) for candidate in candidates)
    )


def new_shipped_function(
    scope: Construct,
    name: str,
    *,
    description: str,
    timeout: Duration,
    environment: Mapping[str, str] | None = None,
) -> lambda_.Function:
    """Make a Lambda function that ships with the library, its log group, and a role that may only log.

    Its code is the same asset from a checkout and a wheel.

    Parameters
    ----------
    scope : Construct
        Where they live, as ``Function``, ``Logs`` and ``ServiceRole``.
    name : str
        Folder of the function in ``lambda_assets``.
    description : str
        What it does.
    timeout : Duration
        How long an invocation may take.
    environment : Mapping of str to str, optional
        Its variables. Defaults to none.

    Raises
    ------
    FileNotFoundError
        When it is missing from the installation.
    """
    log_group = logs.LogGroup(
        scope, "Logs", retention=logs.RetentionDays.THREE_MONTHS, removal_policy=RemovalPolicy.DESTROY
    )
    return lambda_.Function(
        scope,
        "Function",
        description=description,
        runtime=lambda_.Runtime.PYTHON_3_13,
        architecture=lambda_.Architecture.ARM_64,
        handler="index.handler",
        code=lambda_.Code.from_asset(
            str(shipped_asset("lambda_assets", name)),
            exclude=[f"**/{pattern}" for pattern in (*sorted(ALWAYS_EXCLUDED), "*.pyc")],
        ),
        environment=environment,
        timeout=timeout,
        memory_size=512,
        role=new_function_role(scope, "ServiceRole", log_group=log_group),
        log_group=log_group,
    )
