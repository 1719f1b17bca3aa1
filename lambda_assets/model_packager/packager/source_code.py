"""The archive of the source code: read whole, checked, and made into the entries of `code/`."""

import io
import tarfile
from dataclasses import dataclass
from typing import Final

from .errors import (
    DecompressionBombError,
    EntryPointMissingError,
    NotTarError,
    RequirementsNotSupportedError,
)
from .gzip_stream import GunzipStream, in_blocks
from .links import LinkGuard
from .request import PackagingRequest, S3Uri
from .storage import Storage
from .tar_member import Member, clean_name, show
from .tar_stream import ByteStream, read_members

CODE: Final = b"code"
"""The directory of the code in a model."""

_SHOWN_NAMES: Final = 10
_Infos = dict[bytes, tuple[tarfile.TarInfo, bytes]]


@dataclass(frozen=True)
class SourceCode:
    """Checked source code.

    Attributes
    ----------
    archive : bytes
        The tar.gz as it was read.
    entries : bytes
        Tar headers and data of everything in it, below `code/`, without an end mark; the same bytes for the
        same files.
    links : tuple of Member
        The symlinks among them, with names below `code/`.
    top_names : frozenset of bytes
        The names of files and directories that lie directly in `code/`.
    keeps : bool
        Whether other files of the model's own `code/` stay.
    """

    archive: bytes
    entries: bytes
    links: tuple[Member, ...]
    top_names: frozenset[bytes]
    keeps: bool = False

    def replaces(self, name: bytes) -> bool:
        """Return whether a member in the model's own `code/` gives way."""
        return not self.keeps or name == CODE or name[len(CODE) + 1 :].split(b"/")[0] in self.top_names


def read_source_code(storage: Storage, request: PackagingRequest) -> SourceCode | None:
    """Return the source code of a request, with the handlers beside it; None where it has neither.

    Raises
    ------
    ModelPackagerError
        When it cannot be read, is broken, too large or unsafe, lacks the entry point at its top level, or has
        a requirements.txt that the container would ignore.
    """
    if request.source_code is None and request.handlers is None:
        return None
    archive = b""
    infos: _Infos = {}
    if request.source_code is not None:
        archive, infos = _read(storage, request, request.source_code)
        _check(infos, request, str(request.source_code))
    if request.handlers is not None:
        infos |= _read(storage, request, request.handlers)[1]
    links = tuple(
        Member(b"code/" + path, "symlink", _bytes(info.linkname))
        for path, (info, _) in infos.items()
        if info.issym()
    )
    names = frozenset(path.split(b"/")[0] for path in infos)
    return SourceCode(archive, _entries(infos), links, names, request.keep_code)


def _read(storage: Storage, request: PackagingRequest, place: S3Uri) -> tuple[bytes, _Infos]:
    """Return an archive as it lies in S3, and what it holds."""
    stored = storage.head(place)
    if stored.size > request.max_source_bytes:
        raise DecompressionBombError(
            f"{place} has {stored.size} bytes, source code may have {request.max_source_bytes}: move data "
            "and models out of it, or raise max_source_bytes"
        )
    archive = b"".join(storage.blocks(stored))
    name = str(place)
    gunzip = GunzipStream(
        in_blocks(archive), name, max_bytes=request.max_source_bytes, max_ratio=request.max_source_bytes
    )
    plain = b"".join(gunzip)
    guard = LinkGuard(name)
    for member in read_members(ByteStream([plain]), name):
        guard.check(member)
    guard.finish()
    try:
        return archive, _members(plain, name, request.max_source_bytes)
    except (tarfile.TarError, ValueError, KeyError) as error:
        raise NotTarError(f"{name} cannot be read: {error}") from error


def _members(plain: bytes, name: str, max_bytes: int) -> _Infos:
    """Return header and data by path; of two members with one path the later one counts.

    What sparse members and hard links expand to is bounded too: it may be many times the archive.
    """
    infos: _Infos = {}
    left = max_bytes
    file = io.BytesIO(plain)
    with tarfile.open(fileobj=file, mode="r:", encoding="utf-8", errors="surrogateescape") as tar:
        for info in tar:
            path = clean_name(_bytes(info.name), name)
            if not path:
                continue
            content = tar.extractfile(info) if info.isfile() or info.islnk() else None
            data = content.read(left + 1) if content else b""
            left -= len(data)
            if left < 0:
                raise DecompressionBombError(
                    f"{name} expands to more than {max_bytes} bytes with {show(path)}, a sparse file or a"
                    " hard link: leave data out of the source code, or raise max_source_bytes"
                )
            infos[path] = (info, data)
    return infos


def _check(infos: _Infos, request: PackagingRequest, name: str) -> None:
    found = infos.get(_bytes(request.entry_point))
    if found is None or found[0].isdir():
        names = sorted(path.decode("utf-8", "backslashreplace") for path in infos)
        deeper = [path for path in names if path.endswith("/" + request.entry_point)]
        hint = (
            f"it is at {deeper[0]}" if deeper else f"it holds {', '.join(names[:_SHOWN_NAMES]) or 'nothing'}"
        )
        raise EntryPointMissingError(
            f"{name} has no entry point {request.entry_point!r} at its top level; {hint}"
        )
    if b"requirements.txt" in infos and request.requirements_ignored:
        version = ".".join(map(str, request.framework_version))
        raise RequirementsNotSupportedError(
            f"{name} has a requirements.txt, which the container of PyTorch {version} does not install for "
            "inference: use framework_version 1.3.1 or newer, or put the packages into the source code"
        )


def _entries(infos: _Infos) -> bytes:
    directories = {b"code"}
    for path, (info, _) in infos.items():
        parents = path.split(b"/")[: None if info.isdir() else -1]
        directories |= {b"/".join([b"code", *parents[:depth]]) for depth in range(1, len(parents) + 1)}
    paths = {path: (_header(path, tarfile.DIRTYPE, 0o755), b"") for path in directories}
    for path, (info, data) in infos.items():
        full = b"code/" + path
        if info.issym():
            paths[full] = (_header(full, tarfile.SYMTYPE, 0o777, target=info.linkname), b"")
        elif not info.isdir():
            mode = 0o755 if info.mode & 0o111 else 0o644
            padding = bytes(-len(data) % tarfile.BLOCKSIZE)
            paths[full] = (_header(full, tarfile.REGTYPE, mode, size=len(data)), data + padding)
    return b"".join(part for _, entry in sorted(paths.items()) for part in entry)


def _header(path: bytes, kind: bytes, mode: int, *, size: int = 0, target: str = "") -> bytes:
    info = tarfile.TarInfo(path.decode("utf-8", "surrogateescape"))
    info.type, info.mode, info.size, info.linkname = kind, mode, size, target
    return info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
