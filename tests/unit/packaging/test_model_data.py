import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3

from cdk_sagemaker_pytorch import ConfigurationError, ModelData


@pytest.fixture
def role(stack: Stack) -> iam.Role:
    return iam.Role(stack, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))


@pytest.fixture
def bucket(stack: Stack) -> s3.IBucket:
    return s3.Bucket.from_bucket_name(stack, "Bucket", "models")


def test_an_object_is_used_where_it_lies(stack: Stack, bucket: s3.IBucket) -> None:
    location = ModelData.from_bucket(bucket, "a/model.tar.gz").bind(stack)
    assert location.s3_uri == "s3://models/a/model.tar.gz"
    assert location.object_key_pattern == "a/model.tar.gz"


def test_a_directory_becomes_an_archive_with_its_files_at_the_top(stack: Stack, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    (folder / "code").mkdir(parents=True)
    (folder / "model.pth").write_bytes(b"weights")
    (folder / "code" / "inference.py").write_text("")
    location = ModelData.from_directory(folder).bind(stack)
    (staged,) = (tmp_path / "cdk.out").glob("asset.*.tar.gz")
    with tarfile.open(staged) as tar:
        assert tar.getnames() == ["code/inference.py", "model.pth"]
    assert location.object_key_pattern == staged.name.split(".")[1] + ".gz"


def test_an_archive_ships_as_it_is(stack: Stack, tmp_path: Path) -> None:
    archive = tmp_path / "model.tar.gz"
    with tarfile.open(archive, "w:gz"):
        pass
    ModelData.from_archive(archive).bind(stack)
    (staged,) = (tmp_path / "cdk.out").glob("asset.*.tar.gz")
    assert staged.read_bytes() == archive.read_bytes()


def test_a_training_job_is_asked_for_its_model(
    stack: Stack,
    bucket: s3.IBucket,
    role: iam.Role,
    statements: Callable[[str], list[dict[str, Any]]],
) -> None:
    location = ModelData.from_training_job("job-1", output_bucket=bucket).bind(stack)
    assert location.s3_uri is None
    assert location.event == {"training_job_name": "job-1"}
    location.grant_read(role)
    text = str(statements("Role"))
    assert "training-job/job-1" in text
    assert "/training/job-1/output/model.tar.gz" in text


def test_fails_when_an_archive_is_missing_or_is_none(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"path must be an existing file, got .*nothing\.gz"):
        ModelData.from_archive(tmp_path / "nothing.gz")
    (tmp_path / "text.gz").write_text("no gzip")
    with pytest.raises(ConfigurationError, match="path must be a gzip-compressed tar archive"):
        ModelData.from_archive(tmp_path / "text.gz")


def test_fails_when_a_directory_is_missing_or_empty(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="path must be an existing directory"):
        ModelData.from_directory(tmp_path / "nowhere")
    with pytest.raises(ConfigurationError, match="path must be a directory with model files"):
        ModelData.from_directory(tmp_path)


def test_a_prefix_is_that_of_whole_names(stack: Stack, bucket: s3.IBucket) -> None:
    for written in ("llm/weights", "llm/weights/"):
        data = ModelData.from_prefix(bucket, written)
        assert not data.compressed
        location = data.bind(stack)
        assert location.s3_uri == "s3://models/llm/weights/"
        assert location.object_key_pattern == "llm/weights/*"
        assert location.code_key_pattern is None
    in_place = ModelData.from_prefix(bucket, "llm", in_place=True).bind(stack)
    assert in_place.code_key_pattern == "llm/code/*"


def test_a_training_job_may_leave_an_uncompressed_model(stack: Stack, bucket: s3.IBucket) -> None:
    data = ModelData.from_training_job("job-1", output_bucket=bucket, compressed=False)
    assert not data.compressed
    assert data.bind(stack).object_key_pattern == "training/job-1/output/model/*"


@pytest.mark.parametrize("prefix", ["", "/", "/llm"])
def test_fails_when_a_prefix_is_none(bucket: s3.IBucket, prefix: str) -> None:
    with pytest.raises(ConfigurationError, match="prefix must be the beginning of keys"):
        ModelData.from_prefix(bucket, prefix)
