"""A bucket on a server of its own, the packaging function in front of it, and archives to package."""

import io
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.config import Config
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

# In Lambda the asset's root is on the path.
sys.path.insert(0, str(Path(__file__).parents[4] / "lambda_assets" / "model_packager"))

BUCKET = "models"


def tar_gz(files: Mapping[str, bytes], *, level: int = 6) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=level) as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def contents(archive: bytes) -> dict[str, bytes]:
    """Return the files of a tar.gz, read as a stream, which notices what random access forgives."""
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r|gz") as tar:
        return {info.name: tar.extractfile(info).read() for info in tar if info.isfile()}


class S3:
    """The bucket as a test sees it."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def put(self, key: str, body: bytes) -> str:
        self.client.put_object(Bucket=BUCKET, Key=key, Body=body)
        return f"s3://{BUCKET}/{key}"

    def get(self, uri: str) -> bytes:
        key = uri.removeprefix(f"s3://{BUCKET}/")
        return self.client.get_object(Bucket=BUCKET, Key=key)["Body"].read()

    def names(self) -> set[str]:
        return {entry["Key"] for entry in self.client.list_objects_v2(Bucket=BUCKET).get("Contents", [])}

    def uploads(self) -> list[str]:
        answer = self.client.list_multipart_uploads(Bucket=BUCKET)
        return [entry["Key"] for entry in answer.get("Uploads", [])]

    def empty(self) -> None:
        for entry in self.client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", []):
            self.client.abort_multipart_upload(Bucket=BUCKET, Key=entry["Key"], UploadId=entry["UploadId"])
        for key in self.names():
            self.client.delete_object(Bucket=BUCKET, Key=key)


class CountedRequests:
    """A WSGI application that lets a test wait for the n-th request, before it is answered."""

    def __init__(self, application: Any) -> None:
        self._application = application
        self._arrived = threading.Condition()
        self.count = 0

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        with self._arrived:
            self.count += 1
            self._arrived.notify_all()
        return self._application(environ, start_response)

    def wait_for(self, count: int, or_until: Callable[[], bool]) -> None:
        """Wait until so many requests have arrived in all, or something else is true."""
        with self._arrived:
            while self.count < count and not or_until():
                self._arrived.wait(0.05)


@pytest.fixture(scope="session")
def aws_requests() -> CountedRequests:
    return CountedRequests(DomainDispatcherApplication(create_backend_app))


@pytest.fixture(scope="session")
def aws_endpoint(aws_requests: CountedRequests) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, aws_requests, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()


@pytest.fixture(scope="module")
def aws_environment(aws_endpoint: str) -> Iterator[Mapping[str, str]]:
    environment = {
        "AWS_ENDPOINT_URL": aws_endpoint,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        yield environment


@pytest.fixture(scope="module")
def s3_client(aws_environment: Mapping[str, str]) -> Any:
    return boto3.client("s3", config=Config(retries={"total_max_attempts": 2}))


@pytest.fixture
def s3(s3_client: Any) -> S3:
    """The bucket, empty."""
    s3_client.create_bucket(Bucket=BUCKET)  # anew, if another test's moto has reset this one's state
    bucket = S3(s3_client)
    bucket.empty()
    return bucket


class MemoryStorage:
    """Objects in a dict, for what needs to read only."""

    def __init__(self, objects: Mapping[Any, bytes]) -> None:
        self._objects = objects

    def head(self, place: Any) -> Any:
        return SimpleNamespace(place=place, size=len(self._objects[place]))

    def blocks(self, stored: Any) -> Iterator[bytes]:
        yield self._objects[stored.place]


def model_archive(code: Mapping[str, bytes] | bytes, **fields: Any) -> Any:
    """Return a model archive about to get `code`, for the functions that work on bytes."""
    from packager.request import PackagingRequest, S3Uri
    from packager.scan import ModelArchive
    from packager.source_code import read_source_code

    place = S3Uri(BUCKET, "code.gz")
    request = PackagingRequest(
        model_data=S3Uri(BUCKET, "model.tar.gz"),
        source_code=place,
        output=S3Uri(BUCKET, "out/model.tar.gz"),
        framework_version=(2, 6, 0),
        entry_point="inference.py",
        **fields,
    )
    archive = code if isinstance(code, bytes) else tar_gz(code)
    return ModelArchive(request, read_source_code(MemoryStorage({place: archive}), request))


def package_bytes(archive: Any, data: bytes) -> tuple[str, bytes]:
    """Return how the model archive `data` is packaged, and the outcome."""
    from packager.rewrite import rewrite
    from packager.scan import RewriteNeededError
    from packager.splice import splice_bytes

    try:
        return "splice", splice_bytes(archive, data)
    except RewriteNeededError:
        output = io.BytesIO()
        rewrite(archive, [data], output)
        return "rewrite", output.getvalue()


@pytest.fixture(scope="session")
def archives() -> SimpleNamespace:
    """Ways to make and read archives, and to package them in memory."""
    return SimpleNamespace(
        tar_gz=tar_gz, contents=contents, model_archive=model_archive, package_bytes=package_bytes
    )


@pytest.fixture(scope="module", params=["isal", "zlib"])
def engine(request: pytest.FixtureRequest) -> Iterator[None]:
    """Compress and decompress with what the function ships with, and with the standard library."""
    import zlib

    from isal import isal_zlib
    from packager import gzip_stream

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gzip_stream, "engine", {"isal": isal_zlib, "zlib": zlib}[request.param])
        yield


@pytest.fixture
def event(s3: S3) -> Callable[..., dict[str, Any]]:
    """Stores a model and code, and makes the event that asks to package them; more fields may be given."""

    def make(model: bytes, code: bytes | None, **fields: Any) -> dict[str, Any]:
        return {
            "model_data": s3.put("in/model.tar.gz", model),
            "source_code": None if code is None else s3.put("in/0123abcd.gz", code),
            "output": f"s3://{BUCKET}/out/model.tar.gz",
            "framework_version": "2.6.0",
            "entry_point": "inference.py",
        } | fields

    return make


@pytest.fixture
def package(event: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """Stores a model and code and lets the function package them."""
    from index import handler

    def run(model: bytes, code: bytes | None, context: Any = None, **fields: Any) -> dict[str, Any]:
        return handler(event(model, code, **fields), context)

    return run
