"""Each strategy end to end, through the function's handler."""

import gzip
import io
import os
import tarfile

import pytest

MODEL = {"model.pth": b"weights" * 1000, "sub/config.json": b"{}"}
CODE = {"inference.py": b"def model_fn(model_dir): ...\n", "lib/util.py": b"x = 1\n"}
PACKAGED = MODEL | {f"code/{name}": data for name, data in CODE.items()}


def test_small_model_is_packaged_in_memory(package, archives, s3):
    model = archives.tar_gz(MODEL)
    answer = package(model, archives.tar_gz(CODE))
    packaged = s3.get(answer["model_data_url"])
    assert archives.contents(packaged) == PACKAGED
    assert answer == {
        "model_data_url": "s3://models/out/model.tar.gz",
        "submit_directory": "/opt/ml/model/code",
        "strategy": "memory",
        "bytes_in": len(model),
        "bytes_out": len(packaged),
    }


@pytest.fixture(scope="module")
def weights():
    return os.urandom(24 * 1024**2)


def test_large_model_is_spliced(package, archives, s3, weights):
    model = archives.tar_gz({"model.pth": weights}, level=1)
    answer = package(model, archives.tar_gz(CODE))
    assert answer["strategy"] == "splice"
    packaged = s3.get(answer["model_data_url"])
    assert answer["bytes_out"] == len(packaged)
    assert archives.contents(packaged) == {"model.pth": weights} | {
        f"code/{name}": data for name, data in CODE.items()
    }
    assert len(gzip.decompress(packaged)) % 512 == 0
    assert s3.uploads() == []


def test_large_model_with_old_code_is_rewritten(package, archives, s3, weights):
    model = archives.tar_gz(
        {"code/inference.py": b"old", "code/stale.py": b"old", "model.pth": weights}, level=1
    )
    answer = package(model, archives.tar_gz(CODE))
    assert answer["strategy"] == "rewrite"
    packaged = s3.get(answer["model_data_url"])
    assert answer["bytes_out"] == len(packaged)
    assert archives.contents(packaged) == {"model.pth": weights} | {
        f"code/{name}": data for name, data in CODE.items()
    }
    assert s3.uploads() == []
