from pathlib import Path

import pytest

from cdk_sagemaker_pytorch.local.base.s3_transfer import download_keys, list_keys, split_uri


class FakeS3:
    """Lists keys in two pages and writes each key's name into its file."""

    def __init__(self, *keys: str) -> None:
        self._keys = keys

    def get_paginator(self, operation: str) -> "FakeS3":
        assert operation == "list_objects_v2"
        return self

    def paginate(self, *, Bucket: str, Prefix: str) -> list[dict[str, list[dict[str, str]]]]:  # noqa: N803
        assert Bucket == "bucket"
        contents = [{"Key": key} for key in self._keys if key.startswith(Prefix)]
        return [{"Contents": contents[:1]}, {"Contents": contents[1:]}, {}]

    def download_file(self, bucket: str, key: str, file: str) -> None:
        assert bucket == "bucket"
        Path(file).write_text(key)


def test_split_uri() -> None:
    assert split_uri("s3://bucket/a/b.txt") == ("bucket", "a/b.txt")
    assert split_uri("s3://bucket") == ("bucket", "")


@pytest.mark.parametrize("uri", ["", "bucket/key", "https://bucket/key", "s3:///key"])
def test_fails_when_it_is_no_s3_uri(uri: str) -> None:
    with pytest.raises(ValueError, match="an S3 URI must look like s3://bucket/key, got"):
        split_uri(uri)


def test_keys_are_sorted_and_without_folders() -> None:
    s3 = FakeS3("d/b", "d/", "d/a", "e/c")
    assert list_keys(s3, "s3://bucket/d/") == ["d/a", "d/b"]


@pytest.mark.parametrize(
    ("uri", "files"),
    [
        ("s3://bucket/data/train/", {"x.npy", "deep/y.npy"}),
        ("s3://bucket/data/train", {"x.npy", "deep/y.npy"}),
        ("s3://bucket/data/tr", {"train/x.npy", "train/deep/y.npy"}),
        ("s3://bucket/data/train/x.npy", {"x.npy"}),
        ("s3://bucket", {"data/train/x.npy", "data/train/deep/y.npy"}),
    ],
)
def test_files_are_named_after_the_rest_of_the_key(tmp_path: Path, uri: str, files: set[str]) -> None:
    s3 = FakeS3("data/train/x.npy", "data/train/deep/y.npy")
    download_keys(s3, uri, list_keys(s3, uri), tmp_path)
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.npy")} == files


def test_fails_when_a_key_leads_out_of_the_folder(tmp_path: Path) -> None:
    s3 = FakeS3("data/../../evil")
    with pytest.raises(ValueError, match="would be written outside"):
        download_keys(s3, "s3://bucket/data/", list_keys(s3, "s3://bucket/data/"), tmp_path / "channel")
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize("keys", [("d/a//b", "d/a/b"), ("d/a/./b", "d/a/b"), ("d/a/x/../b", "d/a/b")])
def test_fails_when_two_keys_would_meet_in_one_file(tmp_path: Path, keys: tuple[str, ...]) -> None:
    s3 = FakeS3(*keys)
    with pytest.raises(ValueError, match=r"the keys 'd/a.*' and 'd/a.*' would be written to one file"):
        download_keys(s3, "s3://bucket/d/", list_keys(s3, "s3://bucket/d/"), tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("key", ["d/..", "d/x/..", "d/a\0b"])
def test_fails_when_a_key_names_no_file_of_the_folder(tmp_path: Path, key: str) -> None:
    with pytest.raises(ValueError, match="would be written outside"):
        download_keys(FakeS3(key), "s3://bucket/d/", [key], tmp_path)
