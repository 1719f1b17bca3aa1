"""Uploads that are whole or not there at all."""

import os
import threading
from itertools import pairwise

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from hypothesis import given
from hypothesis import strategies as st
from packager.deadline import Deadline
from packager.errors import AccessDeniedError, DeadlineError, StorageError
from packager.request import S3Uri
from packager.storage import Storage
from packager.upload import MultipartUpload, ObjectWriter, split_range

PLACE = S3Uri("models", "out/model.tar.gz")
MIB = 1024**2


class Failing:
    """An S3 client one of whose operations does something else first."""

    def __init__(self, client, operation, action):
        self._client = client
        self._operation = operation
        self._action = action

    def __getattr__(self, name):
        call = getattr(self._client, name)
        if name != self._operation:
            return call

        def act(**request):
            return self._action(call, request)

        return act


def refuse(call, request):
    raise ClientError({"Error": {"Code": "AccessDenied"}}, "Operation")


def write(storage, *bodies, copied=None):
    """Write an object of these parts and, if given, another object."""
    with MultipartUpload(storage, PLACE) as upload:
        for body in bodies:
            upload.send(upload.reserve(), body)
        if copied is not None:
            upload.copy_range(copied, 0, copied.size)
        upload.complete()


def test_an_object_of_many_parts_is_written(s3, s3_client):
    data = os.urandom(20 * MIB)
    with ObjectWriter(Storage(s3_client), PLACE, len(data)) as writer:
        for start in range(0, len(data), 700_001):
            writer.write(data[start : start + 700_001])
        writer.close()
    assert writer.size == len(data)
    assert s3.get(str(PLACE)) == data
    assert s3_client.head_object(Bucket="models", Key=PLACE.key)["ETag"].endswith('-3"')


def test_a_small_object_takes_one_request(s3, s3_client):
    with ObjectWriter(Storage(s3_client), PLACE, 10) as writer:
        writer.write(b"small")
        writer.close()
    assert s3.get(str(PLACE)) == b"small"
    assert "-" not in s3_client.head_object(Bucket="models", Key=PLACE.key)["ETag"]


@pytest.mark.parametrize("size", [5, 20 * MIB])
def test_nothing_is_written_without_close(size, s3, s3_client):
    with ObjectWriter(Storage(s3_client), PLACE, size) as writer:
        writer.write(bytes(size))
    assert s3.names() == set()
    assert s3.uploads() == []


def test_parts_grow_with_the_object():
    expected = 400 * 1024**3
    writer = ObjectWriter(Storage(object()), PLACE, expected)
    assert expected / writer._part_bytes < 10_000


@pytest.mark.parametrize("operation", ["upload_part", "upload_part_copy", "complete_multipart_upload"])
def test_fails_when_s3_refuses_a_step(operation, s3, s3_client):
    stored = Storage(s3_client).head(S3Uri("models", s3.put("in/m", bytes(12 * MIB)).split("/", 3)[3]))
    with pytest.raises(AccessDeniedError):
        write(Storage(Failing(s3_client, operation, refuse)), bytes(6 * MIB), copied=stored)
    assert s3.names() == {"in/m"}
    assert s3.uploads() == []


def test_fails_early_when_a_part_has_failed(s3, s3_client):
    bodies = iter([bytes(5 * MIB)] * 1000)
    with pytest.raises(AccessDeniedError):
        write_each(Storage(Failing(s3_client, "upload_part", refuse)), bodies)
    assert next(bodies, None) is not None


def write_each(storage, bodies):
    with MultipartUpload(storage, PLACE) as upload:
        for body in bodies:
            upload.send(upload.reserve(), body)


def test_few_bodies_are_held_at_a_time(s3_client, s3):
    holding = threading.Semaphore(0)
    started = []

    def hold(call, request):
        started.append(request["PartNumber"])
        holding.acquire()
        return call(**request)

    with MultipartUpload(Storage(Failing(s3_client, "upload_part", hold)), PLACE) as upload:
        upload.send(upload.reserve(), bytes(5 * MIB))
        upload.send(upload.reserve(), bytes(5 * MIB))
        third = threading.Thread(target=lambda: upload.send(upload.reserve(), bytes(5 * MIB)))
        third.start()
        assert set(started) <= {1, 2}
        holding.release(3)
        third.join()
        upload.complete()
    assert len(s3.get(str(PLACE))) == 15 * MIB


def test_a_lost_answer_to_the_last_step_is_no_failure(s3, s3_client):
    def lose_answer(call, request):
        call(**request)
        raise ReadTimeoutError(endpoint_url="http://127.0.0.1:1")

    storage = Storage(Failing(s3_client, "complete_multipart_upload", lose_answer))
    write(storage, b"whole")
    assert s3.get(str(PLACE)) == b"whole"


def test_fails_when_the_upload_vanished(s3, s3_client):
    s3.put(PLACE.key, b"older")

    def vanish(call, request):
        s3_client.abort_multipart_upload(**{key: request[key] for key in ("Bucket", "Key", "UploadId")})
        raise ClientError({"Error": {"Code": "NoSuchUpload"}}, "CompleteMultipartUpload")

    storage = Storage(Failing(s3_client, "complete_multipart_upload", vanish))
    with pytest.raises(StorageError, match="NoSuchUpload"):
        write(storage, b"newer")
    assert s3.get(str(PLACE)) == b"older"


def test_fails_when_no_time_is_left_before_the_last_step(s3, s3_client):
    def run_late(call, request):
        storage.deadline = Deadline(0)
        return call(**request)

    storage = Storage(Failing(s3_client, "upload_part", run_late))
    with pytest.raises(DeadlineError):
        write(storage, b"data")
    assert s3.names() == set()
    assert s3.uploads() == []


@given(st.integers(0, 10 * 1024**3), st.integers(5 * MIB, 5 * 1024**4))
def test_ranges_are_copied_in_pieces_that_s3_takes(start, length):
    pieces = list(split_range(start, start + length))
    assert pieces[0][0] == start
    assert pieces[-1][1] == start + length
    assert all(before[1] == after[0] for before, after in pairwise(pieces))
    assert len(pieces) <= 5000
    assert all(5 * MIB <= last - first <= 5 * 1024**3 for first, last in pieces)
