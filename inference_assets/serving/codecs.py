"""Read request bodies into numpy arrays and write arrays as response bodies, in the types of `CODECS`.

Nothing is ever unpickled. A mistake in a body is an error that names its position and carries an HTTP status.
"""

from __future__ import annotations

import json
import math
import os
import re
from codecs import BOM_UTF8
from importlib import import_module
from typing import Any, Callable, NamedTuple, Union

import numpy as np

from .content_types import content_type_of, negotiate
from .decimal_tables import LEAST_BYTES, NUMBER_PATTERN, read_table
from .decimals import format_float32
from .errors import (
    BodyTooLargeError,
    MalformedBodyError,
    PredictionEncodingError,
    UnsupportedContentTypeError,
)
from .json_tables import read_long_numbers
from .nested_lists import place, read_lists, read_long_lists

orjson: Any
try:
    orjson = import_module("orjson")
except ImportError:  # it is optional
    orjson = None

Array = Any  # np.ndarray, whose type parameters differ between numpy 1 and 2
Body = Union[bytes, bytearray, str]

_CHARSETS = {"utf-8", "utf8", "us-ascii", "ascii"}


class Limits(NamedTuple):
    """What a body may hold.

    Parameters
    ----------
    max_bytes
        Size of a body. Defaults to 1 GiB, the most that asynchronous inference takes.
    max_dimensions
        Dimensions of an array. Defaults to 16.
    allow_non_finite
        Whether NaN and infinities pass: as ``NaN`` and ``Infinity`` in JSON, as ``nan``, ``inf`` or an empty
        field in CSV. Defaults to refusing them in requests of every type and in JSON answers; NPY and CSV
        answers carry them as they are.
    """

    max_bytes: int = 2**30
    max_dimensions: int = 16
    allow_non_finite: bool = False

    @classmethod
    def from_environment(cls) -> Limits:
        """Read ``CDK_SAGEMAKER_PYTORCH_MAX_BODY_BYTES`` and ``CDK_SAGEMAKER_PYTORCH_ALLOW_NON_FINITE``."""
        return cls(
            max_bytes=int(os.environ.get("CDK_SAGEMAKER_PYTORCH_MAX_BODY_BYTES") or cls().max_bytes),
            allow_non_finite=os.environ.get("CDK_SAGEMAKER_PYTORCH_ALLOW_NON_FINITE", "").lower()
            in ("1", "true"),
        )


DEFAULT_LIMITS = Limits()


def decode(body: Body, content_type: str | None, limits: Limits = DEFAULT_LIMITS) -> Array:
    """Read a body into an array.

    Parameters
    ----------
    body
        The body. The array of an NPY body shares the memory of a `bytearray`, and copies `bytes`; it can be
        written to in both cases.
    content_type
        ``application/json`` (one list of numbers, nested as deep as the array has dimensions), ``text/csv``
        (lines of numbers, no header), ``application/x-npy`` or ``application/jsonlines`` (one row or number
        as JSON in each line), with parameters or without.
    limits
        What the body may hold.

    Returns
    -------
    numpy.ndarray
        JSON and JSON Lines: float64, int64 or bool, as the numbers are written. CSV: float64, of shape
        (lines, fields). NPY: the dtype of the file, in this machine's byte order.

    Raises
    ------
    UnsupportedContentTypeError
        The content type is another one, or its charset is not UTF-8. Status 415.
    BodyTooLargeError
        The body has more than `limits.max_bytes`. Status 413.
    MalformedBodyError
        The body is not what the content type says, is empty, or is beyond `limits`. Status 400.
    """
    media_type = content_type_of(content_type, SUPPORTED)
    codec = CODECS.get(media_type.name)
    if codec is None:
        raise UnsupportedContentTypeError(
            f"content type must be one of {', '.join(SUPPORTED)}, got {content_type!r}"
        )
    charset = media_type.parameters.get("charset", "utf-8")
    if charset.lower() not in _CHARSETS:
        raise UnsupportedContentTypeError(f"charset of {media_type.name} must be utf-8, got {charset!r}")
    if len(body) > limits.max_bytes:
        raise BodyTooLargeError(f"the body must have at most {limits.max_bytes} bytes, got {len(body)}")
    array = codec.decode(body, limits)
    if array.ndim > limits.max_dimensions:
        raise MalformedBodyError(
            f"the array must have at most {limits.max_dimensions} dimensions, got {array.ndim}"
        )
    if array.size == 0:
        raise MalformedBodyError(f"the array must not be empty, got the shape {array.shape}")
    if not limits.allow_non_finite:
        index = _first_non_finite(array)
        if index is not None:
            raise MalformedBodyError(f"the number at {place(index)} must be finite, got {array[index]}")
    return array


