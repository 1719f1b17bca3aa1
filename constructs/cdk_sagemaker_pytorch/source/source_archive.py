"""Packs source code into a tar.gz: the same bytes for the same files, wherever and whenever.

Plain Python: nothing here knows the CDK.
"""

import hashlib
import os
import tarfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Protocol, cast

__all__ = ["ALWAYS_EXCLUDED", "collect_files", "write_archive"]

# What editors, version control, Python and other systems leave in a folder of scripts.
ALWAYS_EXCLUDED = frozenset(
    {
        ".DS_Store",
        "Thumbs.db",
        "__MACOSX",
        "desktop.ini",
        ".git",
        ".hg",
        ".idea",
        ".ipynb_checkpoints",
        ".mypy_cache",
        ".pytest_cache",
        ".ruff_cache",
        ".svn",
        ".venv",
        ".vscode",
        "__pycache__",
    }
)

# RFC 1952: deflate, no flags, no time, unknown operating system.
_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"


def collect_files(
    folder: Path, *, is_excluded: Callable[[str, bool], bool] = lambda name, is_folder: False
) -> dict[str, str]:
    """Files below a folder, by their path inside it.

    Links are followed, so that the archive stands on its own; a link to one of its own parent
    folders is left out.

    Parameters
    ----------
    folder : Path
        The folder.
    is_excluded : callable, optional
        Says of a slash-separated relative path, and of whether it is a folder, if it is left out,
        besides `ALWAYS_EXCLUDED`, ``*.pyc`` and ``._*``; a folder that is left out is not entered. Defaults
        to none.

    Returns
    -------
    dict of str to str
        Slash-separated relative path to the file's own path, sorted.
    """
    found: dict[str, str] = {}
    pending = [("", str(folder), frozenset({_identity(folder)}))]
    while pending:
        prefix, current, parents = pending.pop()
        with os.scandir(current) as entries:
            for entry in entries:
                name = prefix + entry.name
                is_folder = entry.is_dir()
                if entry.name in ALWAYS_EXCLUDED or entry.name.endswith(".pyc"):
                    continue
                if entry.name.startswith("._"):  # what macOS keeps of a file elsewhere, under its name
                    continue
                if is_excluded(name, is_folder):
                    continue
                if is_folder:
                    identity = _identity(entry.path)
                    if identity not in parents:
                        pending.append((f"{name}/", entry.path, parents | {identity}))
                elif entry.is_file():
                    found[name] = entry.path
    return dict(sorted(found.items()))


def _identity(folder: str | Path) -> tuple[int, int]:
    """Tell folders apart, by whatever path they are reached."""
    status = os.stat(folder)
    return status.st_dev, status.st_ino


def write_archive(files: Mapping[str, str], archive: Path) -> str:
    """Write files into a tar.gz with nothing in it but their names, contents and executable bits.

    Names are sorted, times and owners are zero.

    Parameters
    ----------
    files : Mapping of str to str
        Path inside the archive to the file's own path.
    archive : Path
        Where to write.

    Returns
    -------
    str
        SHA-256 of the uncompressed content, in hex: it is the same also where another zlib
        compresses to other bytes.
    """
    with archive.open("wb") as raw:
        stream = _DeterministicGzip(raw)
        # A streaming TarFile needs nothing of its file but write().
        with tarfile.open(fileobj=cast("BinaryIO", stream), mode="w|", format=tarfile.PAX_FORMAT) as tar:
            for name in sorted(files):
                _add(tar, name, files[name])
        stream.close()
    return stream.digest


def _add(tar: tarfile.TarFile, name: str, path: str) -> None:
    member = tarfile.TarInfo(PurePosixPath(name).as_posix())
    status = os.stat(path)
    member.size = status.st_size
    member.mode = 0o755 if status.st_mode & 0o111 else 0o644
    with open(path, "rb") as content:
        tar.addfile(member, content)


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...
    def hexdigest(self) -> str: ...


class _DeterministicGzip:
    """A write-only gzip stream: `gzip.GzipFile` writes headers that differ between Pythons."""

    def __init__(self, raw: BinaryIO) -> None:
        self._raw = raw
        self._deflate = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
        self._hash: _Hash = hashlib.sha256()
        self._crc = 0
        self._size = 0
        raw.write(_GZIP_HEADER)

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()

    def write(self, data: bytes) -> int:
        self._hash.update(data)
        self._crc = zlib.crc32(data, self._crc)
        self._size += len(data)
        self._raw.write(self._deflate.compress(data))
        return len(data)

    def close(self) -> None:
        self._raw.write(self._deflate.flush())
        self._raw.write(self._crc.to_bytes(4, "little") + (self._size % 2**32).to_bytes(4, "little"))
