"""The function that copies checkpoints, on moto's S3."""

import importlib.util
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import boto3
import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError
from moto import mock_aws

CODE = Path(__file__).parents[4] / "lambda_assets" / "checkpoint_copier" / "index.py"
EVENT = {
    "training_job_name": "job-1",
    "source": "s3://bucket/checkpoints/old",
    "target": "s3://bucket/checkpoints/new/",
}
SECONDS = 60.0


@pytest.fixture
def index() -> ModuleType:
    spec = importlib.util.spec_from_file_location("checkpoint_copier_index", CODE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        client = boto3.client("s3")
        client.create_bucket(Bucket="bucket")
        yield client


def put(s3: Any, **objects: bytes) -> None:
    for name, body in objects.items():
        s3.put_object(Bucket="bucket", Key=f"checkpoints/{name.replace('__', '/')}", Body=body)


def below(s3: Any, prefix: str) -> dict[str, bytes]:
    found = s3.list_objects_v2(Bucket="bucket", Prefix=prefix).get("Contents", [])
    return {
        each["Key"].removeprefix(prefix): s3.get_object(Bucket="bucket", Key=each["Key"])["Body"].read()
        for each in found
    }


def context(seconds: float = SECONDS) -> Any:
    return SimpleNamespace(get_remaining_time_in_millis=lambda: seconds * 1000)


def test_copies_what_the_job_wrote_and_nothing_of_another(index: ModuleType, s3: Any) -> None:
    put(s3, old__last=b"12", old__rank__0=b"345", old2__last=b"another job", new__kept=b"")
    s3.put_object(Bucket="bucket", Key="checkpoints/old/", Body=b"")  # the console's folder
    assert index.handler(EVENT, context()) == {"objects": 2, "bytes": 5}
    assert below(s3, "checkpoints/new/") == {"last": b"12", "rank/0": b"345", "kept": b""}
    assert index.handler(EVENT, context()) == {"objects": 2, "bytes": 5}
    assert below(s3, "checkpoints/old/") == {"": b"", "last": b"12", "rank/0": b"345"}


def test_what_is_large_is_copied_in_parts(
    index: ModuleType, s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = 5 * 1024 * 1024
    put(s3, old__large=b"a" * part + b"b" * part + b"c")
    transfer = TransferConfig(multipart_threshold=part, multipart_chunksize=part)
    monkeypatch.setattr(index, "_TRANSFER", transfer)
    index.handler(EVENT, context())
    copied = s3.head_object(Bucket="bucket", Key="checkpoints/new/large")
    assert (copied["ContentLength"], copied["ETag"].strip('"')[-2:]) == (2 * part + 1, "-3")
    assert below(s3, "checkpoints/new/")["large"] == b"a" * part + b"b" * part + b"c"


def test_tags_need_no_permission(index: ModuleType, s3: Any) -> None:
    s3.put_object(Bucket="bucket", Key="checkpoints/old/last", Body=b"1", Tagging="team=a")
    index.handler(EVENT, context())
    assert s3.get_object_tagging(Bucket="bucket", Key="checkpoints/new/last")["TagSet"] == []


def test_fails_when_there_are_none(index: ModuleType, s3: Any) -> None:
    put(s3, old2__last=b"1")
    with pytest.raises(
        index.NoCheckpointsError,
        match="training job job-1 has written no checkpoints to s3://bucket/checkpoints/old/",
    ):
        index.handler(EVENT, context())


def test_fails_when_s3_refuses(index: ModuleType, s3: Any) -> None:
    put(s3, old__last=b"1")
    with pytest.raises(ClientError, match="NoSuchBucket"):
        index.handler({**EVENT, "target": "s3://nowhere/new/"}, context())


def test_fails_before_its_time_is_over(index: ModuleType, s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    put(s3, old__a=b"1", old__b=b"1")
    release = threading.Event()
    monkeypatch.setattr(s3, "copy", lambda *_, **__: release.wait(SECONDS))
    source, target = (index.Place.of(EVENT[name]) for name in ("source", "target"))
    try:
        with pytest.raises(index.DeadlineError, match="0 of 2 checkpoints, of 2 bytes, were copied from"):
            index.copy_checkpoints(s3, source, target, lambda: 0.1, "job-1")
    finally:
        release.set()
