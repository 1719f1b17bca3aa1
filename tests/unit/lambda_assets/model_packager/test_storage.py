"""Reading over connections that break, and what S3's errors become."""

import io

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, IncompleteReadError
from packager.errors import AccessDeniedError, ObjectNotFoundError, SourceChangedError, StorageError
from packager.request import S3Uri
from packager.storage import Storage, StoredObject

PLACE = S3Uri("bucket", "in/model.tar.gz")
CONTENT = bytes(range(256)) * 20_000
STORED = StoredObject(PLACE, len(CONTENT), '"etag"')


class Breaking:
    """A body that breaks off."""

    def __init__(self, data, limit):
        self._data = io.BytesIO(data[:limit])
        self._breaks = limit < len(data)

    def read(self, size):
        data = self._data.read(size)
        if not data and self._breaks:
            raise IncompleteReadError(actual_bytes=0, expected_bytes=1)
        return data

    def close(self):
        pass


class FlakyClient:
    """Serves an object over connections that break off after so many bytes each."""

    def __init__(self, *limits):
        self._limits = list(limits)
        self.requests = []

    def get_object(self, **request):
        self.requests.append(request)
        start = int(request.get("Range", "bytes=0-").removeprefix("bytes=").split("-")[0])
        limit = self._limits.pop(0) if self._limits else len(CONTENT)
        return {"Body": Breaking(CONTENT[start:], limit)}


def test_reading_goes_on_where_the_connection_broke():
    client = FlakyClient(1_500_000, 10, 3_000_000)
    assert b"".join(Storage(client).blocks(STORED)) == CONTENT
    assert [request.get("Range") for request in client.requests] == [
        None,
        "bytes=1500000-5119999",
        "bytes=1500010-5119999",
        "bytes=4500010-5119999",
    ]
    assert all(request["IfMatch"] == '"etag"' for request in client.requests)


def test_reading_may_be_limited():
    client = FlakyClient()
    assert b"".join(Storage(client).blocks(STORED, limit=100))[:100] == CONTENT[:100]
    assert client.requests[0]["Range"] == "bytes=0-99"


def test_fails_when_the_object_ends_before_its_length():
    client = FlakyClient(*[len(CONTENT)] * 9)
    with pytest.raises(StorageError, match="closed too early"):
        list(Storage(client).blocks(StoredObject(PLACE, len(CONTENT) + 1, '"etag"')))


def test_fails_when_the_connection_breaks_again_and_again():
    client = FlakyClient(100, *[0] * 10)
    with pytest.raises(StorageError, match=r"s3://bucket/in/model\.tar\.gz could not be read"):
        list(Storage(client).blocks(STORED))
    assert len(client.requests) == 5


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("404", ObjectNotFoundError),
        ("NoSuchBucket", ObjectNotFoundError),
        ("403", AccessDeniedError),
        ("AccessDenied", AccessDeniedError),
        ("KMS.AccessDeniedException", AccessDeniedError),
        ("PreconditionFailed", SourceChangedError),
        ("SlowDown", StorageError),
    ],
)
def test_fails_when_s3_refuses(code, error):
    class Client:
        def head_object(self, **_):
            raise ClientError({"Error": {"Code": code, "Message": "no"}}, "HeadObject")

    with pytest.raises(error, match=r"^s3://bucket/in/model\.tar\.gz "):
        Storage(Client()).head(PLACE)


def test_fails_when_s3_cannot_be_reached():
    class Client:
        def head_object(self, **_):
            raise EndpointConnectionError(endpoint_url="http://127.0.0.1:1")

    with pytest.raises(StorageError, match="could not be read: Could not connect"):
        Storage(Client()).head(PLACE)