def encode(array: Array, accept: str | None, limits: Limits = DEFAULT_LIMITS) -> tuple[bytes, str]:
    """Write an array as the body of an answer.

    Parameters
    ----------
    array
        Numbers or booleans, of any shape; a list or a number will do.
    accept
        The Accept header of the request. Anything goes if it is missing; JSON is the first choice then.
    limits
        Whether JSON may carry NaN and infinities.

    Returns
    -------
    tuple of bytes and str
        The body and its content type. float32 values are written so that they read back exactly; NPY keeps
        the dtype.

    Raises
    ------
    NotAcceptableError
        The caller accepts none of `CODECS`, or only CSV for more than two dimensions. Status 406.
    PredictionEncodingError
        The array holds no numbers, or JSON cannot carry them. Status 500.
    """
    array = np.asarray(array)
    if array.dtype.kind not in "biuf":
        raise PredictionEncodingError(
            f"the prediction must be a tensor or an array of numbers, got {array.dtype}: write an output_fn"
        )
    offered = [codec.name for codec in CODECS.values() if array.ndim <= codec.most_dimensions]
    content_type = negotiate(accept, offered)
    return CODECS[content_type].encode(array, limits), content_type


# ------------------------------------------------------------------------------------------------- numbers


def _first_non_finite(array: Array) -> tuple[int, ...] | None:
    """Find the first NaN or infinity."""
    if array.dtype.kind != "f":
        return None
    flat = array.reshape(-1)
    # The dot product is finite only if all are, and is a fraction of the cost of looking at each; large
    # numbers can overflow it, so that only a second look decides.
    with np.errstate(all="ignore"):
        if array.dtype != np.float16 and np.isfinite(np.dot(flat, flat)):
            return None
    finite = np.isfinite(flat)
    if finite.all():
        return None
    return tuple(int(index) for index in np.unravel_index(int(finite.argmin()), array.shape))


# ---------------------------------------------------------------------------------------------------- JSON


def _decode_json(body: Body, limits: Limits) -> Array:
    if not isinstance(body, str) and body.startswith(BOM_UTF8):
        body = body[len(BOM_UTF8) :]
    loads: Callable[[Any], Any]
    text: Any
    try:
        # orjson knows no NaN.
        if orjson is not None and not limits.allow_non_finite:
            loads, text = orjson.loads, body
        else:
            loads, text = json.loads, body if isinstance(body, str) else body.decode("utf-8")
        array = read_long_lists(text, loads, limits.max_dimensions)
        data = loads(text) if array is None else None
    except (ValueError, RecursionError) as error:
        raise MalformedBodyError(f"the body is not JSON: {error}") from None
    return read_lists(data, limits.max_dimensions) if array is None else array


def _encode_json(array: Array, limits: Limits) -> bytes:
    index = None if limits.allow_non_finite else _first_non_finite(array)
    if index is not None:
        raise PredictionEncodingError(
            f"the prediction at {place(index)} is {array[index]}, which JSON cannot carry: "
            "ask for application/x-npy or set CDK_SAGEMAKER_PYTORCH_ALLOW_NON_FINITE=true"
        )
    if orjson is not None and not limits.allow_non_finite and array.ndim:
        half = array.dtype.kind == "f" and array.dtype.itemsize == 2
        dtype = np.float32 if half else array.dtype.newbyteorder("=")
        array = np.ascontiguousarray(array, dtype)
        return bytes(orjson.dumps(array, option=orjson.OPT_SERIALIZE_NUMPY))
    if _is_worth_formatting(array):
        lines = format_float32(array.reshape(-1, array.shape[-1])).splitlines()
        items = [b"[" + line + b"]" for line in lines]
        for size in reversed(array.shape[:-1]):
            groups = (items[start : start + size] for start in range(0, len(items), size))
            items = [b"[" + b",".join(group) + b"]" for group in groups]
        return items[0]
    return json.dumps(array.tolist()).encode("ascii")


