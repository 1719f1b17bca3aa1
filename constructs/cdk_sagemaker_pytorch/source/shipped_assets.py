"""Where the scripts and functions that ship with the library are."""

from pathlib import Path

from aws_cdk import aws_lambda as lambda_

from .source_archive import ALWAYS_EXCLUDED

__all__ = ["shipped_asset", "shipped_function"]

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


def shipped_function(name: str) -> lambda_.Code:
    """Code of a Lambda function that ships with the library: the same asset from a checkout and a wheel.

    Parameters
    ----------
    name : str
        Folder of the function in ``lambda_assets``.

    Raises
    ------
    FileNotFoundError
        When it is missing from the installation.
    """
    return lambda_.Code.from_asset(
        str(shipped_asset("lambda_assets", name)),
        exclude=[f"**/{pattern}" for pattern in (*sorted(ALWAYS_EXCLUDED), "*.pyc")],
    )
