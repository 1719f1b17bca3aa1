"""What a tar archive holds: members, their names, the numbers in their headers."""

import re
from dataclasses import dataclass
from typing import Final, Literal

from .errors import UnsafeMemberError

BLOCK: Final = 512
SPARSE_TYPE: Final = b"S"
"""The type of GNU tar's old sparse format."""

Kind = Literal["file", "directory", "symlink", "hardlink", "global"]
"""`global` is no member: a pax header with remarks on the whole archive."""

_OCTAL: Final = re.compile(rb" *([0-7]*)[ \0]*")


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
    before, after : bytes
        The other header blocks as read: those with long names and pax records before it; after it, those with
        the rest of a map in GNU tar's old sparse format.
    pax : tuple of (str, bytes)
        Its pax records in their order.
    """

    name: bytes
    kind: Kind
    target: bytes = b""
    size: int = 0
    header: bytes = b""
    before: bytes = b""
    after: bytes = b""
    pax: tuple[tuple[str, bytes], ...] = ()

    @property
    def headers(self) -> bytes:
        """Every header block."""
        return self.before + self.header + self.after

    @property
    def padded_size(self) -> int:
        """Bytes that follow the headers, padding included."""
        return -(-self.size // BLOCK) * BLOCK

    @property
    def sparse(self) -> bool:
        """True when the data is stored without its holes."""
        return self.header[156:157] == SPARSE_TYPE or any(is_sparse_key(key) for key, _ in self.pax)


def is_sparse_key(key: str) -> bool:
    """Return whether a pax record describes a sparse member."""
    return key.startswith("GNU.sparse.")


def clean_name(name: bytes, archive: str) -> bytes:
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


def number(field: bytes) -> int | None:
    """Return the number in a header field, octal or GNU tar's binary; None if it is neither, or negative."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    match = _OCTAL.fullmatch(field)
    return int(match[1] or b"0", 8) if match else None


def show(name: bytes) -> str:
    """Return a member's name as errors quote it."""
    return repr(name.decode("utf-8", "backslashreplace"))
