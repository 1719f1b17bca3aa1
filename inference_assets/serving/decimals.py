"""Read and write many decimal numbers at once, as operations on whole arrays.

Python handles numbers one by one, at 100 to 500 ns each. Here eight digits are one 64-bit word, and a word takes
a dozen operations that numpy applies to all words of a block.
"""

from __future__ import annotations

import re
import sys
from typing import Any

import numpy as np

Array = Any  # np.ndarray, whose type parameters differ between numpy 1 and 2

#: What a field may be, in a body of bytes.
NUMBER = re.compile(rb"\s*[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|nan|inf|infinity)\s*", re.IGNORECASE)

# So much text at a time that its arrays stay in a core's cache.
_BLOCK_BYTES = 1 << 17

_COMMA, _NEWLINE, _POINT, _MINUS = b",\n.-"
_U64 = np.uint64
_ZEROS = _U64(0x3030303030303030)
_ALTERNATE = _U64(0x000000FF000000FF)
# Masks that keep the last 0 to 8 bytes in memory of a little-endian word.
_LAST_BYTES = np.array([(2**64 - 1) >> 8 * (8 - n) << 8 * (8 - n) for n in range(9)], _U64)
_POWERS_OF_TEN = np.array([10.0**n for n in range(17)])


def parse_table(text: bytes) -> Array | None:
    """Read lines of plain decimal numbers separated by commas.

    Parameters
    ----------
    text
        Lines that end in a newline each.

    Returns
    -------
    numpy.ndarray or None
        float64 of shape (lines, fields), each the double that is nearest to its text. None where lines differ in
        their number of fields, a field is no `NUMBER`, or many have an exponent or more digits than a double:
        another parser has to judge the text.
    """
    if sys.byteorder != "little" or not text.endswith(b"\n"):
        return None
    blocks = []
    start = 0
    while start < len(text):
        # A block ends with a line.
        end = text.rfind(b"\n", start, start + _BLOCK_BYTES) + 1 or text.find(b"\n", start) + 1
        block = _parse_block(text[start:end])
        if block is None or block.shape[1] != (blocks or [block])[0].shape[1]:
            return None
        blocks.append(block)
        start = end
    return np.concatenate(blocks)


def _parse_block(text: bytes) -> Array | None:
    characters = np.frombuffer(text, np.uint8)
    ends = np.flatnonzero((characters == _COMMA) | (characters == _NEWLINE))
    line_ends = np.flatnonzero(characters[ends] == _NEWLINE)
    width = int(line_ends[0]) + 1
    if len(ends) != width * len(line_ends) or (line_ends[1:] - line_ends[:-1] != width).any():
        return None
    starts = np.concatenate([[0], ends[:-1] + 1])
    negative = characters[starts] == _MINUS

    # Without its point a field is one run of digits; how many of them come after the point is kept.
    points = np.flatnonzero(characters == _POINT)
    decimals = np.zeros(len(ends), np.intp)
    if len(points) == len(ends) and (points >= starts).all() and (points < ends).all():
        has_points = np.ones(len(ends), np.intp)
        decimals = ends - points - 1
    else:
        fields = np.searchsorted(ends, points)
        has_points = np.bincount(fields, minlength=len(ends))
        decimals[fields] = ends[fields] - points - 1
    digits = ends - starts - negative - has_points
    run = b"0" * 16 + text.replace(b".", b"")
    run_ends = ends - np.cumsum(has_points) + 16

    words = np.ndarray((len(run) - 7,), "<u8", run, 0, (1,))
    low, low_is_plain = _eight_digits(words[run_ends - 8], np.clip(digits, 0, 8))
    high, high_is_plain = _eight_digits(words[run_ends - 16], np.clip(digits - 8, 0, 8))
    mantissa = high * _U64(10**8) + low
    values = mantissa.astype(np.float64) / _POWERS_OF_TEN[np.minimum(decimals, 16)]
    values = np.where(negative, -values, values)

    # A double holds 53 bits: up to there one division rounds once, and correctly.
    plain = low_is_plain & high_is_plain & (mantissa <= _U64(2**53))
    others = np.flatnonzero(~plain | (digits < 1) | (digits > 16) | (has_points > 1))
    if len(others) > len(ends) // 16 + 16:
        return None
    for index in others.tolist():
        field = text[starts[index] : ends[index]]
        if not NUMBER.fullmatch(field):
            return None
        values[index] = float(field)
    return values.reshape(-1, width)