def _is_worth_formatting(array: Array) -> bool:
    """Tell whether `format_float32` takes an array, and is faster than Python's own formatting."""
    small_floats = array.dtype.kind == "f" and array.dtype.itemsize <= 4
    return bool(small_floats and array.size >= 256 and _first_non_finite(array) is None)


# ----------------------------------------------------------------------------------------------------- CSV

_NUMBER = re.compile(NUMBER_PATTERN, re.ASCII | re.IGNORECASE)


# A field in quotes; one that holds a comma is no number.
_QUOTED = re.compile(r'(^|,)[ \t]*"([^",\r\n]*)"[ \t]*(?=,|\r?$)', re.MULTILINE)


def _decode_csv(body: Body, limits: Limits) -> Array:
    if len(body) >= LEAST_BYTES:
        data = body.encode("utf-8", "replace") if isinstance(body, str) else body
        table = None if orjson is None else read_long_numbers(data, orjson.loads)
        if table is None:
            table = read_table(data)
        if table is not None:
            return table
    try:
        text = body if isinstance(body, str) else body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise MalformedBodyError(f"the body is not UTF-8: {error.reason} at byte {error.start}") from None
    unquoted = _QUOTED.sub(r"\1\2", text) if '"' in text else text
    if unquoted != text:  # as some tools write all fields
        return _decode_csv(unquoted, limits)
    lines = text.replace("\r\n", "\n").split("\n")
    if not text.strip():
        raise MalformedBodyError("the body must hold at least one line of numbers, got none")
    try:
        return np.loadtxt(lines, delimiter=",", comments=None, ndmin=2, dtype=np.float64)
    except ValueError:
        return _csv_line_by_line(lines, limits)


def _csv_line_by_line(lines: list[str], limits: Limits) -> Array:
    """Read slowly what numpy did not take: empty fields where they are allowed, or find the mistake."""
    rows: list[list[float]] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        row = []
        for position, field in enumerate(line.split(","), 1):
            if _NUMBER.fullmatch(field):
                row.append(float(field))
            elif limits.allow_non_finite and not field.strip():
                row.append(math.nan)
            else:
                raise MalformedBodyError(
                    f"line {number}, field {position} must be a number, got {field[:50]!r}"
                )
        if rows and len(row) != len(rows[0]):
            raise MalformedBodyError(
                f"line {number} must have {len(rows[0])} fields, as the first one has, got {len(row)}"
            )
        rows.append(row)
    return np.array(rows, dtype=np.float64)


def _encode_csv(array: Array, limits: Limits) -> bytes:
    # A 1-D array is a column, as numpy.savetxt has it.
    rows = array.reshape(array.shape[0] if array.ndim else 1, -1)
    if _is_worth_formatting(rows):
        return format_float32(rows)
    if rows.dtype.kind == "b":
        rows = rows.astype(np.uint8)
    return "".join([",".join(map(repr, row)) + "\n" for row in rows.tolist()]).encode("ascii")


# ----------------------------------------------------------------------------------------------------- NPY

# The header of an NPY file is a Python literal. Three of its entries matter, and nothing is evaluated.
_NPY_DTYPE = re.compile(rb"""['"]descr['"]\s*:\s*['"]([<>|=]?[biuf]\d{1,2}|\?)['"]""")
_NPY_ORDER = re.compile(rb"""['"]fortran_order['"]\s*:\s*(True|False)""")
_NPY_SHAPE = re.compile(rb"""['"]shape['"]\s*:\s*\(([\dL,\s]*)\)""")
_NPY_DESCR = re.compile(rb"""['"]descr['"]\s*:\s*(.{1,60})""", re.DOTALL)


