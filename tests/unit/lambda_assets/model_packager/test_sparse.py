"""Sparse members, as GNU tar writes them in each of its formats."""

import io
import subprocess
import tarfile

import pytest
from packager.errors import DecompressionBombError, NotTarError

FORMATS = {
    "old": ["--format=oldgnu"],
    "gnu": ["--format=gnu"],
    "0.0": ["--format=posix", "--sparse-version=0.0"],
    "0.1": ["--format=posix", "--sparse-version=0.1"],
    "1.0": ["--format=posix", "--sparse-version=1.0"],
}
CODE = {"inference.py": b"pass\n"}


def sparse_files(directory):
    """Write files with holes in every place, and return what they contain."""
    sections = {
        "holes.pth": [(0, b"head"), (500_000, b"middle" * 1000), (999_990, b"tail" * 10)],
        "leading.pth": [(300_000, b"x" * 5000)],
        "many.pth": [(number * 100_000, b"%06d" % number) for number in range(40)],
        "empty.pth": [],
    }
    for name, parts in sections.items():
        with (directory / name).open("wb") as file:
            for offset, data in parts:
                file.seek(offset)
                file.write(data)
            file.truncate(5_000_000)
    return {name: (directory / name).read_bytes() for name in sections}


@pytest.fixture(scope="module", params=FORMATS)
def sparse_archive(request, tmp_path_factory):
    directory = tmp_path_factory.mktemp("sparse")
    files = sparse_files(directory)
    command = [
        "tar",
        "-C",
        directory,
        "--sparse",
        "--hole-detection=raw",
        *FORMATS[request.param],
        "-czf",
        "-",
    ]
    archive = subprocess.run([*command, *sorted(files)], check=True, capture_output=True).stdout
    return files, archive


def test_sparse_members_come_out_whole(sparse_archive, archives):
    files, archive = sparse_archive
    strategy, packaged = archives.package_bytes(archives.model_archive(CODE), archive)
    assert strategy == "rewrite"
    assert archives.contents(packaged) == files | {"code/inference.py": b"pass\n"}
    with tarfile.open(fileobj=io.BytesIO(packaged)) as tar:
        assert not any(info.issparse() for info in tar)


def test_fails_when_a_sparse_member_is_too_large(sparse_archive, archives):
    _, archive = sparse_archive
    with pytest.raises(DecompressionBombError, match="of 5000000 bytes, at most 4000000 more are allowed"):
        archives.package_bytes(archives.model_archive(CODE, max_bytes=4_000_000), archive)


@pytest.mark.parametrize(
    "pax",
    [
        {"GNU.sparse.map": "0,1"},
        {"GNU.sparse.map": "0,9", "GNU.sparse.size": "4"},
        {"GNU.sparse.map": "4,4,0,4", "GNU.sparse.size": "8"},
        {"GNU.sparse.map": "0,8", "GNU.sparse.size": "many"},
        {"GNU.sparse.map": "0", "GNU.sparse.size": "8"},
        {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "8"},
    ],
    ids=str,
)
def test_fails_when_the_map_is_broken(pax, archives):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo("model.pth")
        info.size, info.pax_headers = 8, pax
        tar.addfile(info, io.BytesIO(b"12345678"))
    with pytest.raises(NotTarError, match=r"sparse member 'model\.pth'"):
        archives.package_bytes(archives.model_archive(CODE), buffer.getvalue())
