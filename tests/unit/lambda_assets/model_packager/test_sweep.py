from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from index import handler
from packager.errors import InvalidRequestError, ObjectNotFoundError
from packager.request import S3Uri
from packager.storage import Storage
from packager.sweep import sweep


def begin(s3, key):
    s3.client.create_multipart_upload(Bucket="models", Key=key)


def test_old_uploads_below_the_prefix_are_aborted(s3):
    for key in ("out/b/model.tar.gz", "out/a/model.tar.gz", "other/model.tar.gz"):
        begin(s3, key)
    answer = handler({"sweep": "s3://models/out/", "older_than": 0}, None)
    assert answer == {"aborted": ["s3://models/out/a/model.tar.gz", "s3://models/out/b/model.tar.gz"]}
    assert s3.uploads() == ["other/model.tar.gz"]
    assert handler({"sweep": "s3://models/out/", "older_than": 0}, None) == {"aborted": []}


def test_young_uploads_may_be_alive_and_stay():
    now = datetime.now(UTC)
    begun = {"out/old": now - timedelta(hours=2), "out/young": now - timedelta(minutes=5)}
    pages = [{"Uploads": [{"Key": key, "UploadId": key, "Initiated": at}]} for key, at in begun.items()]
    aborted = []
    client = SimpleNamespace(
        get_paginator=lambda _: SimpleNamespace(paginate=lambda **_: pages),
        abort_multipart_upload=lambda **request: aborted.append(request["UploadId"]),
    )
    found = sweep(Storage(client), S3Uri("models", "out/"), timedelta(hours=1))
    assert found == ["s3://models/out/old"]
    assert aborted == ["out/old"]


def test_fails_when_the_place_is_malformed():
    with pytest.raises(InvalidRequestError, match=r"sweep must look like s3://bucket/key, got 'out'"):
        handler({"sweep": "out"}, None)


@pytest.mark.parametrize("seconds", [-1, "soon", None])
def test_fails_when_the_age_is_no_number(seconds):
    with pytest.raises(InvalidRequestError, match="older_than must be a number of seconds, 0 or more"):
        handler({"sweep": "s3://models/out/", "older_than": seconds}, None)


def test_fails_when_the_bucket_does_not_exist(s3):
    with pytest.raises(ObjectNotFoundError, match="s3://nowhere/out could not be swept"):
        handler({"sweep": "s3://nowhere/out"}, None)
