"""Lambda functions with compiled dependencies, bundled for their architecture without Docker.

Wheels come from the user's package index by platform tag, pinned by hash, and stay in a cache. Where no index
can be reached the function ships without them: such dependencies only make it faster.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import jsii
from aws_cdk import Annotations, AssetHashType, BundlingOptions, DockerImage, ILocalBundling
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3_assets as s3_assets
from constructs import Construct

from .archive_cache import user_caches
from .shipped_assets import shipped_asset
from .source_archive import collect_files

__all__ = ["WheelsUnavailableError", "bundled_asset", "bundled_function", "fetch_wheels"]

SKIP_CONTEXT_KEY = "cdk-sagemaker-pytorch:skip-wheels"
"""Context key: when true, no index is asked, functions ship without their wheels, and nothing is said."""

_MACHINES = {"arm64": "aarch64", "x86_64": "x86_64"}
_GLIBC_TAGS = ("manylinux2014", "manylinux_2_17", "manylinux_2_28")
_PIP_SECONDS = 60
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


class WheelsUnavailableError(RuntimeError):
    """The wheels of a function can neither be had from the cache nor from an index."""


def bundled_function(
    scope: Construct, name: str, *, architecture: lambda_.Architecture, python_version: str
) -> lambda_.Code:
    """Code of a Lambda function that ships with the library, with the wheels of its ``requirements.txt``.

    The asset hash is that of the content: the same on every machine that has the wheels.

    Parameters
    ----------
    scope : Construct
        Gets a warning when the wheels cannot be had.
    name : str
        Folder of the function in ``lambda_assets``.
    architecture : lambda_.Architecture
        Architecture of the function.
    python_version : str
        Version of its runtime, for example ``"3.13"``.

    Raises
    ------
    FileNotFoundError
        When the function is missing from the installation.
    """
    source = shipped_asset("lambda_assets", name)
    return lambda_.Code.from_asset(
        str(source),
        bundling=_bundling(scope, source, architecture, python_version),
        asset_hash_type=AssetHashType.OUTPUT,
    )


def bundled_asset(
    scope: Construct,
    construct_id: str,
    name: str,
    *,
    architecture: lambda_.Architecture,
    python_version: str,
) -> s3_assets.Asset:
    """Make the same code an asset, a zip file, for a container that runs it.

    Parameters
    ----------
    scope, construct_id
        Where the asset lives; `scope` gets a warning when the wheels cannot be had.
    name, architecture, python_version
        As for `bundled_function`.

    Raises
    ------
    FileNotFoundError
        When the function is missing from the installation.
    """
    source = shipped_asset("lambda_assets", name)
    return s3_assets.Asset(
        scope,
        construct_id,
        path=str(source),
        bundling=_bundling(scope, source, architecture, python_version),
        asset_hash_type=AssetHashType.OUTPUT,
    )


def _bundling(
    scope: Construct, source: Path, architecture: lambda_.Architecture, python_version: str
) -> BundlingOptions:
    wheels: tuple[Path, ...] = ()
    if not scope.node.try_get_context(SKIP_CONTEXT_KEY):
        try:
            wheels = fetch_wheels(source / "requirements.txt", architecture.name, python_version)
        except WheelsUnavailableError as error:
            Annotations.of(scope).add_warning_v2(
                "cdk-sagemaker-pytorch:ModelPackager.noWheels",
                f"the function works without its compiled dependencies, but several times slower: {error}; "
                "make the package index reachable for pip, or set the context key "
                f"{SKIP_CONTEXT_KEY} to true to leave them out on purpose",
            )
    return BundlingOptions(
        image=DockerImage.from_registry("unused"),  # required, but the local bundling always succeeds
        local=_CopyAndUnpack(source, wheels),
    )


def fetch_wheels(requirements: Path, architecture: str, python_version: str) -> tuple[Path, ...]:
    """Get the wheels of a requirements file whose every requirement is pinned by version and hash.

    Parameters
    ----------
    requirements : Path
        The requirements file.
    architecture : str
        ``"arm64"`` or ``"x86_64"``.
    python_version : str
        For example ``"3.13"``.

    Returns
    -------
    tuple of Path
        Wheels in the cache, sorted by name; each has a hash that the file names.

    Raises
    ------
    WheelsUnavailableError
        When they are not in the cache and pip cannot download them; pip is asked once per process.
    """
    found = _fetched(requirements, architecture, python_version)
    if isinstance(found, WheelsUnavailableError):
        raise found
    return found


@cache
def _fetched(
    requirements: Path, architecture: str, python_version: str
) -> tuple[Path, ...] | WheelsUnavailableError:
    text = requirements.read_text()
    key = hashlib.sha256(f"{architecture} {python_version} {text}".encode()).hexdigest()[:16]
    folder = (
        user_caches()
        / "cdk-sagemaker-pytorch"
        / "wheels"
        / f"{requirements.parent.name}-{architecture}-{key}"
    )
    allowed = set(_HASH.findall(text))
    if wheels := _checked(folder, allowed):
        return wheels
    try:
        _download(requirements, architecture, python_version, folder)
    except WheelsUnavailableError as error:
        return error
    return _checked(folder, allowed) or WheelsUnavailableError(
        f"the wheels in {folder} are not those that {requirements.name} names"
    )


def _checked(folder: Path, allowed: set[str]) -> tuple[Path, ...]:
    """Return the wheels of a cache folder; nothing when there are none, or one has been tampered with."""
    wheels = tuple(sorted(folder.glob("*.whl")))
    digests = {hashlib.sha256(wheel.read_bytes()).hexdigest() for wheel in wheels}
    return wheels if digests <= allowed else ()


def _download(requirements: Path, architecture: str, python_version: str, folder: Path) -> None:
    platforms = [f"--platform={tag}_{_MACHINES[architecture]}" for tag in _GLIBC_TAGS]
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as fresh:
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--retries=1"]
            command += ["--timeout=10", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:"]
            command += ["--require-hashes", "--implementation=cp", f"--python-version={python_version}"]
            command += [*platforms, f"--dest={fresh}", f"--requirement={requirements}"]
            subprocess.run(command, check=True, capture_output=True, timeout=_PIP_SECONDS)  # noqa: S603 - pip
            # Another process may do the same at this moment: take files one by one, each is the same.
            folder.mkdir(exist_ok=True)
            for wheel in Path(fresh).glob("*.whl"):
                os.replace(wheel, folder / wheel.name)
    except subprocess.CalledProcessError as error:
        lines = error.stderr.decode(errors="replace").strip().splitlines()
        raise WheelsUnavailableError(
            f"pip download failed ({lines[-1] if lines else 'no reason given'})"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise WheelsUnavailableError(f"pip download took more than {_PIP_SECONDS} seconds") from error
    except OSError as error:
        raise WheelsUnavailableError(
            f"the cache {folder.parent} cannot be written ({error.strerror})"
        ) from error


@jsii.implements(ILocalBundling)
class _CopyAndUnpack:
    """Puts the function's files and the content of its wheels into the asset."""

    def __init__(self, source: Path, wheels: tuple[Path, ...]) -> None:
        self._source = source
        self._wheels = wheels

    def try_bundle(self, output_dir: str, *, image: DockerImage, **options: Any) -> bool:
        """Fill `output_dir`; always succeeds."""
        output = Path(output_dir)
        for name, path in collect_files(self._source).items():
            target = output / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
        for wheel in self._wheels:
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(output)  # its hash is pinned, and zipfile keeps members inside
        return True
