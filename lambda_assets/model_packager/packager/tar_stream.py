"""Reading tar archives of every dialect from a stream, in bounded memory, header bytes kept as they are.

An archive that tools are known to read differently is refused, so that what is checked here is what a
container extracts.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

from .errors import NotTarError, TruncatedArchiveError, UnsafeMemberError

BLOCK: Final = 512
END_OF_ARCHIVE: Final = bytes(2 * BLOCK)

Kind = Literal["file", "directory", "symlink", "hardlink", "global"]
"""`global` is no member: a pax header with remarks on the whole archive."""

SPARSE_TYPE: Final = b"S"
"""The type of GNU tar's old sparse format."""

_KINDS: Final[dict[bytes, Kind]] = {
    b"0": "file",
    b"\0": "file",
    b"7": "file",
    SPARSE_TYPE: "file",
    b"1": "hardlink",
    b"2": "symlink",
    b"5": "directory",
}
_SPECIAL: Final = {b"3": "a character device", b"4": "a block device", b"6": "a named pipe"}
_LONG_FIELDS: Final = {b"L": "path", b"K": "linkpath"}
_PAX_TYPES: Final = (b"x", b"X")
_NAMING: Final = ("path", "linkpath", "size", "GNU.sparse.name")
_OCTAL: Final = re.compile(rb" *([0-7]*)[ \0]*")
_MAX_EXTENDED_HEADER: Final = 8 * 1024**2


