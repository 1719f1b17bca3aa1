import pytest
from packager.errors import InvalidRequestError
from packager.request import PackagingRequest, S3Uri

EVENT = {
    "model_data": "s3://bucket/job/output/model.tar.gz",
    "source_code": "s3://bucket/assets/0123.gz",
    "output": "s3://bucket/packaged/model.tar.gz",
    "framework_version": "2.6.0",
    "entry_point": "inference.py",
}


def test_event_becomes_a_request():
    request = PackagingRequest.parse(EVENT | {"max_ratio": "50", "tags": {"team": "vision"}})
    assert request.model_data == S3Uri("bucket", "job/output/model.tar.gz")
    assert request.framework_version == (2, 6, 0)
    assert request.max_ratio == 50
    assert request.tags == {"team": "vision"}
    assert request.kms_key_id is None


def test_source_code_and_entry_point_may_be_absent():
    request = PackagingRequest.parse(EVENT | {"source_code": None, "entry_point": None})
    assert request.source_code is None


@pytest.mark.parametrize(
    ("version", "inside", "ignored"),
    [
        ("0.4.0", False, False),
        ("1.1", False, False),
        ("1.1.0", False, False),
        ("1.2", True, True),
        ("1.2.0", True, True),
        ("1.3.0", True, True),
        ("1.3.1", True, False),
        ("1.13.1", True, False),
        ("2.13.0", True, False),
    ],
)
def test_version_decides_where_the_code_goes(version, inside, ignored):
    request = PackagingRequest.parse(EVENT | {"framework_version": version})
    assert (request.code_inside, request.requirements_ignored) == (inside, ignored)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"model_data": None}, "model_data is required"),
        ({"model_data": "https://bucket/key"}, "model_data must look like s3://bucket/key, got 'https://"),
        ({"source_code": "s3://bucket"}, "source_code must look like"),
        ({"output": ""}, "output is required"),
        ({"output": "s3://bucket/model.gz"}, "output must end in .tar.gz"),
        ({"output": EVENT["model_data"]}, "output would overwrite model_data"),
        ({"framework_version": "latest"}, "framework_version must be a version like '2.6.0', got 'latest'"),
        ({"framework_version": 2.6}, "framework_version must be a version"),
        ({"entry_point": None}, "entry_point must be the name of a file"),
        ({"entry_point": "src/inference.py"}, "entry_point must be the name of a file"),
        ({"entry_point": ".."}, "entry_point must be the name of a file"),
        ({"kms_key_id": 7}, "kms_key_id must be a text, got 7"),
        ({"tags": {"a": 1}}, "tags must map texts to texts"),
        ({"metadata": "a=b"}, "metadata must map texts to texts, got str"),
        ({"max_ratio": 0}, "max_ratio must be a whole number of at least 1, got 0"),
        ({"max_bytes": "many"}, "max_bytes must be a whole number"),
        ({"entrypoint": "x"}, "unknown fields 'entrypoint'; allowed are model_data"),
    ],
)
def test_fails_when_a_field_is_wrong(fields, text):
    with pytest.raises(InvalidRequestError) as caught:
        PackagingRequest.parse(EVENT | fields)
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("key", "beside"),
    [("a/b/model.tar.gz", "a/b/x"), ("model.tar.gz", "x"), ("/a//model.tar.gz", "/a//x")],
)
def test_a_place_beside_another_keeps_the_prefix_as_it_is(key, beside):
    assert S3Uri("bucket", key).beside("x") == S3Uri("bucket", beside)


def test_fails_with_everything_that_is_wrong():
    with pytest.raises(InvalidRequestError) as caught:
        PackagingRequest.parse({})
    for name in ("model_data", "output", "framework_version"):
        assert name in str(caught.value)


def test_fails_when_the_code_archive_beside_the_output_is_an_input():
    fields = {"framework_version": "1.1.0", "source_code": "s3://bucket/packaged/sourcedir.tar.gz"}
    with pytest.raises(InvalidRequestError, match="would overwrite source_code"):
        PackagingRequest.parse(EVENT | fields)
    assert PackagingRequest.parse(EVENT | fields | {"framework_version": "1.2.0"})
