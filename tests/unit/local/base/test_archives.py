import io
import os
import tarfile
from pathlib import Path

import pytest

from cdk_sagemaker_pytorch.local.base.archives import ArchiveError, pack_folder, unpack_archive


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    (folder / "code").mkdir(parents=True)
    (folder / "model.pth").write_bytes(os.urandom(100_000))
    (folder / "code" / "inference.py").write_text("x = 1\n")
    return folder


def archive_of(tmp_path: Path, *members: tarfile.TarInfo) -> Path:
    archive = tmp_path / "a.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        for member in members:
            tar.addfile(member, io.BytesIO(b"x" * member.size))
    return archive


def test_a_folder_comes_back_as_it_was_with_its_entries_at_the_top(tmp_path: Path, folder: Path) -> None:
    pack_folder(folder, tmp_path / "model.tar.gz")
    unpack_archive(tmp_path / "model.tar.gz", tmp_path / "unpacked")
    assert (tmp_path / "unpacked" / "model.pth").read_bytes() == (folder / "model.pth").read_bytes()
    assert (tmp_path / "unpacked" / "code" / "inference.py").read_text() == "x = 1\n"


def test_the_same_content_gives_the_same_bytes(tmp_path: Path, folder: Path) -> None:
    pack_folder(folder, tmp_path / "first.tar.gz")
    os.utime(folder / "model.pth", (1, 1))
    pack_folder(folder, tmp_path / "second.tar.gz")
    assert (tmp_path / "first.tar.gz").read_bytes() == (tmp_path / "second.tar.gz").read_bytes()


def test_a_link_is_packed_as_what_it_points_to_and_what_is_no_file_not_at_all(
    tmp_path: Path, folder: Path
) -> None:
    (folder / "link.pth").symlink_to(folder / "model.pth")
    (folder / "nothing.pth").symlink_to(folder / "missing")
    (folder / "code" / "up").symlink_to(folder)
    os.mkfifo(folder / "pipe")
    pack_folder(folder, tmp_path / "model.tar.gz")
    unpack_archive(tmp_path / "model.tar.gz", tmp_path / "unpacked")
    assert (tmp_path / "unpacked" / "link.pth").read_bytes() == (folder / "model.pth").read_bytes()
    assert not (tmp_path / "unpacked" / "link.pth").is_symlink()
    entries = sorted(
        str(path.relative_to(tmp_path / "unpacked")) for path in (tmp_path / "unpacked").rglob("*")
    )
    assert entries == ["code", "code/inference.py", "link.pth", "model.pth"]


def test_fails_when_a_member_escapes(tmp_path: Path) -> None:
    member = tarfile.TarInfo("../outside")
    member.size = 3
    with pytest.raises(ArchiveError, match=r"cannot unpack .*a\.tar\.gz.*outside"):
        unpack_archive(archive_of(tmp_path, member), tmp_path / "unpacked")
    assert not (tmp_path / "outside").exists()


def test_fails_when_a_link_points_outside(tmp_path: Path) -> None:
    member = tarfile.TarInfo("link")
    member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
    with pytest.raises(ArchiveError, match=r"cannot unpack .*link"):
        unpack_archive(archive_of(tmp_path, member), tmp_path / "unpacked")


def test_fails_when_the_archive_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match=r"archive not found: .*no\.tar\.gz"):
        unpack_archive(tmp_path / "no.tar.gz", tmp_path / "unpacked")


@pytest.mark.parametrize("damage", ["not gzip", "truncated", "checksum"])
def test_fails_when_the_archive_is_damaged(tmp_path: Path, folder: Path, damage: str) -> None:
    archive = tmp_path / "model.tar.gz"
    pack_folder(folder, archive)
    content = archive.read_bytes()
    damaged = {
        "not gzip": b"plain text",
        "truncated": content[: len(content) // 2],
        "checksum": content[:-8] + bytes(8),
    }[damage]
    archive.write_bytes(damaged)
    with pytest.raises(ArchiveError, match=r"cannot unpack .*model\.tar\.gz"):
        unpack_archive(archive, tmp_path / "unpacked")
