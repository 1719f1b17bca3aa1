"""The packaged models of versions that nothing serves any more are marked in S3."""

from types import SimpleNamespace
from typing import Any

import boto3
import pytest

from .fakes import version

OLD, NEW = version(1), version(2)
MARKED = {"cdk-sagemaker-pytorch:superseded": "true"}


@pytest.fixture
def s3(aws: None) -> Any:
    client = boto3.client("s3")
    client.create_bucket(Bucket="artifacts")
    return client


@pytest.fixture
def artifacts(s3: Any, code: SimpleNamespace) -> Any:
    return code.artifacts.Artifacts(s3, "s3://artifacts/models/")


def store(s3: Any, key: str, **tags: str) -> None:
    tagging = "&".join(f"{name}={value}" for name, value in tags.items())
    s3.put_object(Bucket="artifacts", Key=key, Body=b"model", Tagging=tagging)


def tags_of(s3: Any, key: str) -> dict[str, str]:
    found = s3.get_object_tagging(Bucket="artifacts", Key=key)["TagSet"]
    return {tag["Key"]: tag["Value"] for tag in found}


def test_what_belongs_to_the_version_is_marked_and_nothing_else(s3: Any, artifacts: Any) -> None:
    for each in (OLD, NEW):
        store(s3, f"models/{each}/model.tar.gz", team="vision")
    store(s3, f"models/{OLD}/code/inference.py")
    store(s3, f"models/{OLD}-other/model.tar.gz")
    artifacts.supersede(OLD)
    assert tags_of(s3, f"models/{OLD}/model.tar.gz") == {"team": "vision"} | MARKED
    assert tags_of(s3, f"models/{OLD}/code/inference.py") == MARKED
    assert tags_of(s3, f"models/{NEW}/model.tar.gz") == {"team": "vision"}
    assert tags_of(s3, f"models/{OLD}-other/model.tar.gz") == {}


def test_marking_it_again_changes_nothing(s3: Any, artifacts: Any) -> None:
    store(s3, f"models/{OLD}/model.tar.gz")
    artifacts.supersede(OLD)
    artifacts.supersede(OLD)
    assert tags_of(s3, f"models/{OLD}/model.tar.gz") == MARKED


def test_an_artifact_with_all_the_tags_it_can_have_stays_as_it_is(s3: Any, artifacts: Any) -> None:
    store(s3, f"models/{OLD}/model.tar.gz", **{f"tag{number}": "x" for number in range(10)})
    artifacts.supersede(OLD)
    assert len(tags_of(s3, f"models/{OLD}/model.tar.gz")) == 10


def test_what_cannot_be_marked_is_logged(
    s3: Any, code: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    code.artifacts.Artifacts(s3, "s3://deleted-bucket/models/").supersede(OLD)
    assert f"the artifacts of {OLD} are not marked as superseded: " in capsys.readouterr().out
