"""Each strategy end to end, through the function's handler and a server."""

import gzip
import io
import os
import tarfile
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from index import handler
from packager import errors
from packager.request import PackagingRequest

MODEL = {"model.pth": b"weights" * 1000, "sub/config.json": b"{}"}
CODE = {"inference.py": b"def model_fn(model_dir): ...\n", "lib/util.py": b"x = 1\n"}
PLACED = {f"code/{name}": data for name, data in CODE.items()}


@pytest.fixture(scope="session")
def weights():
    return os.urandom(17 * 1024**2)


@pytest.fixture(scope="session")
def large_model(weights, archives):
    return archives.tar_gz({"model.pth": weights}, level=1)


@pytest.fixture(scope="session")
def large_model_with_code(weights, archives):
    files = {"code/inference.py": b"old", "model.pth": weights, "code/stale.py": b"old"}
    return archives.tar_gz(files, level=1)


@pytest.fixture
def code(archives):
    return archives.tar_gz(CODE)


def test_small_model_is_packaged_in_memory(package, archives, s3, code):
    model = archives.tar_gz(MODEL)
    answer = package(model, code)
    packaged = s3.get(answer["model_data_url"])
    assert archives.contents(packaged) == MODEL | PLACED
    assert answer == {
        "model_data_url": "s3://models/out/model.tar.gz",
        "submit_directory": "/opt/ml/model/code",
        "strategy": "memory",
        "bytes_in": len(model),
        "bytes_out": len(packaged),
        "model_data_etag": s3.client.head_object(Bucket="models", Key="in/model.tar.gz")["ETag"],
    }


def test_small_model_with_old_code_is_packaged_in_memory(package, archives, s3, code):
    answer = package(archives.tar_gz(MODEL | {"./code/inference.py": b"old", "code/stale.py": b"old"}), code)
    packaged = s3.get(answer["model_data_url"])
    assert (answer["strategy"], answer["bytes_out"]) == ("memory", len(packaged))
    assert archives.contents(packaged) == MODEL | PLACED


def test_large_model_is_spliced(package, archives, s3, code, large_model, weights):
    answer = package(large_model, code)
    packaged = s3.get(answer["model_data_url"])
    assert (answer["strategy"], answer["bytes_in"]) == ("splice", len(large_model))
    assert answer["bytes_out"] == len(packaged)
    assert archives.contents(packaged) == {"model.pth": weights} | PLACED
    assert s3.uploads() == []


def test_a_splice_uploads_little(monkeypatch, s3, package, code, large_model):
    sent = []
    monkeypatch.setattr("packager.handling.package", _watching(sent))
    package(large_model, code)
    assert sent[0] < len(code) + 12 * 1024**2


def _watching(sent):
    from packager.packaging import package

    def watched(request, storage):
        packaged = package(request, storage)
        sent.append(storage.bytes_sent)
        return packaged

    return watched


@pytest.mark.parametrize("reason", ["old code", "several gzip members", "zeros behind", "sparse"])
def test_large_model_is_rewritten_where_a_splice_would_not_do(
    reason, package, archives, s3, code, weights, large_model, large_model_with_code
):
    if reason == "old code":
        model = large_model_with_code
    elif reason == "several gzip members":
        plain = gzip.decompress(large_model)
        model = gzip.compress(plain[:9999], 1) + gzip.compress(plain[9999:], 1)
    elif reason == "zeros behind":
        model = large_model + bytes(1000)
    else:
        model = _sparse_model(weights)
    answer = package(model, code)
    packaged = s3.get(answer["model_data_url"])
    assert (answer["strategy"], answer["bytes_out"]) == ("rewrite", len(packaged))
    assert archives.contents(packaged) == {"model.pth": weights} | PLACED
    assert s3.uploads() == []


def _sparse_model(weights):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", format=tarfile.PAX_FORMAT, compresslevel=1) as tar:
        info = tarfile.TarInfo("model.pth")
        info.size = len(weights)
        info.pax_headers = {"GNU.sparse.size": str(len(weights)), "GNU.sparse.map": f"0,{len(weights)}"}
        tar.addfile(info, io.BytesIO(weights))
    return buffer.getvalue()