def _decode_npy(body: Body, limits: Limits) -> Array:
    if isinstance(body, str) or body[:6] != b"\x93NUMPY" or len(body) < 12:
        raise MalformedBodyError("the body is not NPY: it does not start with the magic string \\x93NUMPY")
    width = 2 if body[6] == 1 else 4
    start = 8 + width + int.from_bytes(body[8 : 8 + width], "little")
    header = bytes(body[8 + width : min(start, 8192)])
    dtype_match, order, shape_match = (
        pattern.search(header) for pattern in (_NPY_DTYPE, _NPY_ORDER, _NPY_SHAPE)
    )
    if start > len(body) or not (order and shape_match):
        raise MalformedBodyError("the NPY header is malformed")
    if dtype_match is None:
        found = _NPY_DESCR.search(header)
        raise MalformedBodyError(
            "the NPY array must hold numbers or booleans, got the dtype "
            + (found.group(1).decode("ascii", "replace") if found else "none")
        )
    try:
        dtype = np.dtype(dtype_match.group(1).decode("ascii"))
    except TypeError as error:
        raise MalformedBodyError(f"the NPY header is malformed: {error}") from None
    shape = tuple(int(size) for size in shape_match.group(1).replace(b"L", b"").split(b",") if size.strip())
    size = math.prod(shape) * dtype.itemsize
    got = len(body) - start
    if got != size:
        raise MalformedBodyError(
            f"the NPY array of shape {shape} and dtype {dtype} must have {size} bytes, got {got}"
        )
    if len(shape) > limits.max_dimensions or size == 0:
        # What numpy cannot shape is left to the checks of `decode`.
        raise MalformedBodyError(
            f"the array must not be empty and have at most {limits.max_dimensions} dimensions, got {shape}"
        )
    array = np.frombuffer(body, dtype=dtype, offset=start)
    if not (array.flags.writeable and array.flags.aligned and dtype.isnative):
        array = array.astype(dtype.newbyteorder("="))
    return array.reshape(shape, order="F" if order.group(1) == b"True" else "C")


def _encode_npy(array: Array, limits: Limits) -> bytes:
    array = np.ascontiguousarray(array).reshape(array.shape)
    header = f"{{'descr': '{array.dtype.str}', 'fortran_order': False, 'shape': {array.shape}, }}"
    padding = " " * (-(len(header) + 11) % 64)
    header_bytes = (header + padding + "\n").encode("ascii")
    return b"".join(
        [b"\x93NUMPY\x01\x00", len(header_bytes).to_bytes(2, "little"), header_bytes, array.data.cast("B")]
    )


# ---------------------------------------------------------------------------------------------- JSON Lines


def _decode_json_lines(body: Body, limits: Limits) -> Array:
    loads = json.loads if orjson is None or limits.allow_non_finite else orjson.loads
    try:
        text = body if isinstance(body, str) else body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise MalformedBodyError(f"the body is not UTF-8: {error.reason} at byte {error.start}") from None
    values = []
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                values.append(loads(line))
            except (ValueError, RecursionError) as error:
                raise MalformedBodyError(f"line {number} is not JSON: {error}") from None
    if not values:
        raise MalformedBodyError("the body must hold at least one line of JSON, got none")
    return read_lists(values, limits.max_dimensions)


def _encode_json_lines(array: Array, limits: Limits) -> bytes:
    rows = array.reshape(1) if array.ndim == 0 else array
    return b"".join(_encode_json(row, limits) + b"\n" for row in rows)


# --------------------------------------------------------------------------------------------------- table

JSON, CSV, NPY, JSON_LINES = "application/json", "text/csv", "application/x-npy", "application/jsonlines"


class Codec(NamedTuple):
    """How arrays travel in one content type.

    Parameters
    ----------
    name
        The content type.
    decode, encode
        Read a body within limits, and write an array.
    is_text
        Whether functions of a script get the body as text, as AWS's toolkit hands it to them.
    keeps_dtype
        Whether an array arrives in the dtype that it was sent in; else the default input_fn makes it float32.
    most_dimensions
        Of an array that it can carry.
    """

    name: str
    decode: Callable[[Body, Limits], Array]
    encode: Callable[[Array, Limits], bytes]
    is_text: bool
    keeps_dtype: bool
    most_dimensions: float


#: All content types; the first answers a caller that accepts anything.
CODECS = {
    codec.name: codec
    for codec in (
        Codec(JSON, _decode_json, _encode_json, is_text=True, keeps_dtype=False, most_dimensions=math.inf),
        Codec(CSV, _decode_csv, _encode_csv, is_text=True, keeps_dtype=False, most_dimensions=2),
        Codec(NPY, _decode_npy, _encode_npy, is_text=False, keeps_dtype=True, most_dimensions=math.inf),
        Codec(
            JSON_LINES,
            _decode_json_lines,
            _encode_json_lines,
            is_text=False,
            keeps_dtype=False,
            most_dimensions=math.inf,
        ),
    )
}
SUPPORTED = tuple(CODECS)
