"""A model of more than 4 GiB, where gzip's length field wraps around."""

import hashlib
import random
import subprocess
import tarfile
import zlib

import pytest

BLOCK = 64 * 1024**2
BLOCKS = 86  # 5.77 GB

pytestmark = pytest.mark.conformance


def blocks():
    """Yield the model's weights: mostly pruned, so that the archive stays small."""
    chance = random.Random(0)  # noqa: S311 - weights, not secrets
    for _ in range(BLOCKS):
        yield chance.randbytes(256 * 1024) + bytes(BLOCK - 256 * 1024)


def write_archive(path):
    """Write model.tar.gz and return the digest of its only file."""
    info = tarfile.TarInfo("model.pth")
    info.size = BLOCKS * BLOCK
    digest = hashlib.sha256()
    deflate = zlib.compressobj(1, zlib.DEFLATED, 31)
    with path.open("wb") as file:
        file.write(deflate.compress(info.tobuf(tarfile.GNU_FORMAT)))
        for block in blocks():
            digest.update(block)
            file.write(deflate.compress(block))
        file.write(deflate.compress(bytes(1024)) + deflate.flush())
    return digest.hexdigest()


def test_a_model_beyond_four_gigabytes_is_spliced(tmp_path, archives, package, s3):
    digest = write_archive(tmp_path / "model.tar.gz")
    model = (tmp_path / "model.tar.gz").read_bytes()
    answer = package(model, archives.tar_gz({"inference.py": b"pass\n"}), max_ratio=1000)
    assert answer["strategy"] == "splice"

    packaged = s3.get(answer["model_data_url"])
    length = (
        512 + BLOCKS * BLOCK + 1024 + 3 * 512
    )  # the model, the end mark, two headers and one file of code
    assert int.from_bytes(packaged[-4:], "little") == length % 2**32
    (tmp_path / "packaged.tar.gz").write_bytes(packaged)
    subprocess.run(["gzip", "-t", tmp_path / "packaged.tar.gz"], check=True)
    found = hashlib.sha256()
    with tarfile.open(tmp_path / "packaged.tar.gz", "r|gz") as tar:
        names = []
        for info in tar:
            names.append(info.name)
            file = tar.extractfile(info)
            while file is not None and info.name == "model.pth" and (data := file.read(2**20)):
                found.update(data)
    assert names == ["code", "code/inference.py", "model.pth"]
    assert found.hexdigest() == digest