@pytest.mark.parametrize("size", ["small", "large", "large with code"])
def test_the_same_request_gives_the_same_bytes_however_often_at_once(
    size, event, archives, s3, code, large_model, large_model_with_code
):
    models = {"small": archives.tar_gz(MODEL), "large": large_model, "large with code": large_model_with_code}
    request = event(models[size], code)
    first = handler(request, None)
    expected = s3.get(first["model_data_url"])
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda _: handler(request, None), range(3)))
    assert answers == [first] * 3
    assert s3.get(first["model_data_url"]) == expected
    assert s3.uploads() == []


def test_without_code_the_model_is_copied(package, archives, s3):
    model = archives.tar_gz(MODEL)
    answer = package(model, None)
    assert answer["strategy"] == "copy"
    assert answer["submit_directory"] == "/opt/ml/model/code"
    assert s3.get(answer["model_data_url"]) == model
    assert "out/sourcedir.tar.gz" not in s3.names()


@pytest.mark.parametrize("version", ["0.4.0", "1.0.0", "1.1.0"])
def test_before_1_2_the_code_lies_beside_the_model(version, package, archives, s3):
    model = archives.tar_gz(MODEL)
    code = archives.tar_gz(CODE | {"requirements.txt": b"scipy\n"})
    answer = package(model, code, framework_version=version)
    assert answer["strategy"] == "copy"
    assert answer["submit_directory"] == "s3://models/out/sourcedir.tar.gz"
    assert s3.get(answer["model_data_url"]) == model
    assert s3.get(answer["submit_directory"]) == code


def test_a_large_copy_is_made_in_parts(monkeypatch, package, s3, large_model):
    monkeypatch.setattr("packager.upload._COPY_BYTES", 10 * 1024**2)
    answer = package(large_model, None)
    assert s3.get(answer["model_data_url"]) == large_model
    assert s3.client.head_object(Bucket="models", Key="out/model.tar.gz")["ETag"].endswith('-2"')


@pytest.mark.parametrize("size", ["small", "large", "large with code", "copied"])
def test_encryption_tags_and_metadata_are_those_of_the_request(
    size, package, archives, s3, code, large_model, large_model_with_code
):
    small = archives.tar_gz(MODEL)
    models = {"small": small, "large": large_model, "large with code": large_model_with_code, "copied": small}
    package(
        models[size],
        None if size == "copied" else code,
        kms_key_id="arn:aws:kms:us-east-1:123456789012:key/1234",
        tags={"team": "vision + sound", "stage": "test"},
        metadata={"job": "training-1"},
    )
    head = s3.client.head_object(Bucket="models", Key="out/model.tar.gz")
    assert (head["ServerSideEncryption"], head["SSEKMSKeyId"][-4:]) == ("aws:kms", "1234")
    assert head["Metadata"] == {"job": "training-1"}
    assert head["ContentType"] == "application/gzip"
    tags = s3.client.get_object_tagging(Bucket="models", Key="out/model.tar.gz")["TagSet"]
    assert {tag["Key"]: tag["Value"] for tag in tags} == {"team": "vision + sound", "stage": "test"}


def test_the_model_of_a_training_job_is_packaged(monkeypatch, package, archives, s3, code):
    job = {
        "TrainingJobStatus": "Completed",
        "ModelArtifacts": {"S3ModelArtifacts": "s3://models/in/model.tar.gz"},
    }
    _with_training_job(monkeypatch, job)
    answer = package(archives.tar_gz(MODEL), code, model_data=None, training_job_name="job-1")
    assert archives.contents(s3.get(answer["model_data_url"])) == MODEL | PLACED


