"""gzip in bounded memory: reading with every check, writing, and the arithmetic of splicing.

`isal` (Intel's ISA-L) does the work where it is installed, several times faster than zlib; without it the
standard library gives the same results.
"""

import struct
import zlib
from collections.abc import Generator, Iterable, Iterator
from typing import Any, Final, Protocol

from .errors import CorruptArchiveError, DecompressionBombError, NotGzipError, TruncatedArchiveError

try:
    from isal import isal_zlib
except ImportError:
    engine: Any = zlib
else:
    engine = isal_zlib

TRAILER_BYTES: Final = 8
_ERRORS: Final[tuple[type[Exception], ...]] = (zlib.error, engine.error)
_GZIP_WBITS: Final = 31
_RAW_WBITS: Final = -15
_OUTPUT_BYTES: Final = 1024**2
_MAGIC: Final = b"\x1f\x8b\x08"
# Deflate method, no flags, no time, no extra flags, unknown system: the same bytes on every run.
_HEADER: Final = _MAGIC + bytes(6) + b"\xff"
# The ratio of a small archive says nothing: an empty checkpoint of zeros shrinks a thousandfold.
_RATIO_FLOOR: Final = 1024**3


class GunzipStream:
    """An iterable of the uncompressed chunks of a gzip file, each of at most 1 MiB.

    Every checksum and length is verified; when the iteration ends, the file was intact.

    Parameters
    ----------
    blocks : iterable of bytes
        The gzip file, in blocks of any size.
    name : str
        How errors call the file.
    max_bytes : int
        Highest uncompressed size.
    max_ratio : int
        Highest ratio of uncompressed to compressed size, judged from 1 GiB on.

    Attributes
    ----------
    members : int
        Number of gzip members that were begun.
    padded : bool
        True when zero bytes follow the last member.
    compressed, uncompressed : int
        Bytes taken and given so far.
    """

    def __init__(self, blocks: Iterable[bytes], name: str, *, max_bytes: int, max_ratio: int) -> None:
        self._blocks = iter(blocks)
        self._name = name
        self._max_bytes = max_bytes
        self._max_ratio = max_ratio
        self.members = 0
        self.padded = False
        self.compressed = 0
        self.uncompressed = 0

    def __iter__(self) -> Iterator[bytes]:
        block = self._next_block(b"")
        while block:
            while len(block) < len(_MAGIC) and (more := self._next_block(b"")):
                block += more
            if not block.startswith(_MAGIC):
                self._check_padding(block)
                return
            self.members += 1
            try:
                block = yield from self._member(block)
            except _ERRORS as error:
                raise CorruptArchiveError(f"{self._name} is damaged: {error}") from error

    def _next_block(self, end: bytes | None = None) -> bytes:
        block = next(self._blocks, end)
        if block is None:
            raise TruncatedArchiveError(
                f"{self._name} is cut short: its gzip data has no end mark after {self.compressed} bytes"
            )
        self.compressed += len(block)
        return block

    def _member(self, block: bytes) -> Generator[bytes, None, bytes]:
        """Yield what one member holds and return the bytes after it."""
        inflate = engine.decompressobj(wbits=_GZIP_WBITS)
        while True:
            chunk = inflate.decompress(block, _OUTPUT_BYTES)
            if chunk:
                self.uncompressed += len(chunk)
                self._check_bomb()
                yield chunk
            if inflate.eof:
                return inflate.unused_data or self._next_block(b"")
            block = inflate.unconsumed_tail
            # A full chunk may leave output inside the engine although its input is used up.
            if not block and len(chunk) < _OUTPUT_BYTES:
                block = self._next_block()

    def _check_bomb(self) -> None:
        if self.uncompressed > self._max_bytes:
            raise DecompressionBombError(
                f"{self._name} unpacks to more than {self._max_bytes} bytes; raise max_bytes if that is meant"
            )
        if self.uncompressed > _RATIO_FLOOR and self.uncompressed > self.compressed * self._max_ratio:
            raise DecompressionBombError(
                f"{self._name} unpacks to more than {self._max_ratio} times its size; raise max_ratio if "
                "that is meant"
            )

    def _check_padding(self, block: bytes) -> None:
        if not self.members:
            raise NotGzipError(f"{self._name} is not a gzip file: it begins with {block[:4]!r}")
        self.padded = True
        while block:
            if block.count(0) != len(block):
                raise CorruptArchiveError(
                    f"{self._name} has bytes after the end of its gzip data that are not gzip"
                )
            block = self._next_block(b"")


