"""Copies between S3 of the local AWS and this machine, as SageMaker makes them for a container."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError

_TRANSFERS = 8

#: What transfers fail with: the service's answer, the network, or a URI that is none.
TRANSFER_ERRORS = (ClientError, BotoCoreError, Boto3Error, ValueError)


def split_uri(uri: str) -> tuple[str, str]:
    """Return bucket and key of an `s3://bucket/key`.

    Raises
    ------
    ValueError
        If it is none.
    """
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if not uri.startswith("s3://") or not bucket:
        raise ValueError(f"an S3 URI must look like s3://bucket/key, got {uri!r}")
    return bucket, key


def list_keys(s3: Any, uri: str) -> list[str]:
    """Return the keys under a prefix in sorted order, without those of console "folders"."""
    bucket, prefix = split_uri(uri)
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    keys = [item["Key"] for page in pages for item in page.get("Contents", [])]
    return sorted(key for key in keys if not key.endswith("/"))


def download_keys(s3: Any, uri: str, keys: list[str], folder: Path) -> None:
    """Download keys under a prefix into a folder, under the names that SageMaker gives them.

    A name is the key without the prefix's last folder: `s3://b/data/tr` gives `train/x.npy` for
    `data/train/x.npy`, `s3://b/data/train/` gives `x.npy`, and a URI that is a key gives the object's own
    name.
    """
    bucket, prefix = split_uri(uri)
    base = "" if "/" not in prefix else prefix.rpartition("/")[0] + "/"
    if any(key.startswith(f"{prefix}/") for key in keys):
        base = f"{prefix}/"

    folder.mkdir(parents=True, exist_ok=True)
    targets = _targets(folder, {key: key.removeprefix(base) for key in keys})

    def download(key: str) -> None:
        targets[key].parent.mkdir(parents=True, exist_ok=True)
        s3.download_file(bucket, key, str(targets[key]))

    with ThreadPoolExecutor(_TRANSFERS) as pool:
        list(pool.map(download, keys))


def _targets(folder: Path, names: Mapping[str, str]) -> dict[str, Path]:
    """Return the file of each key: a file of its own, in the folder."""
    root = folder.resolve()
    keys: dict[Path, str] = {}
    for key, name in names.items():
        target = (root / name).resolve() if "\0" not in name else root
        if not target.is_relative_to(root) or target == root:
            raise ValueError(f"the key {key!r} would be written outside its channel")
        if target in keys:
            raise ValueError(f"the keys {keys[target]!r} and {key!r} would be written to one file")
        keys[target] = key
    return {key: target for target, key in keys.items()}


def download(s3: Any, uri: str, file: Path) -> Path:
    """Download one object to a file and return the file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    s3.download_file(*split_uri(uri), str(file))
    return file


def upload(s3: Any, file: Path, uri: str) -> None:
    """Upload a file."""
    s3.upload_file(str(file), *split_uri(uri))


def upload_folder(s3: Any, folder: Path, uri: str) -> None:
    """Upload the files of a folder, with their paths in it below a prefix."""
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        upload(s3, file, f"{uri.rstrip('/')}/{file.relative_to(folder).as_posix()}")