def test_fails_when_the_training_job_is_not_completed(monkeypatch, package, archives, code):
    _with_training_job(monkeypatch, {"TrainingJobStatus": "Failed"})
    with pytest.raises(
        errors.TrainingJobError, match="'job-1' must be Completed to package its model, it is Failed"
    ):
        package(archives.tar_gz(MODEL), code, model_data=None, training_job_name="job-1")


def test_fails_when_the_training_job_does_not_exist(package, archives, code):
    with pytest.raises(errors.TrainingJobError, match="'job-1' cannot be described"):
        package(archives.tar_gz(MODEL), code, model_data=None, training_job_name="job-1")


def test_fails_when_both_a_model_and_a_training_job_are_given(package, archives, code):
    with pytest.raises(errors.InvalidRequestError, match="either model_data or training_job_name"):
        package(archives.tar_gz(MODEL), code, training_job_name="job-1")


def _with_training_job(monkeypatch, job):
    client = SimpleNamespace(describe_training_job=lambda TrainingJobName: job)  # noqa: N803 - the API's name
    monkeypatch.setitem(__import__("packager.handling", fromlist=["_clients"])._clients, "sagemaker", client)


class Clock:
    """A Lambda context with some time left."""

    def __init__(self, milliseconds):
        self._milliseconds = milliseconds

    def get_remaining_time_in_millis(self):
        return self._milliseconds


@pytest.mark.parametrize("with_code", [False, True])
def test_fails_when_no_time_is_left(with_code, package, s3, code, large_model, large_model_with_code):
    with pytest.raises(errors.DeadlineError, match=r"ran out of time .*ModelPackager\(timeout=") as caught:
        package(large_model_with_code if with_code else large_model, code, Clock(1))
    assert "nothing was written" in str(caught.value)
    assert s3.names() == {"in/model.tar.gz", "in/0123abcd.gz"}
    assert s3.uploads() == []


def test_enough_time_is_enough(package, code, large_model):
    assert package(large_model, code, Clock(900_000))["strategy"] == "splice"


def _evil(kind="file", name="x", **fields):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        tar.addfile(tarfile.TarInfo("model.pth"))
        info = tarfile.TarInfo(name)
        info.type = getattr(tarfile, kind) if kind != "file" else tarfile.REGTYPE
        for field, value in fields.items():
            setattr(info, field, value)
        tar.addfile(info)
    return buffer.getvalue()


def _flipped(data, position):
    damaged = bytearray(data)
    damaged[position] ^= 0x10
    return bytes(damaged)


