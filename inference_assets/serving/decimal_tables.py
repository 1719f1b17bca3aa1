"""Read large tables of decimal numbers as operations on whole arrays, faster than numpy.loadtxt does.

A number such as ``-12.375`` is looked at as the sixteen bytes that begin at its first digit, which are two
64-bit integers: taking out the point, aligning and summing up the digits are a few operations on them. What
comes out is m / 10**f, with integers m below 2**53 and f below 16. Both sides of the division are exact as
float64, and so the quotient is the float64 that is closest to the decimal number. Longer numbers and those
with an exponent are for `long_decimals`, or where they are few for Python, one by one.
"""

from __future__ import annotations

import re
import sys
from typing import Any

import numpy as np

from .long_decimals import CAN_READ, WINDOW, Numbers, eight_digits

Array = Any  # np.ndarray, whose type parameters differ between numpy 1 and 2

#: Below this size numpy.loadtxt is as fast.
LEAST_BYTES = 1 << 16

#: What counts as a number, with the flags `re.ASCII` and `re.IGNORECASE`.
NUMBER_PATTERN = r"\s*[+-]?(?:(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?|nan|inf|infinity)\s*"
_NUMBER = re.compile(NUMBER_PATTERN.encode("ascii"), re.ASCII | re.IGNORECASE)

# So much text at a time that its arrays stay in a core's cache.
_BLOCK_BYTES = 1 << 18
# Where more numbers than one in so many are left to Python, numpy.loadtxt is faster.
_ONE_LEFT_OVER_IN = 16
_FEW = 8
_MAX_CHARACTERS = 16
_MAX_DIGITS = np.uint64(15)

_MINUS, _POINT, _SLASH, _ZERO, _NINE, _COMMA, _NEWLINE = b"-./09,\n"
_DIGIT = re.compile(rb"[0-9]")
# Numbers that take more than so many characters each, with what is between them, are looked at as long ones.
_LONG_CHARACTERS = 14
_LEFT, _RIGHT = b"\n" * WINDOW, b"\n" * 24  # what a number at the edge may be looked at with


def _each_byte(value: int) -> np.uint64:
    return np.uint64(value * 0x0101010101010101)


_ONES, _POINTS, _HIGH_BITS = map(_each_byte, (1, _POINT, 0x80))
# Bit that marks byte n, for numbers of n characters.
_END_BIT = np.array([0x80 << 8 * n if n < 8 else 0 for n in range(_MAX_CHARACTERS + 2)], np.uint64)
# Times 1 << 8 * n this has n in its topmost byte.
_BYTE_NUMBERS = np.uint64(0x0001020304050607)
_SIGNS = np.array([1.0, -1.0])
_POWERS = np.array([10.0**n for n in range(_MAX_CHARACTERS + 1)])


def read_table(text: bytes | bytearray) -> Array | None:
    """Read lines of numbers with commas between them.

    Parameters
    ----------
    text
        The lines. Nothing is promised about it.

    Returns
    -------
    numpy.ndarray or None
        float64 of shape (lines, fields), each the closest to its decimal number. None where the text is no
        such table, and for some tables that numpy.loadtxt reads as fast: of numbers too large, for example.
    """
    if sys.byteorder != "little":
        return None
    if b"\r" in text:
        text = text.replace(b"\r\n", b"\n")
    text = text.strip(b"\n")
    padded = b"".join([_LEFT, text, _RIGHT])
    # Memory that is never touched is never taken: most numbers have more than one character.
    most = len(text) // 2 + 1
    values, newlines = np.empty(most), np.empty(most, np.bool_)
    count, start, end = 0, len(_LEFT), len(_LEFT) + len(text) + 1
    while start < end:
        stop = end
        if end - start > _BLOCK_BYTES:
            stop = 1 + max(padded.rfind(mark, start, start + _BLOCK_BYTES) for mark in (b",", b"\n"))
        found = _read_block(padded, start, stop, values[count:], newlines[count:]) if stop else 0
        if not found:
            return None
        count += found
        start = stop
    values, newlines = values[:count], newlines[:count]
    fields = int(newlines.argmax()) + 1
    lines, rest = divmod(count, fields)
    if rest or not newlines[fields - 1 :: fields].all() or np.count_nonzero(newlines) != lines:
        return None
    return values.reshape(lines, fields)


def _read_block(text: bytes, start: int, stop: int, values: Array, newlines: Array) -> int:
    """Read the numbers of a part of a text; a separator is before it and is its last character.

    Returns
    -------
    int
        How many were read into `values`, with True in `newlines` for those that end a line; 0 where they
        cannot be read.
    """
    characters = np.frombuffer(text, np.uint8)
    block = characters[start:stop]
    ends = np.flatnonzero((block == _COMMA) | (block == _NEWLINE)) + start
    count = len(ends)
    if count > len(values):  # then fields are empty
        return 0
    values, newlines = values[:count], newlines[:count]
    np.equal(characters[ends], _NEWLINE, out=newlines)
    begins = np.empty_like(ends)
    begins[0] = start
    np.add(ends[:-1], 1, out=begins[1:])

    if (stop - start) < _LONG_CHARACTERS * count and _read_short(text, start, block, begins, ends, values):
        return count
    return count if CAN_READ and _read_long(text, start, stop, begins, ends, values) else 0


