import errno
import os
from pathlib import Path
from typing import Any

import pytest

from cdk_sagemaker_pytorch.local.training import checkpoints
from cdk_sagemaker_pytorch.local.training.checkpoints import CHECKPOINT_ERRORS, CheckpointSync


class Bucket:
    """What S3 does for a sync, in memory."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.uploads: list[str] = []

    def get_paginator(self, name: str) -> Any:
        assert name == "list_objects_v2"
        return self

    def paginate(self, **options: str) -> list[dict[str, Any]]:
        keys = [key for key in self.objects if key.startswith(options["Prefix"])]
        return [{"Contents": [{"Key": key} for key in keys]}]

    def download_file(self, bucket: str, key: str, file: str) -> None:
        Path(file).write_bytes(self.objects[key])

    def upload_file(self, file: str, bucket: str, key: str) -> None:
        self.objects[key] = Path(file).read_bytes()
        self.uploads.append(key)


@pytest.fixture
def bucket() -> Bucket:
    return Bucket()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "checkpoints").mkdir()
    return tmp_path / "checkpoints"


def test_a_file_is_uploaded_when_it_rests(bucket: Bucket, folder: Path) -> None:
    sync = CheckpointSync(bucket, "s3://b/job", [folder])
    (folder / "epoch").mkdir()
    file = folder / "epoch" / "1.pt"
    file.write_bytes(b"half of")
    sync.look()
    assert bucket.objects == {}
    file.write_bytes(b"half of it, and the rest")
    sync.look()
    assert bucket.objects == {}
    sync.look()
    sync.look()
    assert bucket.objects == {"job/epoch/1.pt": b"half of it, and the rest"}
    assert bucket.uploads == ["job/epoch/1.pt"]


def test_a_file_that_is_written_anew_is_uploaded_anew(bucket: Bucket, folder: Path) -> None:
    sync = CheckpointSync(bucket, "s3://b/job/", [folder])
    for content in (b"one", b"two"):
        (folder / "last.pt").write_bytes(content)
        os.utime(folder / "last.pt", ns=(0, len(bucket.uploads) + 1))
        sync.look()
        sync.look()
        assert bucket.objects == {"job/last.pt": content}
    (folder / "last.pt").unlink()
    sync.look()
    assert bucket.objects == {"job/last.pt": b"two"}


@pytest.mark.parametrize("killed", [False, True])
def test_at_the_end_all_is_uploaded_but_what_a_killed_script_was_writing(
    bucket: Bucket, folder: Path, killed: bool
) -> None:
    sync = CheckpointSync(bucket, "s3://b/job", [folder])
    (folder / "1.pt").write_bytes(b"one")
    sync.look()
    (folder / "2.pt").write_bytes(b"tw")
    sync.finish(killed=killed)
    assert sorted(bucket.objects) == (["job/1.pt"] if killed else ["job/1.pt", "job/2.pt"])


def test_every_host_begins_with_what_is_in_s3_and_does_not_send_it_back(
    bucket: Bucket, tmp_path: Path
) -> None:
    bucket.objects |= {"job/a/1.pt": b"one", "job-2/1.pt": b"of another job"}
    folders = [tmp_path / "algo-1", tmp_path / "algo-2"]
    sync = CheckpointSync(bucket, "s3://b/job", folders)
    sync.download()
    assert [(folder / "a" / "1.pt").read_bytes() for folder in folders] == [b"one", b"one"]
    assert not (folders[0] / "1.pt").exists()
    sync.finish(killed=False)
    assert bucket.uploads == []


def test_checkpoints_are_uploaded_while_the_job_runs(bucket: Bucket, folder: Path) -> None:
    sync = CheckpointSync(bucket, "s3://b/job", [folder])
    sync.start()
    (folder / "1.pt").write_bytes(b"one")
    while not bucket.objects:  # the time limit of all tests ends it
        pass
    sync.finish(killed=True)
    assert bucket.objects == {"job/1.pt": b"one"}


def test_only_files_are_checkpoints(bucket: Bucket, folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    (folder / "link").symlink_to(folder / "1.pt")
    (folder / "1.pt").write_bytes(b"one")
    CheckpointSync(bucket, "s3://b/job", [folder]).finish(killed=False)
    assert bucket.objects == {"job/1.pt": b"one"}


def test_what_cannot_be_read_is_told_at_the_end(
    bucket: Bucket, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "1.pt").write_bytes(b"one")

    def fail(*_: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoints.shutil, "copyfile", fail)
    with pytest.raises(CHECKPOINT_ERRORS, match="No space left"):
        CheckpointSync(bucket, "s3://b/job", [folder]).finish(killed=False)
