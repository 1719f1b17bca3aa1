"""Reading tar archives of every dialect from a stream, in bounded memory.

An archive that tools are known to read differently is refused, so that what is checked here is what a
container extracts.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from .errors import NotTarError, TruncatedArchiveError, UnsafeMemberError
from .tar_member import BLOCK, SPARSE_TYPE, Kind, Member, clean_name, is_sparse_key, number, show

END_OF_ARCHIVE: Final = bytes(2 * BLOCK)

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
_GLOBAL_TYPE: Final = b"g"
_NAMING: Final = ("path", "linkpath", "size", "GNU.sparse.name")
_MAX_EXTENDED_BYTES: Final = 8 * 1024**2
_TIME: Final = 136
_NEGATIVE: Final = 0xFF
# Bounds and limit of mode, user, group, time and device numbers: at one that it cannot read, a tool may take
# the archive to be at its end.
_NUMBERS: Final = (
    (100, 108, 2**32),
    (108, 116, 2**32),
    (116, 124, 2**32),
    (_TIME, 148, 2**63),
    (329, 337, 2**32),
    (337, 345, 2**32),
)
_NO_LIMIT: Final = 2**63


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
    for view in stream.views(_NO_LIMIT):
        if view.tobytes().count(0) != len(view):
            raise NotTarError(f"{archive} has data after the end mark of its tar archive")


class _HeaderReader:
    """Puts together the header blocks of one member after the other."""

    def __init__(self, stream: ByteStream, archive: str) -> None:
        self._stream = stream
        self._archive = archive
        self._after_global = False

    def next_member(self) -> Member | None:
        """Return the next member, or None at the end mark."""
        before = bytearray()
        pax: list[tuple[str, bytes]] = []
        names: list[tuple[str, bytes]] = []
        seen: set[bytes] = set()
        while True:
            block = self._stream.read(BLOCK)
            if block.count(0) == BLOCK and not seen and not self._after_global:
                return None
            self._check(block)
            kind = block[156:157]
            self._after_global = kind == _GLOBAL_TYPE
            if kind not in _LONG_FIELDS and kind not in _PAX_TYPES and kind != _GLOBAL_TYPE:
                names += (pair for pair in pax if pair[0] in _NAMING)
                return self._member(block, bytes(before), self._unambiguous(names), tuple(pax))
            if kind in seen or (kind == _GLOBAL_TYPE and seen):
                raise self._broken("has extended headers that do not belong to one member")
            seen.add(kind)
            padded, payload = self._payload(block)
            if kind == _GLOBAL_TYPE:
                if any(key in _NAMING or is_sparse_key(key) for key, _ in self._pax_records(payload)):
                    raise self._broken("has a global header that renames or resizes its members")
                return Member(b"", "global", header=block, after=padded)
            before += block + padded
            if kind in _LONG_FIELDS:
                names.append((_LONG_FIELDS[kind], payload.split(b"\0", 1)[0]))
            else:
                pax += self._pax_records(payload)

    def _broken(self, what: str) -> NotTarError:
        return NotTarError(f"{self._archive} {what} (before byte {self._stream.offset}, uncompressed)")

    def _check(self, block: bytes) -> None:
        """Raise unless the block is a header whose checksum is right."""
        first = self._stream.offset == len(block)
        if len(block) < BLOCK:
            if first:
                raise self._broken("holds no tar archive")
            raise TruncatedArchiveError(f"{self._archive} is cut short: its tar archive has no end mark")
        summed = block[:148] + block[156:]
        unsigned = sum(summed) + 8 * ord(" ")
        stored = number(block[148:156])
        # Some old tools summed signed bytes.
        if stored != unsigned and stored != unsigned - 256 * sum(byte > 127 for byte in summed):
            raise self._broken("holds no tar archive" if first else "has a broken tar header")
        for start, end, limit in _NUMBERS:
            value = number(block[start:end])
            if value is None and (start, block[start]) == (_TIME, _NEGATIVE):
                continue
            if value is None or value >= limit:
                raise self._broken("has a tar header with a malformed number")

    def _payload(self, block: bytes) -> tuple[bytes, bytes]:
        """Return what follows an extended header, with and without padding."""
        size = self._size(block)
        if size > _MAX_EXTENDED_BYTES:
            raise self._broken(
                f"has an extended header of {size} bytes, at most {_MAX_EXTENDED_BYTES} are read"
            )
        padded = self._stream.read(-(-size // BLOCK) * BLOCK)
        if len(padded) < size:
            raise TruncatedArchiveError(f"{self._archive} is cut short: it ends inside of an extended header")
        if padded.count(0, size) != len(padded) - size:
            raise self._broken("has an extended header that goes on after its end")
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

    def _unambiguous(self, pairs: list[tuple[str, bytes]]) -> dict[str, bytes]:
        """Return the fields that name and measure a member; what is said twice must be said alike."""
        fields: dict[str, bytes] = {}
        for key, value in pairs:
            if not value or b"\0" in value or fields.setdefault(key, value) != value:
                raise self._broken(f"has a member with an ambiguous {key}")
        return fields

    def _member(
        self, block: bytes, before: bytes, fields: dict[str, bytes], pax: tuple[tuple[str, bytes], ...]
    ) -> Member:
        written = fields.get("GNU.sparse.name") or fields.get("path") or self._short_name(block)
        name = clean_name(written, self._archive)
        flag = block[156:157]
        kind = _KINDS.get(flag)
        if flag in _SPECIAL:
            raise UnsafeMemberError(
                f"{self._archive} has the member {show(name)}, which is {_SPECIAL[flag]}: archives may hold "
                "files, directories and links"
            )
        if kind is None:
            raise self._broken(f"has the member {show(name)} of the unknown type {flag!r}")
        if kind == "file" and written.endswith(b"/"):
            if flag != b"\0" or "path" in fields:
                raise self._broken(f"has {show(written)}, to some tools a file, to others a directory")
            kind = "directory"  # as tar wrote it before there was a type for it
        if not name and kind != "directory":
            raise self._broken(f"has a {kind} without a name")
        size = int(fields["size"]) if fields.get("size", b"").isdigit() else self._size(block)
        if ("size" in fields and not fields["size"].isdigit()) or (size and kind != "file"):
            raise self._broken(f"has the {kind} {show(name)} of a size that tools read differently")
        target = b""
        if kind in ("symlink", "hardlink"):
            target = fields.get("linkpath") or block[157:257].split(b"\0", 1)[0]
        after = self._sparse_map(block) if flag == SPARSE_TYPE else b""
        return Member(name, kind, target, size, block, before, after, pax)

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
            if len(extension) < BLOCK or len(blocks) > _MAX_EXTENDED_BYTES:
                raise self._broken("has a sparse member whose map does not end")
            blocks += extension
            more = extension[504]
        return bytes(blocks)