def _read_long(text: bytes, start: int, stop: int, begins: Array, ends: Array, values: Array) -> bool:
    """Read the numbers of a block that are long or have exponents, see `long_decimals`."""
    numbers = Numbers(text, start, stop, begins, ends)
    numbers.read(values)
    characters = np.frombuffer(text, np.uint8)[start:stop]
    marks = len(characters) - len(ends) - int(np.count_nonzero(characters - np.uint8(_ZERO) < 10))
    anew = _read_anew(text, begins, ends, numbers.left_over, values)
    if anew is None:
        return False
    marks -= sum(len(number) - len(_DIGIT.findall(number)) for number in anew)
    # The others have no characters but digits and those that were taken into account.
    return marks == int(numbers.marks[~numbers.left_over].sum())


def _read_short(text: bytes, start: int, block: Array, begins: Array, ends: Array, values: Array) -> bool:
    """Read the numbers of a block that are short, and have no exponents but for a few."""
    count, stop = len(ends), start + len(block)
    characters = np.frombuffer(text, np.uint8)
    points = int(np.count_nonzero(block == _POINT))
    minuses = int(np.count_nonzero(block == _MINUS)) if text.find(b"-", start, stop) >= 0 else 0
    minus = characters[begins] == _MINUS if minuses else np.zeros(count, np.bool_)
    left_over, has_point = _positive_numbers(text, begins + minus if minuses else begins, ends, values)
    if minuses:
        values *= _SIGNS.take(minus)

    # All but digits, points, signs and separators.
    strange = (block - np.uint8(_COMMA) > _NINE - _COMMA) & (block != _NEWLINE)
    strange |= block == _SLASH
    left_over[np.searchsorted(ends, np.flatnonzero(strange) + start)] = True
    anew = _read_anew(text, begins, ends, left_over, values)
    if anew is None:
        return False
    points -= sum(number.count(b".") for number in anew)
    minuses -= sum(number.count(b"-") for number in anew)
    # The others have at most the one point and the one sign that were taken into account.
    kept = ~left_over
    return bool(points == np.count_nonzero(has_point & kept) and minuses == np.count_nonzero(minus & kept))


def _positive_numbers(text: bytes, begins: Array, ends: Array, values: Array) -> tuple[Array, Array]:
    """Read numbers without a sign into `values`, given where they begin and end.

    Returns
    -------
    tuple of numpy.ndarray
        Which of them were not read; which have a point.
    """
    # The sixteen bytes that begin at any byte.
    every = np.ndarray((len(text) - 15,), "V16", text, 0, (1,))
    first, second = every[begins].view("<u8").reshape(-1, 2).T.copy()
    length = ends - begins
    left_over = length > _MAX_CHARACTERS

    # Find the point: the lowest byte that is one. A number without one has it at its end.
    unlike = first ^ _POINTS
    mark = unlike - _ONES
    mark &= np.invert(unlike, out=unlike)
    mark &= _HIGH_BITS
    mark |= _END_BIT.take(length, mode="clip")
    mark &= np.negative(mark)
    left_over |= mark == 0
    mark >>= np.uint64(7)
    point = mark * _BYTE_NUMBERS
    point >>= np.uint64(56)
    point = point.view(np.int64)
    has_point = point < length
    digits = length - has_point
    left_over |= (digits - 1).view(np.uint64) >= _MAX_DIGITS  # none at all, too

    # Take it out, and move the digits to the end of sixteen.
    mark -= np.uint64(1)  # the bytes before the point
    rest = first >> np.uint64(8)
    rest |= second << np.uint64(56)
    first ^= rest
    first &= mark
    first ^= rest
    second >>= np.uint64(8)
    shift = ((16 - digits) << 3).view(np.uint64)
    # Shifts by 64 bits or more, which the differences are if they wrap around, give 0.
    second <<= shift
    second |= first >> (np.uint64(64) - shift)
    second |= first << (shift - np.uint64(64))
    first <<= shift
    whole = eight_digits(second)
    if first.any():
        first = eight_digits(first)
        first *= np.uint64(10**8)
        whole += first
    np.divide(whole, _POWERS.take(digits - point, mode="clip"), out=values)
    return left_over, has_point


def _read_anew(
    text: bytes, begins: Array, ends: Array, left_over: Array, values: Array
) -> list[bytes] | None:
    """Let Python read the numbers of a block that are left over; None where they are many, or no numbers."""
    indices = np.flatnonzero(left_over)
    if len(indices) > max(_FEW, len(ends) // _ONE_LEFT_OVER_IN):
        return None
    numbers = [text[begins[index] : ends[index]] for index in indices.tolist()]
    if not all(map(_NUMBER.fullmatch, numbers)):
        return None
    values[indices] = list(map(float, numbers))
    return numbers
