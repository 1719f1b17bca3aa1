import gzip
import io
import os
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packager.errors import (
    CorruptArchiveError,
    DecompressionBombError,
    ModelPackagerError,
    NotGzipError,
    TruncatedArchiveError,
)
from packager.gzip_stream import GunzipStream, GzipWriter, crc32_combine, header_length, open_head, trailer

pytestmark = pytest.mark.usefixtures("engine")

TEXT = b"".join(b"line %d\n" % number for number in range(5000))


def gunzip(*blocks, max_bytes=2**40, max_ratio=1000):
    return GunzipStream(blocks, "s3://bucket/model.tar.gz", max_bytes=max_bytes, max_ratio=max_ratio)


def cut(data, size):
    return [data[start : start + size] for start in range(0, len(data), size)]


@given(data=st.binary(max_size=2000), size=st.integers(1, 100), repeats=st.integers(1, 50))
def test_reading_in_any_blocks_gives_the_content(data, size, repeats):
    stream = gunzip(*cut(gzip.compress(data * repeats), size))
    assert b"".join(stream) == data * repeats
    assert (stream.members, stream.padded) == (1, False)
    assert stream.uncompressed == len(data) * repeats


def test_output_is_given_in_small_pieces():
    assert max(map(len, gunzip(gzip.compress(bytes(10**7))))) <= 1024**2


@pytest.mark.parametrize("size", [1, 7, 10**6])
def test_members_and_padding_are_counted(size):
    data = gzip.compress(b"one") + gzip.compress(b"two") + bytes(700)
    stream = gunzip(*cut(data, size))
    assert b"".join(stream) == b"onetwo"
    assert (stream.members, stream.padded) == (2, True)


@pytest.mark.parametrize("data", [b"PK\x03\x04", b"\x1f", b"\x1f\x8b", b"BZh91AY", bytes(100)])
def test_fails_when_not_gzip(data):
    with pytest.raises(NotGzipError, match=r"s3://bucket/model.tar.gz is not a gzip file"):
        list(gunzip(data))


@given(st.integers(3, len(gzip.compress(TEXT)) - 1))
def test_fails_when_cut_anywhere(length):
    with pytest.raises(TruncatedArchiveError, match="is cut short"):
        list(gunzip(gzip.compress(TEXT)[:length]))


@given(st.integers(0, 8 * len(gzip.compress(TEXT)) - 1))
def test_a_flipped_bit_is_noticed_or_without_effect(bit):
    data = bytearray(gzip.compress(TEXT, mtime=0))
    data[bit // 8] ^= 1 << bit % 8
    try:
        found = b"".join(gunzip(bytes(data)))
    except ModelPackagerError:
        return
    # Time, extra flags and system of the header mean nothing to the content.
    assert found == TEXT
    assert bit // 8 < 10


@pytest.mark.parametrize("position", [-8, -5, -4, -1])
def test_fails_when_the_trailer_is_wrong(position):
    data = bytearray(gzip.compress(TEXT))
    data[position] ^= 1
    with pytest.raises(CorruptArchiveError, match="is damaged"):
        list(gunzip(bytes(data)))


@pytest.mark.parametrize("garbage", [b"x", b"\0\0x", b"\x1f\x8bx", b"garbage" * 1000])
def test_fails_when_bytes_follow(garbage):
    with pytest.raises(ModelPackagerError, match=r"after the end|is damaged|is cut short"):
        list(gunzip(gzip.compress(TEXT) + garbage))


def test_fails_when_too_large():
    with pytest.raises(DecompressionBombError, match="more than 1000 bytes"):
        list(gunzip(gzip.compress(bytes(10**6)), max_bytes=1000))


def test_fails_when_the_ratio_is_too_high(monkeypatch):
    monkeypatch.setattr("packager.gzip_stream._RATIO_FLOOR", 5 * 1024**2)
    bomb = gzip.compress(bytes(10 * 1024**2), 1)
    with pytest.raises(DecompressionBombError, match="more than 100 times"):
        list(gunzip(bomb, max_ratio=100))
    assert sum(map(len, gunzip(bomb, max_ratio=1000))) == 10 * 1024**2


def test_the_ratio_of_a_small_archive_is_not_judged():
    assert sum(map(len, gunzip(gzip.compress(bytes(10**7)), max_ratio=2))) == 10**7


@pytest.mark.parametrize("flags", range(0, 32, 2))
def test_header_length_with_every_flag(flags):
    header = b"\x1f\x8b\x08" + bytes([flags]) + bytes(6)
    header += b"\x05\0extra" if flags & 4 else b""
    header += b"name\0" if flags & 8 else b""
    header += b"comment\0" if flags & 16 else b""
    header += zlib.crc32(header).to_bytes(4, "little")[:2] if flags & 2 else b""
    deflate = zlib.compressobj(wbits=-15)
    data = header + deflate.compress(TEXT) + deflate.flush() + trailer(zlib.crc32(TEXT), len(TEXT))
    assert header_length(data) == len(header)
    assert all(header_length(data[:length]) is None for length in range(len(header)))
    assert b"".join(gunzip(data)) == TEXT


@given(st.binary(), st.binary())
def test_crc_of_a_whole_from_the_crcs_of_its_parts(first, second):
    combined = crc32_combine(zlib.crc32(first), zlib.crc32(second), len(second))
    assert combined == zlib.crc32(first + second)


def test_crc_of_a_second_part_beyond_four_gigabytes():
    # Passing over a length in two steps must be the same as in one.
    half = 3 * 1024**3 + 5
    assert crc32_combine(crc32_combine(1, 0, half), 0, half) == crc32_combine(1, 0, 2 * half)


@given(st.binary(max_size=3000), st.binary(max_size=3000))
def test_an_open_head_goes_before_any_deflate_stream(head, data):
    deflate = zlib.compressobj(wbits=-15)
    spliced = open_head(head) + deflate.compress(data) + deflate.flush()
    spliced += trailer(zlib.crc32(head + data), len(head) + len(data))
    assert gzip.decompress(spliced) == head + data
    assert zlib.decompressobj(31).decompress(spliced) == head + data


@given(st.lists(st.binary(max_size=2000)))
def test_writer_makes_one_member_and_the_same_one_again(pieces):
    outputs = []
    for _ in range(2):
        output = io.BytesIO()
        writer = GzipWriter(output)
        for piece in pieces:
            writer.write(memoryview(piece))
        writer.close()
        outputs.append(output.getvalue())
    assert outputs[0] == outputs[1]
    inflate = zlib.decompressobj(31)
    assert inflate.decompress(outputs[0]) == b"".join(pieces)
    assert inflate.eof
    assert inflate.unused_data == b""


def test_incompressible_data_goes_through():
    data = os.urandom(5 * 1024**2)
    output = io.BytesIO()
    writer = GzipWriter(output)
    writer.write(data)
    writer.close()
    assert b"".join(gunzip(*cut(output.getvalue(), 65536))) == data
