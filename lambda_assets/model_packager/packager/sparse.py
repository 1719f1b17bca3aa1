"""Sparse members written out in full, since not every tool reads them."""

import tarfile
from itertools import pairwise
from typing import Final

from .errors import DecompressionBombError, NotTarError
from .gzip_stream import Output
from .tar_member import BLOCK, SPARSE_TYPE, Member, number, show
from .tar_stream import ByteStream

_MAX_SECTIONS: Final = 1_000_000
_NUMBER_BYTES: Final = 12
_ZEROS: Final = bytes(256 * 1024)

Section = tuple[int, int]
"""Where a piece of data lies in the file, and its length, in bytes."""


def write_expanded(member: Member, stream: ByteStream, output: Output, max_bytes: int, archive: str) -> int:
    """Write a sparse member as an ordinary one, its holes as zeros, and return its size.

    Parameters
    ----------
    member : Member
        The member; its data come next in `stream`.
    stream : ByteStream
        The archive.
    output : Output
        Where the member goes.
    max_bytes : int
        The largest file that may come out.
    archive : str
        How errors call the archive.

    Raises
    ------
    NotTarError
        When the map of the member makes no sense.
    DecompressionBombError
        When the file is larger than `max_bytes`.
    """
    begin = stream.offset
    try:
        size, sections = _read_map(member, stream)
        header = _header(member, size)
    except (ValueError, KeyError, tarfile.TarError) as error:
        raise NotTarError(f"{archive} has the sparse member {show(member.name)} with a broken map") from error
    if size > max_bytes:
        raise DecompressionBombError(
            f"{archive} has the sparse member {show(member.name)} of {size} bytes, at most {max_bytes} more "
            "are allowed; raise max_bytes if that is meant"
        )
    stored = member.size - (stream.offset - begin)
    _check(member, size, sections, stored, archive)
    output.write(header)
    end = 0
    for offset, count in sections:
        _write_hole(offset - end, output)
        for view in stream.views(count):
            output.write(view)
        end = offset + count
    _write_hole(size - end + -size % BLOCK, output)
    return size


def _read_map(member: Member, stream: ByteStream) -> tuple[int, list[Section]]:
    """Return the file's size and its sections; takes the map of pax format 1.0 from the stream."""
    if member.header[156:157] == SPARSE_TYPE:
        size = number(member.header[483:495])
        if size is None:
            raise ValueError("no size")
        return size, _old_map(member)
    records = dict(member.pax)
    size = int(records.get("GNU.sparse.realsize") or records["GNU.sparse.size"])
    if records.get("GNU.sparse.major") == b"1":
        numbers = _map_before_data(member, stream)
    elif "GNU.sparse.map" in records:
        numbers = [int(text) for text in records["GNU.sparse.map"].split(b",") if text]
    else:
        keys = ("GNU.sparse.offset", "GNU.sparse.numbytes")
        numbers = [int(value) for key, value in member.pax if key in keys]
    return size, list(zip(numbers[::2], numbers[1::2], strict=True))


def _old_map(member: Member) -> list[Section]:
    fields = member.header[386:482]
    for start in range(0, len(member.after), BLOCK):
        fields += member.after[start : start + 504]
    numbers = [
        number(fields[start : start + _NUMBER_BYTES]) for start in range(0, len(fields), _NUMBER_BYTES)
    ]
    return [
        (offset, count)
        for offset, count in zip(numbers[::2], numbers[1::2], strict=True)
        if offset is not None and count
    ]


def _map_before_data(member: Member, stream: ByteStream) -> list[int]:
    """Return the numbers of a map that lies in front of the data, filled up to whole blocks."""
    text = bytearray()
    lines, wanted = 0, 0
    while not wanted or lines < wanted:
        block = stream.read(BLOCK)
        text += block
        lines += block.count(b"\n")
        if lines and not wanted:
            wanted = 1 + 2 * int(text[: text.index(b"\n")])
        if not block or len(text) > member.size or wanted > 2 * _MAX_SECTIONS:
            raise ValueError("the map does not end")
    return [int(line) for line in text.split(b"\n")[1:wanted]]


def _check(member: Member, size: int, sections: list[Section], stored: int, archive: str) -> None:
    bounds = [(0, 0), *sections, (size, 0)]
    in_order = all(offset + count <= after for (offset, count), (after, _) in pairwise(bounds))
    if not in_order or min(map(min, bounds)) < 0 or sum(count for _, count in sections) != stored:
        raise NotTarError(f"{archive} has the sparse member {show(member.name)} with a map that does not fit")


def _header(member: Member, size: int) -> bytes:
    info = tarfile.TarInfo.frombuf(member.header, "utf-8", "surrogateescape")
    info.name = member.name.decode("utf-8", "surrogateescape")
    info.type = tarfile.REGTYPE
    info.size = size
    return info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")


def _write_hole(count: int, output: Output) -> None:
    while count > 0:
        output.write(_ZEROS[:count])
        count -= len(_ZEROS)
