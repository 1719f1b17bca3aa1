"""Read decimal numbers of up to 19 digits, with exponents or without, as operations on whole arrays.

A number is m * 10**e, with an integer m below 2**64 that is summed up from the 24 bytes before its end, as
`decimal_tables` does from 16. Where the processor has floating-point numbers of 64 bits and an exponent, as
x86 has, m and the powers of ten up to 10**27 are exact in those, and one multiplication or division gives the
closest such number. Rounding that to float64 gives the float64 closest to the decimal number unless it lies
right between two: of those, one in 2,048, Python reads each anew.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = Any  # np.ndarray, whose type parameters differ between numpy 1 and 2

#: Whether this processor has floating-point numbers with 64 bits before the exponent.
CAN_READ = bool(np.finfo(np.longdouble).nmant == 63 and np.dtype(np.longdouble).itemsize == 16)

#: How many bytes there must be before a number.
WINDOW = 24

_MOST_DIGITS = WINDOW - 1  # zeros in front count, too
_MOST_FIRST_DIGITS = np.uint64((2**64 - 1) // 10**16 - 1)
_LARGEST_POWER = 27
_BETWEEN, _BELOW = np.uint64(1 << 10), np.uint64((1 << 11) - 1)

_ZERO, _NINE, _POINT, _PLUS, _MINUS, _SMALL_E = b"09.+-e"
_TO_SMALL = 0x20

_DIGIT_BITS = np.uint64(0x0F0F0F0F0F0F0F0F)
_BYTE, _REST = np.uint64(8), np.uint64(56)
# Neighbours are summed up by a multiplication, in every other place.
_SUMS = [
    (np.uint64((10**digits << bits) + 1), np.uint64(bits), np.uint64(mask))
    for digits, bits, mask in (
        (1, 8, 0x00FF00FF00FF00FF),
        (2, 16, 0x0000FFFF0000FFFF),
        (4, 32, 0x00000000FFFFFFFF),
    )
]


def _last_bytes(word: int) -> Array:
    """Return the masks of one of the three words for the last n bytes of all, for n from 0 to 24."""
    masks = [((1 << 8 * WINDOW) - 1) ^ ((1 << 8 * (WINDOW - n)) - 1) for n in range(WINDOW + 1)]
    return np.array([mask >> 64 * word & (2**64 - 1) for mask in masks], np.uint64)


_LAST_BYTES = [_last_bytes(word) for word in range(3)]


def _powers() -> Array:
    powers = np.ones(_LARGEST_POWER + 1, np.longdouble)
    return np.multiply.accumulate(np.concatenate([powers[:1], powers[1:] * 10]))


_POWERS = _powers()


class Numbers:
    """The numbers of a block of text.

    Parameters
    ----------
    text
        The text, with `WINDOW` bytes before the block.
    start, stop
        Where the block is.
    begins, ends
        Where each number begins and ends.

    Attributes
    ----------
    left_over
        Which numbers cannot be read here.
    marks
        How many of each number's characters are no digits, going by what has been found.
    """

    def __init__(self, text: bytes, start: int, stop: int, begins: Array, ends: Array) -> None:
        self._text = text
        self._characters = np.frombuffer(text, np.uint8)
        self._block, self._start = self._characters[start:stop], start
        self._begins, self._ends = begins, ends
        self.left_over = np.zeros(len(ends), np.bool_)
        self.marks = np.zeros(len(ends), np.int64)

    def read(self, values: Array) -> None:
        """Read them into `values`, but for those that are left over."""
        first = self._characters[self._begins]
        minus = first == _MINUS
        signed = minus | (first == _PLUS)
        self.marks += signed
        begins = self._begins + signed
        ends, exponent = self._exponents()
        point = self._positions(self._block == _POINT, ends)
        has_point = point < ends
        self.marks += has_point
        fraction = ends - point - has_point
        digits = ends - begins - has_point
        self.left_over |= (digits < 1) | (digits > _MOST_DIGITS) | (point < begins)
        whole = self._integers(ends, digits, np.where(has_point, fraction, WINDOW))
        exponent -= fraction
        self.left_over |= np.abs(exponent) > _LARGEST_POWER
        power = _POWERS.take(np.abs(exponent), mode="clip")
        exact = whole.astype(np.longdouble)
        up = exponent > 0
        if up.any():
            exact = np.where(up, exact * power, exact / power)
        else:
            exact /= power
        between = exact.view(np.uint64)[::2] & _BELOW
        self.left_over |= between == _BETWEEN
        values[:] = exact
        values[minus] *= -1.0

    def _positions(self, found: Array, otherwise: Array) -> Array:
        """Return where each number has the one character that was found in it, or `otherwise`."""
        where = np.flatnonzero(found) + self._start
        if len(where) == len(self._ends) and (where < self._ends).all() and (where >= self._begins).all():
            return where
        positions = otherwise.copy()
        positions[np.searchsorted(self._ends, where)] = where
        return positions

    def _exponents(self) -> tuple[Array, Array]:
        """Return where the digits before each exponent end, and the exponents."""
        none = np.zeros(len(self._ends), np.int64)
        is_e = (self._block | _TO_SMALL) == _SMALL_E
        if not is_e.any():
            return self._ends, none
        letter = self._positions(is_e, self._ends)
        has = letter < self._ends
        sign = self._characters[np.minimum(letter + 1, self._ends)]
        minus = (sign == _MINUS) & has
        signed = minus | ((sign == _PLUS) & has)
        self.marks += has
        self.marks += signed
        count = self._ends - letter - 1 - signed
        self.left_over |= has & ((count < 1) | (count > 3))
        exponent = none
        for place in range(3):
            digit = self._characters[self._ends - 1 - place].astype(np.int64) - _ZERO
            exponent += np.where(has & (count > place), digit * 10**place, 0)
        return letter, np.where(minus, -exponent, exponent)

    def _integers(self, ends: Array, digits: Array, fraction: Array) -> Array:
        """Sum up the digits of each number, without its point."""
        every = np.ndarray((len(self._text) - WINDOW + 1,), f"V{WINDOW}", self._text, 0, (1,))
        words = every[ends - WINDOW].view("<u8").reshape(-1, 3).T.copy()
        # What is before the point moves over it.
        moved = words << _BYTE
        moved[1:] |= words[:-1] >> _REST
        digits = np.clip(digits, 0, WINDOW)
        sums = []
        for word, into, masks in zip(words, moved, _LAST_BYTES):
            into ^= word
            into &= ~masks.take(fraction, mode="clip")
            into ^= word
            into &= masks.take(digits)
            sums.append(eight_digits(into))
        first, second, third = sums
        self.left_over |= first > _MOST_FIRST_DIGITS
        first *= np.uint64(10**16)
        second *= np.uint64(10**8)
        third += second
        third += first
        return third


def eight_digits(word: Array) -> Array:
    """Sum up the digits in the bytes of integers, in place: by two, by four, by eight."""
    word &= _DIGIT_BITS
    for times, shift, mask in _SUMS:
        word *= times
        word >>= shift
        word &= mask
    return word