def in_blocks(data: bytes) -> Iterator[bytes]:
    """Yield `data` in blocks: the engine copies what it has not consumed of one, again and again."""
    for start in range(0, len(data), _OUTPUT_BYTES):
        yield data[start : start + _OUTPUT_BYTES]


def header_length(start: bytes | bytearray) -> int | None:
    """Return the number of bytes of a gzip header (RFC 1952), or None when `start` does not hold it all."""
    if len(start) < len(_HEADER):
        return None
    flags = start[3]
    position = len(_HEADER)
    if flags & 4:  # an extra field, with its length in front
        if len(start) < position + 2:
            return None
        position += 2 + int.from_bytes(start[position : position + 2], "little")
    for flag in (8, 16):  # file name, comment: each ends with a zero byte
        if flags & flag:
            end = start.find(b"\0", position)
            if end < 0:
                return None
            position = end + 1
    position += 2 if flags & 2 else 0  # a checksum of the header
    return position if position <= len(start) else None


class Output(Protocol):
    """What bytes can be written to."""

    def write(self, data: bytes | memoryview, /) -> Any:
        """Append `data`."""


class GzipWriter:
    """Compresses to one gzip member, fast and the same on every run.

    Parameters
    ----------
    output : Output
        Where the gzip member goes.
    """

    def __init__(self, output: Output) -> None:
        self._output = output
        self._deflate = engine.compressobj(1, zlib.DEFLATED, _RAW_WBITS)
        self._crc = 0
        self._length = 0
        output.write(_HEADER)

    def write(self, data: bytes | memoryview) -> None:
        """Compress `data`."""
        self._crc = engine.crc32(data, self._crc)
        self._length += len(data)
        compressed = self._deflate.compress(data)
        if compressed:
            self._output.write(compressed)

    def close(self) -> None:
        """Write what is left and the trailer."""
        self._output.write(self._deflate.flush())
        self._output.write(trailer(self._crc, self._length))


def trailer(crc: int, length: int) -> bytes:
    """Return the last eight bytes of a gzip member: the checksum and the length modulo 2**32."""
    return struct.pack("<II", crc, length & 0xFFFFFFFF)


def open_head(data: bytes) -> bytes:
    """Return a gzip header and `data` deflated so that any other deflate stream can follow.

    The full flush ends on a byte boundary and, unlike the end of a stream, lets the reader go on.
    """
    deflate = zlib.compressobj(6, zlib.DEFLATED, _RAW_WBITS)
    return _HEADER + deflate.compress(data) + deflate.flush(zlib.Z_FULL_FLUSH)


def crc32_combine(first: int, second: int, second_length: int) -> int:
    """Return the CRC-32 of two texts one after the other from the CRC-32 of each.

    Parameters
    ----------
    first, second : int
        The checksums.
    second_length : int
        Length of the second text, in bytes.
    """
    # x**(8 * length) modulo the CRC's polynomial, by squaring; bit 31 is x**0 (reflected, as in zlib).
    power, square, length = 1 << 31, 1 << 23, second_length
    while length:
        if length & 1:
            power = _multiply(square, power)
        square = _multiply(square, square)
        length >>= 1
    return _multiply(power, first) ^ second


def _multiply(left: int, right: int) -> int:
    """Multiply two polynomials over GF(2) modulo the CRC-32 polynomial."""
    product = 0
    for bit in range(31, -1, -1):
        if left >> bit & 1:
            product ^= right
        right = right >> 1 ^ (0xEDB88320 if right & 1 else 0)
    return product
