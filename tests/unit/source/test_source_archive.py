import gzip
import io
import os
import string
import tarfile
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cdk_sagemaker_pytorch.source.source_archive import collect_files, write_archive


def _write(root: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _pack(root: Path, archive: Path) -> tuple[bytes, str]:
    digest = write_archive(collect_files(root), archive)
    return archive.read_bytes(), digest


def test_an_archive_depends_on_names_contents_and_executable_bits_alone(tmp_path: Path) -> None:
    files = {"train.py": b"print()", "lib/a.py": b"a", "lib/b.py": b"b"}
    first, second = tmp_path / "first", tmp_path / "second"
    _write(first, files)
    _write(second, dict(reversed(files.items())))
    for number, path in enumerate(sorted(second.rglob("*.py"))):
        os.utime(path, (number, number))
        path.chmod(0o600)
    assert _pack(first, tmp_path / "1") == _pack(second, tmp_path / "2")

    (second / "train.py").chmod(0o755)
    assert _pack(first, tmp_path / "1") != _pack(second, tmp_path / "2")


def test_members_carry_no_owner_and_no_time(tmp_path: Path) -> None:
    _write(tmp_path / "code", {"train.py": b"x"})
    write_archive(collect_files(tmp_path / "code"), tmp_path / "archive")
    with tarfile.open(tmp_path / "archive", "r:gz") as tar:
        (member,) = tar.getmembers()
    assert (member.uid, member.gid, member.uname, member.gname, member.mtime) == (0, 0, "", "", 0)
    assert member.mode == 0o644


def test_caches_and_version_control_are_left_out(tmp_path: Path) -> None:
    _write(
        tmp_path,
        {
            "train.py": b"",
            "__pycache__/train.cpython-311.pyc": b"",
            "old.pyc": b"",
            ".git/config": b"",
            "lib/.ipynb_checkpoints/a.py": b"",
            ".venv/bin/python": b"",
        },
    )
    assert list(collect_files(tmp_path)) == ["train.py"]


def test_links_become_files_and_loops_are_left_out(tmp_path: Path) -> None:
    _write(tmp_path, {"shared/util.py": b"u", "code/train.py": b"t"})
    (tmp_path / "code" / "shared").symlink_to(tmp_path / "shared")
    (tmp_path / "code" / "loop").symlink_to(tmp_path / "code")
    assert list(collect_files(tmp_path / "code")) == ["shared/util.py", "train.py"]


def test_excluded_folders_are_not_entered(tmp_path: Path) -> None:
    _write(tmp_path, {"train.py": b"", "data/big.csv": b""})
    asked = []

    def is_excluded(name: str, is_folder: bool) -> bool:
        asked.append((name, is_folder))
        return name == "data"

    assert list(collect_files(tmp_path, is_excluded=is_excluded)) == ["train.py"]
    assert sorted(asked) == [("data", True), ("train.py", False)]


_NAMES = st.text(string.ascii_letters + "äß -_.é", min_size=1, max_size=120).filter(
    lambda name: name.strip(". ") == name and not name.endswith(".pyc") and len(name.encode()) < 250
)


@given(st.dictionaries(_NAMES, st.binary(max_size=3000), max_size=6))
@settings(max_examples=30, deadline=None)
def test_whatever_goes_in_comes_out(files: dict[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "code"
        root.mkdir()
        # Names that differ only in case are one file on some machines.
        files = {name.lower(): content for name, content in files.items()}
        _write(root, files)
        packed, _ = _pack(root, Path(folder) / "archive")
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(packed))) as tar:
        unpacked = {
            member.name: content.read()
            for member in tar.getmembers()
            if (content := tar.extractfile(member)) is not None
        }
    assert unpacked == files


def test_fails_when_a_file_vanishes(tmp_path: Path) -> None:
    _write(tmp_path / "code", {"train.py": b""})
    files = collect_files(tmp_path / "code")
    (tmp_path / "code" / "train.py").unlink()
    with pytest.raises(FileNotFoundError):
        write_archive(files, tmp_path / "archive")