def _eight_digits(words: Array, count: Array) -> tuple[Array, Array]:
    """Turn the last `count` characters of each word into a number, and tell where they are digits."""
    digits = (words ^ _ZEROS) & _LAST_BYTES[count]
    plain = ((digits | (digits + _U64(0x7676767676767676))) & _U64(0x8080808080808080)) == 0
    pairs = digits * _U64(10) + (digits >> _U64(8))
    upper = (pairs & _ALTERNATE) * _U64(100 + (10**6 << 32))
    lower = ((pairs >> _U64(16)) & _ALTERNATE) * _U64(1 + (10**4 << 32))
    return (upper + lower) >> _U64(32), plain


_NUMBER = np.dtype(
    [
        ("sign", "u1"),
        ("first", "u1"),
        ("point", "u1"),
        ("middle", "<u4"),
        ("last", "<u4"),
        ("e", "u1"),
        ("exponent_sign", "u1"),
        ("exponent", "<u2"),
        ("separator", "u1"),
    ]
)
_FOUR_DIGITS = np.frombuffer("".join(f"{n:04}" for n in range(10_000)).encode("ascii"), "<u4")
_TWO_DIGITS = np.frombuffer("".join(f"{n:02}" for n in range(100)).encode("ascii"), "<u2")
_LEAST_POWER = -40
_POWERS = np.array([float(f"1e{n}") for n in range(_LEAST_POWER, 60)])


def format_float32(rows: Array) -> bytes:
    """Write numbers as ``-1.23456789e-05``: with nine digits, which tell any two float32 apart.

    Parameters
    ----------
    rows
        Finite float32 of shape (lines, fields).

    Returns
    -------
    bytes
        One line for each row, with commas between numbers and a newline at the end.
    """
    lines_in_block = max(1, _BLOCK_BYTES // (16 * rows.shape[1]))
    return b"".join(
        [_format_block(rows[start : start + lines_in_block]) for start in range(0, len(rows), lines_in_block)]
    )


def _format_block(rows: Array) -> bytes:
    values = rows.reshape(-1)
    magnitude = np.abs(values.astype(np.float64))
    magnitude_or_one = np.where(magnitude == 0, 1.0, magnitude)
    exponent = np.floor(np.log10(magnitude_or_one)).astype(np.intp)
    # The logarithm may be off by one next to a power of ten, and rounding may carry into a tenth digit.
    for _ in range(2):
        mantissa = np.rint(magnitude * _POWERS[8 - exponent - _LEAST_POWER])
        exponent += (mantissa >= 1e9).astype(np.intp) - ((mantissa < 1e8) & (magnitude > 0))
    mantissa = np.rint(magnitude * _POWERS[8 - exponent - _LEAST_POWER]).astype(np.uint32)

    numbers = np.empty(len(values), _NUMBER)
    numbers["sign"] = np.where(np.signbit(values), ord("-"), ord(" "))
    first, rest = np.divmod(mantissa, np.uint32(10**8))
    middle, last = np.divmod(rest, np.uint32(10**4))
    numbers["first"] = first + ord("0")
    numbers["point"] = ord(".")
    numbers["middle"] = _FOUR_DIGITS[middle]
    numbers["last"] = _FOUR_DIGITS[last]
    numbers["e"] = ord("e")
    numbers["exponent_sign"] = np.where(exponent < 0, ord("-"), ord("+"))
    numbers["exponent"] = _TWO_DIGITS[np.abs(exponent)]
    numbers["separator"] = ord(",")
    numbers["separator"][rows.shape[1] - 1 :: rows.shape[1]] = ord("\n")
    return numbers.tobytes().replace(b" ", b"")