@dataclass(frozen=True, slots=True)
class Member:
    """One entry of a tar archive.

    Attributes
    ----------
    name : bytes
        The path without `./` and doubled slashes; empty for the root.
    kind : Kind
        What it is.
    target : bytes
        Where a symlink or hard link points, as written; else empty.
    size : int
        Bytes of data that follow the headers, without padding.
    header : bytes
        Its own header block as read.
    extended : bytes
        The blocks before that one, with long names and pax records, as read.
    sparse_map : bytes
        The blocks after it that GNU tar's old sparse format has, as read.
    pax : tuple of (str, bytes)
        Its pax records in their order.
    """

    name: bytes
    kind: Kind
    target: bytes = b""
    size: int = 0
    header: bytes = b""
    extended: bytes = b""
    sparse_map: bytes = b""
    pax: tuple[tuple[str, bytes], ...] = ()

    @property
    def headers(self) -> bytes:
        """Every header block."""
        return self.extended + self.header + self.sparse_map

    @property
    def sparse(self) -> bool:
        """True when the data is stored without its holes."""
        return self.header[156:157] == SPARSE_TYPE or any(key.startswith("GNU.sparse.") for key, _ in self.pax)

    @property
    def padded_size(self) -> int:
        """Bytes that follow the headers, padding included."""
        return -(-self.size // BLOCK) * BLOCK


class ByteStream:
    """Bytes from an iterable of chunks, taken in pieces of any size.

    Attributes
    ----------
    offset : int
        Bytes taken so far.
    """

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._view = memoryview(b"")
        self.offset = 0

    def views(self, count: int) -> Iterator[memoryview]:
        """Yield the next `count` bytes in pieces, or fewer where the stream ends."""
        while count > 0:
            if not self._view:
                self._view = memoryview(next(self._chunks, b""))
                if not self._view:
                    return
            piece, self._view = self._view[:count], self._view[count:]
            count -= len(piece)
            self.offset += len(piece)
            yield piece

    def read(self, count: int) -> bytes:
        """Return the next `count` bytes, or fewer where the stream ends."""
        if len(self._view) >= count:
            piece, self._view = self._view[:count], self._view[count:]
            self.offset += count
            return bytes(piece)
        return b"".join(self.views(count))


def read_members(stream: ByteStream, archive: str) -> Iterator[Member]:
    """Yield the members of a tar archive; what is not taken of a member's data is passed over.

    Parameters
    ----------
    stream : ByteStream
        The archive. A member's data are its next `padded_size` bytes.
    archive : str
        How errors call the archive.

    Raises
    ------
    NotTarError
        When a header is no tar header, or tools read it differently.
    TruncatedArchiveError
        When the archive ends before its end mark.
    UnsafeMemberError
        For a device, a pipe, an absolute path or a path with `..`.
    """
    reader = _HeaderReader(stream, archive)
    while (member := reader.next_member()) is not None:
        end = stream.offset + member.padded_size
        yield member
        for _ in stream.views(end - stream.offset):
            pass
        if stream.offset < end:
            raise TruncatedArchiveError(f"{archive} is cut short: it ends inside of {show(member.name)}")
    for view in stream.views(2**63):
        if view.tobytes().count(0) != len(view):
            raise NotTarError(f"{archive} has data after the end mark of its tar archive")


def split_name(name: bytes, archive: str) -> bytes:
    """Return a member's path without empty and `.` components.

    Raises
    ------
    UnsafeMemberError
        When the path is absolute or has a `..` component.
    """
    parts = name.split(b"/")
    if name.startswith(b"/") or b".." in parts:
        raise UnsafeMemberError(
            f"{archive} has the member {show(name)}, which would be written outside of its directory: "
            "make the archive with relative paths below the model directory"
        )
    return b"/".join(part for part in parts if part not in (b"", b"."))


def is_under(name: bytes, directory: bytes) -> bool:
    """Return whether `name` is `directory` or lies in it."""
    return name == directory or name.startswith(directory + b"/")


def show(name: bytes) -> str:
    return repr(name.decode("utf-8", "backslashreplace"))


class _HeaderReader:
    """Puts together the header blocks of one member after the other."""

    def __init__(self, stream: ByteStream, archive: str) -> None:
        self._stream = stream
        self._archive = archive

    def next_member(self) -> Member | None:
        """Return the next member, or None at the end mark."""
        extended = bytearray()
        pax: list[tuple[str, bytes]] = []
        names: list[tuple[str, bytes]] = []
        seen: set[bytes] = set()
        while True:
            block = self._stream.read(BLOCK)
            if block.count(0) == BLOCK and not seen:
                return None
            self._check(block)
            kind = block[156:157]
            if kind not in (*_LONG_FIELDS, *_PAX_TYPES, b"g"):
                fields = self._unambiguous(names + [pair for pair in pax if pair[0] in _NAMING])
                return self._member(block, bytes(extended), fields, tuple(pax))
            if kind in seen or (kind == b"g" and seen):
                raise self._broken("has extended headers that do not belong to one member")
            seen.add(kind)
            padded, payload = self._payload(block)
            if kind == b"g":
                if any(key in _NAMING or key.startswith("GNU.sparse.") for key, _ in self._pax_records(payload)):
                    raise self._broken("has a global header that renames or resizes its members")
                return Member(b"", "global", header=block, sparse_map=padded)
            extended += block + padded
            if kind in _LONG_FIELDS:
                names.append((_LONG_FIELDS[kind], payload.split(b"\0", 1)[0]))
            else:
                pax += self._pax_records(payload)

    def _unambiguous(self, pairs: list[tuple[str, bytes]]) -> dict[str, bytes]:
        fields: dict[str, bytes] = {}
        for key, value in pairs:
            if not value or b"\0" in value or fields.setdefault(key, value) != value:
                raise self._broken(f"has an ambiguous {key} for one member")
        return fields

    def _broken(self, what: str) -> NotTarError:
        return NotTarError(f"{self._archive} {what} (near byte {self._stream.offset} of the uncompressed archive)")

    def _check(self, block: bytes) -> None:
        """Raise unless the block is a header whose checksum is right."""
        if len(block) < BLOCK:
            if self._stream.offset == len(block):
                raise self._broken("holds no tar archive")
            raise TruncatedArchiveError(f"{self._archive} is cut short: its tar archive has no end mark")
        stored = number(block[148:156])
        summed = block[:148] + block[156:]
        unsigned = sum(summed) + 8 * ord(" ")
        # Some old tools summed signed bytes.
        if stored != unsigned and stored != unsigned - 256 * sum(byte > 127 for byte in summed):
            first = self._stream.offset == BLOCK
            raise self._broken("holds no tar archive" if first else "has a broken tar header")

    def _payload(self, block: bytes) -> tuple[bytes, bytes]:
        """Return what follows an extended header, with and without padding."""
        size = self._size(block)
        if size > _MAX_EXTENDED_HEADER:
            raise self._broken(f"has an extended header of {size} bytes, at most {_MAX_EXTENDED_HEADER} are read")
        padded = self._stream.read(-(-size // BLOCK) * BLOCK)
        if len(padded) < size:
            raise TruncatedArchiveError(f"{self._archive} is cut short: it ends inside of an extended header")
        return padded, padded[:size]

    def _size(self, block: bytes) -> int:
        size = number(block[124:136])
        if size is None:
            raise self._broken("has a member without a size")
        return size

    def _pax_records(self, payload: bytes) -> list[tuple[str, bytes]]:
        records: list[tuple[str, bytes]] = []
        position = 0
        while position < len(payload) and payload[position]:
            space = payload.find(b" ", position, position + 20)
            digits = payload[position:space] if space > 0 else b""
            end = position + int(digits) if digits.isdigit() else 0
            key, equals, value = payload[space + 1 : end - 1].partition(b"=")
            if not position < space < end <= len(payload) or not equals or payload[end - 1] != ord("\n"):
                raise self._broken("has a malformed pax header")
            records.append((key.decode("utf-8", "backslashreplace"), value))
            position = end
        if payload.count(0, position) != len(payload) - position:
            raise self._broken("has a malformed pax header")
        return records

    def _member(
        self, block: bytes, extended: bytes, fields: dict[str, bytes], pax: tuple[tuple[str, bytes], ...]
    ) -> Member:
        written = fields.get("GNU.sparse.name") or fields.get("path") or self._short_name(block)
        name = split_name(written, self._archive)
        flag = block[156:157]
        kind = _KINDS.get(flag)
        if flag in _SPECIAL:
            raise UnsafeMemberError(
                f"{self._archive} has the member {show(name)}, which is {_SPECIAL[flag]}: a model archive may "
                "hold files, directories and links"
            )
        if kind is None:
            raise self._broken(f"has the member {show(name)} of the unknown type {flag!r}")
        if kind == "file" and written.endswith(b"/"):
            kind = "directory"  # so did tar before there was a type for it
        size = self._size(block)
        if "size" in fields:
            if not fields["size"].isdigit():
                raise self._broken("has a pax header with a malformed size")
            size = int(fields["size"])
        if size and kind != "file":
            raise self._broken(f"has the {kind} {show(name)} with data, which tools read differently")
        if not name and kind != "directory":
            raise self._broken(f"has a {kind} without a name")
        target = b""
        if kind in ("symlink", "hardlink"):
            target = fields.get("linkpath") or block[157:257].split(b"\0", 1)[0]
        sparse_map = self._sparse_map(block) if flag == SPARSE_TYPE else b""
        return Member(name, kind, target, size, block, extended, sparse_map, pax)

    def _short_name(self, block: bytes) -> bytes:
        name = block[:100].split(b"\0", 1)[0]
        prefix = block[345:500].split(b"\0", 1)[0]
        if not prefix or block[156:157] == SPARSE_TYPE:
            return name
        if block[257:263] != b"ustar\0":
            raise self._broken(f"has the member {show(name)} with a prefix that tools read differently")
        return prefix + b"/" + name

    def _sparse_map(self, block: bytes) -> bytes:
        """Return the blocks that go on with a map in GNU tar's old sparse format."""
        blocks = bytearray()
        more = block[482]
        while more:
            extension = self._stream.read(BLOCK)
            if len(extension) < BLOCK or len(blocks) > _MAX_EXTENDED_HEADER:
                raise self._broken("has a sparse member whose map does not end")
            blocks += extension
            more = extension[504]
        return bytes(blocks)


def is_under(name: bytes, directory: bytes) -> bool:
    """Return whether `name` is `directory` or lies in it."""
    return name == directory or name.startswith(directory + b"/")


def show(name: bytes) -> str:
    return repr(name.decode("utf-8", "backslashreplace"))


class _HeaderReader:
    """Puts together the header blocks of one member after the other."""

    def __init__(self, stream: ByteStream, archive: str) -> None:
        self._stream = stream
        self._archive = archive

    def next_member(self) -> Member | None:
        """Return the next member, or None at the end mark."""
        extended = bytearray()
        pax: list[tuple[str, bytes]] = []
        names: list[tuple[str, bytes]] = []
        seen: set[bytes] = set()
        while True:
            block = self._stream.read(BLOCK)
            if block.count(0) == BLOCK and not seen:
                return None
            self._check(block)
            kind = block[156:157]
            if kind not in (*_LONG_FIELDS, *_PAX_TYPES, b"g"):
                fields = self._unambiguous(names + [pair for pair in pax if pair[0] in _NAMING])
                return self._member(block, bytes(extended), fields, tuple(pax))
            if kind in seen or (kind == b"g" and seen):
                raise self._broken("has extended headers that do not belong to one member")
            seen.add(kind)
            padded, payload = self._payload(block)
            if kind == b"g":
                if any(key in _NAMING or key.startswith("GNU.sparse.") for key, _ in self._pax_records(payload)):
                    raise self._broken("has a global header that renames or resizes its members")
                return Member(b"", "global", header=block, sparse_map=padded)
            extended += block + padded
            if kind in _LONG_FIELDS:
                names.append((_LONG_FIELDS[kind], payload.split(b"\0", 1)[0]))
            else:
                pax += self._pax_records(payload)

    def _unambiguous(self, pairs: list[tuple[str, bytes]]) -> dict[str, bytes]:
        fields: dict[str, bytes] = {}
        for key, value in pairs:
            if not value or b"\0" in value or fields.setdefault(key, value) != value:
                raise self._broken(f"has an ambiguous {key} for one member")
        return fields

    def _broken(self, what: str) -> NotTarError:
        return NotTarError(f"{self._archive} {what} (near byte {self._stream.offset} of the uncompressed archive)")

    def _check(self, block: bytes) -> None:
        """Raise unless the block is a header whose checksum is right."""
        if len(block) < BLOCK:
            if self._stream.offset == len(block):
                raise self._broken("holds no tar archive")
            raise TruncatedArchiveError(f"{self._archive} is cut short: its tar archive has no end mark")
        stored = number(block[148:156])
        summed = block[:148] + block[156:]
        unsigned = sum(summed) + 8 * ord(" ")
        # Some old tools summed signed bytes.
        if stored != unsigned and stored != unsigned - 256 * sum(byte > 127 for byte in summed):
            first = self._stream.offset == BLOCK
            raise self._broken("holds no tar archive" if first else "has a broken tar header")

    def _payload(self, block: bytes) -> tuple[bytes, bytes]:
        """Return what follows an extended header, with and without padding."""
        size = self._size(block)
        if size > _MAX_EXTENDED_HEADER:
            raise self._broken(f"has an extended header of {size} bytes, at most {_MAX_EXTENDED_HEADER} are read")
        padded = self._stream.read(-(-size // BLOCK) * BLOCK)
        if len(padded) < size:
            raise TruncatedArchiveError(f"{self._archive} is cut short: it ends inside of an extended header")
        return padded, padded[:size]

    def _size(self, block: bytes) -> int:
        size = number(block[124:136])
        if size is None:
            raise self._broken("has a member without a size")
        return size

    def _pax_records(self, payload: bytes) -> list[tuple[str, bytes]]:
        records: list[tuple[str, bytes]] = []
        position = 0
        while position < len(payload) and payload[position]:
            space = payload.find(b" ", position, position + 20)
            digits = payload[position:space] if space > 0 else b""
            end = position + int(digits) if digits.isdigit() else 0
            key, equals, value = payload[space + 1 : end - 1].partition(b"=")
            if not position < space < end <= len(payload) or not equals or payload[end - 1] != ord("\n"):
                raise self._broken("has a malformed pax header")
            records.append((key.decode("utf-8", "backslashreplace"), value))
            position = end
        if payload.count(0, position) != len(payload) - position:
            raise self._broken("has a malformed pax header")
        return records

    def _member(
        self, block: bytes, extended: bytes, fields: dict[str, bytes], pax: tuple[tuple[str, bytes], ...]
    ) -> Member:
        written = fields.get("GNU.sparse.name") or fields.get("path") or self._short_name(block)
        name = split_name(written, self._archive)
        flag = block[156:157]
        kind = _KINDS.get(flag)
        if flag in _SPECIAL:
            raise UnsafeMemberError(
                f"{self._archive} has the member {show(name)}, which is {_SPECIAL[flag]}: a model archive may "
                "hold files, directories and links"
            )
        if kind is None:
            raise self._broken(f"has the member {show(name)} of the unknown type {flag!r}")
        if kind == "file" and written.endswith(b"/"):
            kind = "directory"  # so did tar before there was a type for it
        size = self._size(block)
        if "size" in fields:
            if not fields["size"].isdigit():
                raise self._broken("has a pax header with a malformed size")
            size = int(fields["size"])
        if size and kind != "file":
            raise self._broken(f"has the {kind} {show(name)} with data, which tools read differently")
        if not name and kind != "directory":
            raise self._broken(f"has a {kind} without a name")
        target = b""
        if kind in ("symlink", "hardlink"):
            target = fields.get("linkpath") or block[157:257].split(b"\0", 1)[0]
        sparse_map = self._sparse_map(block) if flag == SPARSE_TYPE else b""
        return Member(name, kind, target, size, block, extended, sparse_map, pax)

    def _short_name(self, block: bytes) -> bytes:
        name = block[:100].split(b"\0", 1)[0]
        prefix = block[345:500].split(b"\0", 1)[0]
        if not prefix or block[156:157] == SPARSE_TYPE:
            return name
        if block[257:263] != b"ustar\0":
            raise self._broken(f"has the member {show(name)} with a prefix that tools read differently")
        return prefix + b"/" + name

    def _sparse_extensions(self, block: bytes) -> bytes:
        extensions = bytearray()
        more = block[482]
        while more:
            extension = self._stream.read(BLOCK)
            if len(extension) < BLOCK or len(extensions) > _MAX_EXTENDED_HEADER:
                raise self._broken("has a sparse member whose map does not end")
            extensions += extension
            more = extension[504]
        return bytes(extensions)


def is_under(name: bytes, directory: bytes) -> bool:
    """Return whether `name` is `directory` or lies in it."""
    return name == directory or name.startswith(directory + b"/")


def show(name: bytes) -> str:
    """Return a member's name as errors quote it."""
    return repr(name.decode("utf-8", "backslashreplace"))


def number(field: bytes) -> int | None:
    """Return the number in a header field, octal or GNU tar's binary; None if it is neither, or negative."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    match = _OCTAL.fullmatch(field)
    return int(match[1] or b"0", 8) if match else None