def bad_archives(good):
    """What may be wrong with an archive, and the error it gets."""
    return {
        "not gzip": (b"PK\x03\x04" * 100, errors.NotGzipError),
        "a cut": (good[: len(good) // 2], errors.TruncatedArchiveError),
        "a cut in the trailer": (good[:-3], errors.TruncatedArchiveError),
        "a bad checksum": (_flipped(good, -6), errors.CorruptArchiveError),
        "a bad length": (_flipped(good, -2), errors.CorruptArchiveError),
        "garbage behind": (good + b"garbage", errors.CorruptArchiveError),
        "not tar": (gzip.compress(b"weights" * 1000), errors.NotTarError),
        "nothing in it": (gzip.compress(b""), errors.NotTarError),
        "a cut tar archive": (gzip.compress(gzip.decompress(good)[:1000]), errors.TruncatedArchiveError),
        "no end mark": (gzip.compress(gzip.decompress(good)[:512]), errors.TruncatedArchiveError),
        "a path outside": (_evil(name="../x"), errors.UnsafeMemberError),
        "an absolute path": (_evil(name="/x"), errors.UnsafeMemberError),
        "a link outside": (_evil("SYMTYPE", linkname="../x"), errors.UnsafeMemberError),
        "a hard link outside": (_evil("LNKTYPE", linkname="/etc/passwd"), errors.UnsafeMemberError),
        "a device": (_evil("CHRTYPE"), errors.UnsafeMemberError),
        "a pipe": (_evil("FIFOTYPE"), errors.UnsafeMemberError),
    }


BAD = list(bad_archives(gzip.compress(bytes(512))))


def assert_nothing_was_written(s3):
    assert all(key.startswith("in/") for key in s3.names())
    assert s3.uploads() == []


@pytest.mark.parametrize("problem", BAD)
def test_fails_when_the_model_has(problem, package, archives, s3, code):
    data, error = bad_archives(archives.tar_gz({"model.pth": b""}))[problem]
    with pytest.raises(error, match=r"^s3://models/in/model\.tar\.gz "):
        package(data, code)
    assert_nothing_was_written(s3)


@pytest.mark.parametrize("problem", BAD)
def test_fails_when_the_source_code_has(problem, package, archives, s3):
    data, error = bad_archives(archives.tar_gz({"inference.py": b""}))[problem]
    with pytest.raises(error, match=r"^s3://models/in/0123abcd\.gz "):
        package(archives.tar_gz(MODEL), data)
    assert_nothing_was_written(s3)


@pytest.mark.parametrize("problem", ["a cut", "a bad checksum", "garbage behind"])
@pytest.mark.parametrize("with_code", [False, True])
def test_fails_when_a_large_model_has(
    problem, with_code, package, s3, code, large_model, large_model_with_code
):
    good = large_model_with_code if with_code else large_model
    data = {
        "a cut": good[:-2_000_000],
        "a bad checksum": _flipped(good, -6),
        "garbage behind": good + b"garbage",
    }[problem]
    with pytest.raises((errors.TruncatedArchiveError, errors.CorruptArchiveError)):
        package(data, code)
    assert_nothing_was_written(s3)


def test_fails_when_the_model_is_a_bomb(package, archives, s3, code):
    with pytest.raises(errors.DecompressionBombError, match="more than 1000000 bytes; raise max_bytes"):
        package(archives.tar_gz({"model.pth": bytes(10**6)}), code, max_bytes=1_000_000)
    assert_nothing_was_written(s3)


def test_fails_when_the_source_code_is_too_large(package, archives, s3):
    bomb = archives.tar_gz(CODE | {"data.bin": bytes(10**6)})
    with pytest.raises(errors.DecompressionBombError, match=r"in/0123abcd\.gz unpacks to more"):
        package(archives.tar_gz(MODEL), bomb, max_source_bytes=500_000)
    large = archives.tar_gz(CODE | {"data.bin": os.urandom(10**6)})
    with pytest.raises(errors.DecompressionBombError, match=r"in/0123abcd\.gz has \d+ bytes"):
        package(archives.tar_gz(MODEL), large, max_source_bytes=500_000)
    assert_nothing_was_written(s3)


@pytest.mark.parametrize("field", ["model_data", "source_code"])
def test_fails_when_an_object_does_not_exist(field, package, archives, s3, code):
    with pytest.raises(
        errors.ObjectNotFoundError, match="s3://models/none could not be read: it does not exist"
    ):
        package(archives.tar_gz(MODEL), code, **{field: "s3://models/none"})
    assert_nothing_was_written(s3)


@pytest.mark.parametrize("framework_version", ["1.1.0", "2.6.0"])
def test_fails_when_the_model_is_empty(framework_version, package, s3, code):
    with pytest.raises(errors.EmptyObjectError, match="has zero bytes"):
        package(b"", code, framework_version=framework_version)
    assert_nothing_was_written(s3)


def test_fails_when_a_model_to_copy_is_not_gzip(package, s3):
    with pytest.raises(errors.NotGzipError, match=r"begins with b'PK'"):
        package(b"PK\x03\x04", None)
    assert_nothing_was_written(s3)


def test_fails_when_the_entry_point_is_missing(package, archives, s3):
    with pytest.raises(
        errors.EntryPointMissingError, match=r"no entry point 'inference.py' .* it holds train.py"
    ):
        package(archives.tar_gz(MODEL), archives.tar_gz({"train.py": b""}))
    with pytest.raises(errors.EntryPointMissingError, match=r"it is at src/inference.py"):
        package(archives.tar_gz(MODEL), archives.tar_gz({"src/inference.py": b""}))
    assert_nothing_was_written(s3)


def test_fails_when_requirements_would_be_ignored(package, archives, s3):
    code = archives.tar_gz(CODE | {"requirements.txt": b"scipy\n"})
    with pytest.raises(errors.RequirementsNotSupportedError, match=r"PyTorch 1\.2\.0 does not install"):
        package(archives.tar_gz(MODEL), code, framework_version="1.2.0")
    assert_nothing_was_written(s3)
    assert package(archives.tar_gz(MODEL), code, framework_version="1.3.1")["strategy"] == "memory"


@pytest.mark.parametrize("size", ["small", "large", "large with code", "copied"])
def test_fails_when_the_model_is_replaced_while_it_is_read(
    size, monkeypatch, package, archives, s3, code, large_model, large_model_with_code
):
    from packager.storage import Storage

    small = archives.tar_gz(MODEL)
    models = {"small": small, "large": large_model, "large with code": large_model_with_code, "copied": small}
    head = Storage.head

    def head_and_replace(self, place, version_id=None):
        stored = head(self, place, version_id)
        if place.key == "in/model.tar.gz":
            s3.put(place.key, archives.tar_gz(MODEL, level=9))
        return stored

    monkeypatch.setattr(Storage, "head", head_and_replace)
    with pytest.raises(errors.SourceChangedError, match="was replaced while it was read"):
        package(models[size], None if size == "copied" else code)
    assert_nothing_was_written(s3)


def test_old_output_stays_when_packaging_fails(package, archives, s3, code):
    answer = package(archives.tar_gz(MODEL), code)
    before = s3.get(answer["model_data_url"])
    with pytest.raises(errors.NotGzipError):
        package(b"not gzip", code)
    assert s3.get(answer["model_data_url"]) == before


OWN_CODE = {
    "model.pth": b"weights",
    "code/inference.py": b"old",
    "code/requirements.txt": b"einops",
    "code/net.py": b"net",
    "code/lib/old.py": b"old",
}


def test_code_of_the_model_that_has_no_new_one_may_stay(package, archives, s3, code):
    answer = package(archives.tar_gz(OWN_CODE), code, keep_code="true")

    assert archives.contents(s3.get(answer["model_data_url"])) == {
        "model.pth": b"weights",
        "code/requirements.txt": b"einops",
        "code/net.py": b"net",
        **{f"code/{name}": data for name, data in CODE.items()},
    }


@pytest.mark.parametrize("with_code", [True, False])
def test_handlers_lie_beside_the_code(package, archives, s3, code, with_code):
    handlers = s3.put("in/handlers.gz", archives.tar_gz({"serving/a.py": b"new", "serving/b.py": b"new"}))
    model = OWN_CODE | {"code/serving/a.py": b"old", "code/serving/old.py": b"old"}

    answer = package(
        archives.tar_gz(model), code if with_code else None, handlers=handlers, keep_code=not with_code
    )

    kept = CODE if with_code else {name[5:]: data for name, data in OWN_CODE.items() if "/" in name}
    assert archives.contents(s3.get(answer["model_data_url"])) == {
        "model.pth": b"weights",
        "code/serving/a.py": b"new",
        "code/serving/b.py": b"new",
        **{f"code/{name}": data for name, data in kept.items()},
    }


def test_holes_count_towards_the_size_of_the_model(package, archives, s3, code):
    with pytest.raises(
        errors.DecompressionBombError, match=r"the sparse member 'second\.bin' of 3000000 bytes"
    ):
        package(sparse_model(), code, max_bytes=4_000_000)


def sparse_model():
    """Return a model of two files that are nothing but holes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", format=tarfile.PAX_FORMAT) as tar:
        for name in ("first.bin", "second.bin"):
            info = tarfile.TarInfo(name)
            sparse_map = b"0\n".ljust(512, b"\0")
            info.size = len(sparse_map)
            names = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": name}
            info.pax_headers = names | {"GNU.sparse.realsize": "3000000"}
            tar.addfile(info, io.BytesIO(sparse_map))
    return buffer.getvalue()


@pytest.mark.parametrize("value", ["yes", 2, "True"])
def test_fails_when_a_flag_is_none(event, archives, code, value):
    with pytest.raises(errors.InvalidRequestError, match="keep_code must be true or false, got"):
        PackagingRequest.parse(event(archives.tar_gz({"a": b""}), code, keep_code=value))


@pytest.mark.parametrize("with_code", [True, False])
def test_a_version_of_the_model_is_packaged(package, archives, s3, code, with_code):
    s3.client.put_bucket_versioning(Bucket="models", VersioningConfiguration={"Status": "Enabled"})
    try:
        answers = [package(archives.tar_gz({"model.pth": data}), None) for data in (b"first", b"second")]
        versions = s3.client.list_object_versions(Bucket="models", Prefix="in/model.tar.gz")["Versions"]
        (first,) = [version for version in versions if not version["IsLatest"]]

        answer = package(
            archives.tar_gz({"model.pth": b"third"}),
            code if with_code else None,
            model_data_version=first["VersionId"],
        )

        assert archives.contents(s3.get(answer["model_data_url"]))["model.pth"] == b"first"
        assert answer["model_data_etag"] == first["ETag"] == answers[0]["model_data_etag"]
    finally:
        s3.client.put_bucket_versioning(Bucket="models", VersioningConfiguration={"Status": "Suspended"})


def test_fails_when_there_is_no_such_version(package, archives, code):
    with pytest.raises((errors.ObjectNotFoundError, errors.StorageError)):
        package(archives.tar_gz(MODEL), code, model_data_version="no-such-version")


@pytest.mark.parametrize("name", ["model.tar.gz", "out/model.tgz", "model.tar", "model.zip"])
def test_fails_when_the_model_is_in_an_archive_of_its_own(package, archives, s3, code, name):
    with pytest.raises(errors.NestedArchiveError, match=f"nothing but the archive '{name}': give that one"):
        package(archives.tar_gz({name: b"x" * 600}), code)
    assert "out/model.tar.gz" not in s3.names()


@pytest.fixture
def handlers(archives, s3):
    return s3.put("in/handlers.gz", archives.tar_gz({"serving/a.py": b"new"}))


@pytest.mark.parametrize("size", [10, 40 << 20])
def test_fails_when_one_folder_is_around_model_and_code(package, archives, s3, handlers, size):
    files = {"net/model.pth": os.urandom(size), "net/code/inference.py": b"pass"}
    with pytest.raises(errors.WrappedModelError, match=r"'net', and the code in it: pack what lies in 'net'"):
        package(archives.tar_gz(files), None, handlers=handlers, keep_code=True)
    assert "out/model.tar.gz" not in s3.names()


@pytest.mark.parametrize(
    "files",
    [
        {"net/model.pth": b"x", "net/config.json": b"{}"},
        {"net/model.pth": b"x", "net/code/model.py": b"", "README": b""},
        {"code/code/model.py": b""},
        {"net/codec/model.bin": b"x"},
    ],
)
def test_a_folder_around_the_model_alone_may_be_what_a_script_looks_for(package, archives, handlers, files):
    answer = package(archives.tar_gz(files), None, handlers=handlers, keep_code=True)
    assert answer["strategy"] in ("memory", "rewrite")


def test_code_in_the_folder_is_not_needed_where_some_is_given(package, archives, code):
    files = {"net/model.pth": b"x", "net/code/inference.py": b"pass"}
    assert package(archives.tar_gz(files), code)["strategy"] == "memory"


@pytest.mark.parametrize("files", [{"data.tar": b"x", "model.pth": b"y"}, {"model.pth": b"y"}, {}])
def test_an_archive_beside_a_model_is_a_file_like_others(package, archives, code, files):
    assert package(archives.tar_gz(files), code)["strategy"] == "memory"
