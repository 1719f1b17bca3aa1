"""Uncompressed model data: an S3 prefix in, an S3 prefix out."""

import io
import tarfile
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from index import handler
from packager import prefix as prefix_module
from packager import upload
from packager.errors import (
    DecompressionBombError,
    EntryPointMissingError,
    InvalidRequestError,
    ObjectNotFoundError,
    UnsafeMemberError,
)

WEIGHTS = {"model-1.safetensors": b"first" * 1000, "deep/model-2.safetensors": b"second", "empty": b""}


@pytest.fixture
def code(archives: SimpleNamespace) -> bytes:
    packed: bytes = archives.tar_gz({"inference.py": b"pass\n", "lib/tools.py": b"x = 1\n"})
    return packed


@pytest.fixture
def package(s3: Any) -> Callable[..., dict[str, Any]]:
    """Stores model files below `in/`, code beside them, and packages to `out/`, unless told otherwise."""

    def run(files: dict[str, bytes], code: bytes | None, **fields: Any) -> dict[str, Any]:
        for name, data in files.items():
            s3.put(f"in/{name}", data)
        event = {
            "model_data": "s3://models/in/",
            "source_code": None if code is None else s3.put("code.gz", code),
            "output": "s3://models/out/",
            "framework_version": "2.6.0",
            "entry_point": "inference.py",
        }
        return handler(event | fields, None)

    return run


def below(s3: Any, folder: str) -> dict[str, bytes]:
    return {
        name.removeprefix(folder): s3.get(f"s3://models/{name}")
        for name in s3.names()
        if name.startswith(folder)
    }


def test_model_files_are_copied_and_the_code_lies_beside_them(package, s3, code, monkeypatch):
    sent = []
    put = prefix_module.Storage.put
    monkeypatch.setattr(
        prefix_module.Storage,
        "put",
        lambda self, place, body: (sent.append(len(body)), put(self, place, body)),
    )
    answer = package(WEIGHTS | {"code/inference.py": b"old", "folder/": b""}, code)
    assert answer == {
        "model_data_url": "s3://models/out/",
        "submit_directory": "/opt/ml/model/code",
        "strategy": "copy",
        "bytes_in": 5006,
        "bytes_out": 5017,
        "model_data_etag": None,
    }
    expected = {"code/inference.py": b"pass\n", "code/lib/tools.py": b"x = 1\n"}
    assert below(s3, "out/") == WEIGHTS | expected
    assert sum(sent) == 11  # the model's bytes stay inside of S3


def test_in_place_only_the_code_is_written(package, s3, code, monkeypatch):
    monkeypatch.setattr(prefix_module, "copy_object", lambda *_: pytest.fail("a model file was copied"))
    old = {"code/inference.py": b"old", "code/removed.py": b"old"}
    answer = package(WEIGHTS | old, code, output="s3://models/in/")
    assert answer["model_data_url"] == "s3://models/in/"
    expected = {"code/inference.py": b"pass\n", "code/lib/tools.py": b"x = 1\n"}
    assert below(s3, "in/") == WEIGHTS | expected


def test_without_code_the_models_own_is_kept(package, s3):
    files = WEIGHTS | {"code/inference.py": b"own"}
    package(files, None)
    assert below(s3, "out/") == files


def test_packaging_again_changes_nothing(package, s3, code):
    package(WEIGHTS, code)
    first = below(s3, "out/")
    package(WEIGHTS, code)
    assert below(s3, "out/") == first


def test_a_large_file_is_copied_in_parts(package, s3, code, monkeypatch):
    monkeypatch.setattr(upload, "_COPY_BYTES", 6 * 1024**2)
    files = {"model.safetensors": bytes(range(256)) * 4 * 10 * 1024}
    package(files, code)
    assert below(s3, "out/")["model.safetensors"] == files["model.safetensors"]
    assert s3.uploads() == []


def test_a_link_in_the_code_becomes_a_file(package, s3):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        info = tarfile.TarInfo("inference.py")
        info.size = 5
        tar.addfile(info, io.BytesIO(b"pass\n"))
        link = tarfile.TarInfo("alias.py")
        link.type, link.linkname = tarfile.SYMTYPE, "inference.py"
        tar.addfile(link)
    package(WEIGHTS, buffer.getvalue())
    assert below(s3, "out/code/") == {"inference.py": b"pass\n", "alias.py": b"pass\n"}


