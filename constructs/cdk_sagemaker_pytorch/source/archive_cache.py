"""Keeps packed archives in a folder of the user's, so that unchanged files are not packed twice.

Files count as unchanged by what the file system says of them: nothing is read. Plain Python: nothing
here knows the CDK.
"""

import contextlib
import hashlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from . import source_archive

__all__ = ["CACHE_VARIABLE", "FileState", "archive_key", "file_states", "pack", "user_caches"]

CACHE_VARIABLE = "CDK_SAGEMAKER_PYTORCH_CACHE"
"""Environment variable that names another folder for the library's caches; empty, no archives are kept."""

# A file that was written so recently could change again without its times changing: FAT counts in
# steps of two seconds.
_SETTLED_NANOSECONDS = 2_100_000_000
_LONGEST_UNUSED_SECONDS = 30 * 24 * 3600
_MOST_BYTES = 1024**3
_HEX_DIGEST_LENGTH = 64
_SUFFIX = ".archive"


class FileState(NamedTuple):
    """What the file system says of a file that goes into an archive.

    Attributes
    ----------
    name : str
        Path inside the archive.
    size : int
        In bytes.
    is_executable : bool
        Whether anybody may execute it.
    device, inode : int
        Which file it is.
    mtime_ns, ctime_ns : int
        When its content, and anything about it, changed.
    """

    name: str
    size: int
    is_executable: bool
    device: int
    inode: int
    mtime_ns: int
    ctime_ns: int


def file_states(files: Mapping[str, str]) -> list[FileState]:
    """Look at files, without reading them.

    Parameters
    ----------
    files : Mapping of str to str
        Path inside the archive to the file's own path.

    Raises
    ------
    FileNotFoundError
        When one is missing.
    """
    states = []
    for name, path in files.items():
        status = os.stat(path)
        states.append(
            FileState(
                name,
                status.st_size,
                bool(status.st_mode & 0o111),
                status.st_dev,
                status.st_ino,
                status.st_mtime_ns,
                status.st_ctime_ns,
            )
        )
    return states


def archive_key(states: Iterable[FileState]) -> str:
    """Name what packing files in these states makes: SHA-256 in hex."""
    known = hashlib.sha256(_packer())
    known.update(repr(sorted(tuple(state) for state in states)).encode("utf-8", "surrogateescape"))
    return known.hexdigest()


@cache
def _packer() -> bytes:
    """Read what packs, so that nothing that an older version of the library packed is taken for its own."""
    return Path(source_archive.__file__).read_bytes()


def pack(files: Mapping[str, str], states: Sequence[FileState], archive: Path) -> str:
    """Write files into an archive as `source_archive.write_archive` does, or copy what it wrote before.

    Parameters
    ----------
    files : Mapping of str to str
        Path inside the archive to the file's own path.
    states : sequence of FileState
        What `file_states` says of them now.
    archive : Path
        Where to write.

    Returns
    -------
    str
        SHA-256 of the uncompressed content, in hex.
    """
    folder = _cache_folder()
    if folder is None:
        return source_archive.write_archive(files, archive)
    entry = folder / f"{archive_key(states)}{_SUFFIX}"
    digest = _fetch(entry, archive)
    if digest is None:
        settled_before = time.time_ns() - _SETTLED_NANOSECONDS
        digest = source_archive.write_archive(files, archive)
        is_settled = all(max(state.mtime_ns, state.ctime_ns) < settled_before for state in states)
        if is_settled and file_states(files) == states:
            _store(entry, archive, digest)
    return digest


def _cache_folder() -> Path | None:
    """Find the folder and make it if need be; None where archives cannot be kept, or not safely."""
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen == "":
        return None
    try:
        folder = (Path(chosen) if chosen else user_caches() / "cdk-sagemaker-pytorch") / "source-archives"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder if _is_private(folder) else None
    except (OSError, RuntimeError):  # RuntimeError: the user has no home
        return None


def user_caches() -> Path:
    """Find the folder that the system keeps for caches of the user."""
    if chosen := os.environ.get("XDG_CACHE_HOME"):
        return Path(chosen)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path.home() / ".cache"


def _is_private(folder: Path) -> bool:
    """Whether nobody else can put code there, which would be deployed."""
    if sys.platform == "win32":
        return True  # by inheritance: a user's folders are closed to others
    status = folder.stat()
    return status.st_uid == os.getuid() and not status.st_mode & 0o022


# An entry is the digest of the content, the digest of that and the archive, and the archive.


def _fetch(entry: Path, archive: Path) -> str | None:
    """Copy an archive out of the cache; None if it is not there or broken."""
    try:
        with entry.open("rb") as kept, archive.open("wb") as copy:
            digest, check = kept.read(_HEX_DIGEST_LENGTH), kept.read(_HEX_DIGEST_LENGTH)
            shutil.copyfileobj(kept, copy)
        if check != _check(digest, archive):
            return None
        os.utime(entry)  # it is in use: see _prune
    except OSError:
        return None
    return digest.decode()


def _store(entry: Path, archive: Path, digest: str) -> None:
    """Copy an archive into the cache, at once or not at all."""
    with contextlib.suppress(OSError):  # such as a full disk: then it is packed anew next time
        descriptor, fresh = tempfile.mkstemp(_SUFFIX, dir=entry.parent)
        try:
            with open(descriptor, "wb") as kept, archive.open("rb") as packed:
                kept.write(digest.encode() + _check(digest.encode(), archive))
                shutil.copyfileobj(packed, kept)
            os.replace(fresh, entry)
        finally:
            Path(fresh).unlink(missing_ok=True)
        _prune(entry.parent)


def _check(digest: bytes, archive: Path) -> bytes:
    with archive.open("rb") as content:
        return hashlib.file_digest(content, lambda: hashlib.sha256(digest)).hexdigest().encode()


def _prune(folder: Path) -> None:
    """Remove what was not used for long, and the longest unused of what is too much."""
    kept = [(entry.stat().st_mtime, entry.stat().st_size, entry) for entry in folder.glob(f"*{_SUFFIX}")]
    total = 0
    for used, size, entry in sorted(kept, reverse=True):
        total += size
        if total > _MOST_BYTES or used < time.time() - _LONGEST_UNUSED_SECONDS:
            entry.unlink()
