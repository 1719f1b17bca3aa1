"""Read large tables of long numbers with a parser of JSON: a line of CSV lacks but the brackets of a list."""

from __future__ import annotations

import struct
from typing import Any, Callable

import numpy as np

Array = Any  # np.ndarray, whose type parameters differ between numpy 1 and 2

# Shorter ones, on average, `decimal_tables` reads faster.
_LONG_CHARACTERS = 14
# What begins something else than a number in JSON.
_NO_NUMBER = (b"t", b"f", b"n", b'"', b"[", b"]", b"{", b"}")


def read_long_numbers(body: bytes | bytearray, loads: Callable[[Any], Any]) -> Array | None:
    """Read lines of numbers with commas between them.

    Parameters
    ----------
    body
        The lines. Nothing is promised about them.
    loads
        Reads JSON, and takes NaN for a mistake.

    Returns
    -------
    numpy.ndarray or None
        float64 of shape (lines, fields). None where numbers are short, where the text is no such table, and
        where it holds numbers that mean something else in JSON, or nothing.
    """
    end = body.find(b"\n")
    first = body if end < 0 else body[:end]
    if len(first) < _LONG_CHARACTERS * (first.count(b",") + 1) or any(mark in body for mark in _NO_NUMBER):
        return None
    pack, rows = None, []
    try:
        # Line by line, for what is read of one is in the core's cache while it is packed.
        for line in body.replace(b"\r\n", b"\n").rstrip(b"\n").split(b"\n"):
            row = loads(b"[" + line + b"]")
            if pack is None:
                pack = struct.Struct(f"{len(row)}d").pack
            rows.append(pack(*row))  # refuses rows of another length
    except (ValueError, struct.error, OverflowError):
        return None
    table = np.frombuffer(bytearray().join(rows)).reshape(len(rows), -1)
    # A zero that is written without a point has no sign in JSON.
    return None if b"-" in body and not table.all() else table