def test_an_uncompressed_artifact_of_a_training_job_is_packaged(package, s3, code, monkeypatch):
    from packager import handling

    job = {
        "TrainingJobStatus": "Completed",
        "OutputDataConfig": {"CompressionType": "NONE"},
        "ModelArtifacts": {"S3ModelArtifacts": "s3://models/in"},
    }
    client = SimpleNamespace(describe_training_job=lambda TrainingJobName: job)  # noqa: N803
    monkeypatch.setitem(handling._clients, "sagemaker", client)
    answer = package(WEIGHTS, code, model_data=None, training_job_name="job")
    assert answer["model_data_url"] == "s3://models/out/"
    assert below(s3, "out/").keys() > WEIGHTS.keys()


def fails(error: type[Exception], message: str, s3: Any, run: Callable[[], Any]) -> None:
    with pytest.raises(error, match=message):
        run()
    assert below(s3, "out/") == {}
    assert s3.uploads() == []


def test_fails_when_there_are_no_model_files(package, s3, code):
    fails(
        ObjectNotFoundError,
        "s3://models/in/ has no model files below it",
        s3,
        lambda: package({"code/inference.py": b"old"}, code),
    )


def test_fails_when_the_entry_point_is_missing(package, s3, archives):
    other = archives.tar_gz({"serve.py": b""})
    fails(EntryPointMissingError, "no entry point 'inference.py'", s3, lambda: package(WEIGHTS, other))


@pytest.mark.parametrize("key", ["../escaped", "a/../../b", "a//b", "./a"])
def test_fails_when_a_key_is_no_path(key, package, s3, code):
    fails(UnsafeMemberError, "s3://models/in/ has", s3, lambda: package(WEIGHTS | {key: b"x"}, code))


def test_fails_when_a_file_is_a_folder_too(package, s3, code):
    files = {"a": b"x", "a/b": b"y"}
    fails(UnsafeMemberError, "'a/b' below one that is a file itself", s3, lambda: package(files, code))


def test_fails_when_the_files_are_too_large(package, s3, code):
    fails(
        DecompressionBombError,
        "s3://models/in/ has files of 5006 bytes, at most 5005",
        s3,
        lambda: package(WEIGHTS, code, max_bytes=5005),
    )


def test_fails_when_the_code_links_to_a_folder(package, s3):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, kind, target in (
            ("inference.py", tarfile.REGTYPE, ""),
            ("lib", tarfile.DIRTYPE, ""),
            ("alias", tarfile.SYMTYPE, "lib"),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            tar.addfile(info)
    fails(
        UnsafeMemberError,
        "the link 'code/alias', which leads to no file",
        s3,
        lambda: package(WEIGHTS, buffer.getvalue()),
    )


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"output": "s3://models/out/model.tar.gz"}, "output must end in a slash"),
        ({"output": "s3://models/in/packaged/"}, "output must not lie within model_data"),
        ({"model_data": "s3://models/out/in/"}, "output must not lie within model_data"),
        ({"framework_version": "1.1"}, "model_data must be a model.tar.gz for framework_version before 1.2"),
    ],
)
def test_fails_when_the_places_do_not_fit(fields, problem, package, s3, code):
    fails(InvalidRequestError, problem, s3, lambda: package(WEIGHTS, code, **fields))


@pytest.mark.parametrize("output", ["s3://models/out/", "s3://models/in/"])
def test_code_below_the_prefix_may_stay(package, s3, code, output):
    own = {"code/inference.py": b"old", "code/net.py": b"net", "code/lib/old.py": b"old"}

    package(WEIGHTS | own, code, keep_code="true", output=output)

    folder = output.removeprefix("s3://models/")
    assert below(s3, folder) == WEIGHTS | {
        "code/net.py": b"net",
        "code/inference.py": b"pass\n",
        "code/lib/tools.py": b"x = 1\n",
    }
