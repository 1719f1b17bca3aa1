"""The table of requests, each with the improvement that its answers show, if any."""

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .four_servers import NO_SCRIPT

JSON, CSV, NPY, RAW = "application/json", "text/csv", "application/x-npy", "application/x-rows"


@dataclass(frozen=True)
class Request:
    """One request.

    Parameters
    ----------
    script
        The script that serves it.
    name
        What is special about it; unique for the script.
    body, content_type, accept, attributes
        What is sent; a header that is None is not.
    improvement
        Name of the listed improvement that the answers show. Defaults to none: the answers are equal.
    like
        Where an improvement lets this library answer: the request of the same script that the toolkit answers
        so. Defaults to this request.
    """

    script: str
    name: str
    body: bytes
    content_type: str | None = JSON
    accept: str | None = JSON
    improvement: str | None = None
    like: str | None = None
    attributes: str | None = None


def npy(array: Any, version: tuple[int, int] | None = None) -> bytes:
    """Return an array as an NPY file; objects in it are pickled."""
    file = io.BytesIO()
    np.lib.format.write_array(file, np.asanyarray(array), version, allow_pickle=True)
    return file.getvalue()


def npz(array: Any) -> bytes:
    """Return an array as an NPZ file."""
    file = io.BytesIO()
    np.savez(file, array=array)
    return file.getvalue()


# Numbers that every dtype holds exactly.
ROWS = np.array([[1.5, -2, 0.25, 3], [0, 4, -1, 0.5]], dtype=np.float32)
ROWS_JSON = json.dumps(ROWS.tolist()).encode()
ROWS_CSV = b"1.5,-2.0,0.25,3.0\n0.0,4.0,-1.0,0.5\n"
ROWS_NPY = npy(ROWS)
BATCH_JSON = json.dumps([ROWS.tolist()] * 3).encode()
INTEGERS = np.array([[1, 2, 3, 4]])

PLAIN = [
    ("JSON rows", ROWS_JSON, JSON, JSON),
    ("JSON one row", json.dumps(ROWS[:1].tolist()).encode(), JSON, JSON),
    ("JSON one row to CSV", json.dumps(ROWS[:1].tolist()).encode(), JSON, CSV),
    ("JSON row without brackets", b"[1, 2, 3, 4]", JSON, JSON),
    ("JSON integers", b"[[1, 2, 3, 4]]", JSON, JSON),
    ("JSON booleans", b"[[true, false, true, true]]", JSON, JSON),
    ("JSON large number", b"[[1, 2, 3, 1180591620717411303424.0]]", JSON, JSON),
    ("JSON in three dimensions", BATCH_JSON, JSON, JSON),
    ("JSON with white space", b" [ [1,\n2,\t3, 4] ]\r\n", JSON, JSON),
    ("JSON of 1000 rows", json.dumps(np.tile(ROWS, (500, 1)).tolist()).encode(), JSON, JSON),
    ("JSON to CSV", ROWS_JSON, JSON, CSV),
    ("JSON one dimension to CSV", b"[1, 2, 3, 4]", JSON, CSV),
    ("CSV rows", ROWS_CSV, CSV, JSON),
    ("CSV to CSV", ROWS_CSV, CSV, CSV),
    ("CSV integers", b"1,2,3,4\n5,6,7,8\n", CSV, JSON),
    ("CSV without a last line end", ROWS_CSV.strip(), CSV, JSON),
    ("CSV with CRLF", ROWS_CSV.replace(b"\n", b"\r\n"), CSV, JSON),
    ("CSV with spaces", ROWS_CSV.replace(b",", b" , "), CSV, JSON),
    ("CSV with a blank line", ROWS_CSV.replace(b"\n", b"\n\n"), CSV, JSON),
    ("CSV with exponents", b"1e0,-2.5E-1,+3.0,.5\n1.,2.,3.,4.\n", CSV, JSON),
    ("NPY rows", ROWS_NPY, NPY, JSON),
    ("NPY to CSV", ROWS_NPY, NPY, CSV),
    ("NPY one dimension", npy(ROWS[0]), NPY, JSON),
    ("NPY in Fortran order", npy(np.asfortranarray(ROWS)), NPY, JSON),
    ("NPY of version 2", npy(ROWS, (2, 0)), NPY, JSON),
    ("NPY of version 3", npy(ROWS, (3, 0)), NPY, JSON),
    ("no Accept", ROWS_JSON, JSON, None),
    ("empty Accept", ROWS_JSON, JSON, ""),
    ("Accept */*", ROWS_JSON, JSON, "*/*"),
]
# Header, and the plain request that is answered the same way.
CONTENT_TYPES = [
    ("application/json; charset=utf-8", "JSON rows"),
    ('application/json;charset="UTF-8"', "JSON rows"),
    ("Application/JSON", "JSON rows"),
    ("text/csv; charset=utf-8", "CSV rows"),
    ("text/csv; header=absent", "CSV rows"),
    ("TEXT/CSV", "CSV rows"),
    ("application/x-npy; version=1", "NPY rows"),
]
ACCEPTS = [
    ("application/*", "JSON rows"),
    ("text/*", "JSON to CSV"),
    ("Text/CSV", "JSON to CSV"),
    ("application/json; charset=utf-8", "JSON rows"),
    ("text/csv;q=0.5", "JSON to CSV"),
    ("*/*;q=0.1", "JSON rows"),
    ("application/json;q=0.2, text/csv;q=0.9", "JSON to CSV"),
    ("application/json;q=0, */*;q=0.5", "JSON to CSV"),
    ("text/html,application/xml;q=0.9,*/*;q=0.8", "JSON rows"),
]
LISTS = [
    ("text/csv, application/json", "JSON to CSV"),
    ("application/json,text/csv", "JSON rows"),
    ("image/png, application/json", "JSON rows"),
    ("application/json, */*", "JSON rows"),
]
DTYPES = [
    (npy(ROWS.astype(np.float64)), "NPY rows"),
    (npy(ROWS.astype(np.float16)), "NPY rows"),
    (npy(ROWS.astype(">f4")), "NPY rows"),
    (npy(INTEGERS.astype(np.int64)), "JSON integers"),
    (npy(INTEGERS.astype(np.uint8)), "JSON integers"),
    (npy(INTEGERS.astype(np.uint16)), "JSON integers"),
    (npy(INTEGERS.astype(">i2")), "JSON integers"),
    (npy(np.array([[True, False, True, True]])), "JSON booleans"),
]
# Content type, then what is wrong and the body.
MALFORMED = {
    JSON: {
        "empty body": b"",
        "garbage": b"not json",
        "cut short": ROWS_JSON[:-1],
        "and more": ROWS_JSON + b"]",
        "object": b'{"instances": [[1, 2, 3, 4]]}',
        "number": b"3",
        "null": b"null",
        "strings": b'[["1", "2", "3", "4"]]',
        "null among numbers": b"[[1, 2, null, 4]]",
        "ragged": b"[[1, 2, 3, 4], [5, 6, 7]]",
        "empty list": b"[]",
        "empty rows": b"[[], []]",
        "nested too deep": b"[" * 100_000 + b"]" * 100_000,
    },
    CSV: {
        "empty body": b"",
        "header": b"a,b,c,d\n1,2,3,4\n",
        "word": b"1,2,three,4\n5,6,7,8\n",
        "ragged": b"1,2,3,4\n5,6,7\n",
        "semicolons": b"1;2;3;4\n5;6;7;8\n",
    },
    NPY: {
        "empty body": b"",
        "garbage": b"not an array at all",
        "cut short": ROWS_NPY[:-1],
        "NPZ": npz(ROWS),
        "pickled": npy(np.array([[1.0, 2.0, 3.0, 4.0]], dtype=object)),
        "strings": npy(np.array([["a", "b", "c", "d"]])),
        "complex": npy(ROWS.astype(np.complex64)),
    },
}
MISREAD = {
    JSON: {"NaN": b"[[1, 2, NaN, 4]]", "infinity": b"[[1, 2, 1e999, 4]]"},
    CSV: {
        "missing field": b"1.5,2.5,,4.5\n5.5,6.5,7.5,8.5\n",
        "nan": b"1.5,2.5,nan,4.5\n5.5,6.5,7.5,8.5\n",
        "comment": b"1,2,3,4 # first\n5,6,7,8\n",
    },
    NPY: {
        "and more": ROWS_NPY + b"\0",
        "no rows": npy(ROWS[:0]),
        "NaN": npy(np.full((1, 4), np.nan, np.float32)),
    },
}
UNFIT = {
    JSON: {"too few features": b"[[1, 2, 3]]", "too many features": b"[[1, 2, 3, 4, 5]]"},
    CSV: {"too few features": b"1,2,3\n4,5,6\n"},
    NPY: {"too few features": npy(ROWS[:, :3]), "number": npy(np.float32(1))},
}
# Everything else: name, body, content type, accept, improvement, and the request that is answered so.
SPECIAL: list[tuple[str, bytes, str | None, str, str, str | None]] = [
    (
        "JSON long integers",
        b"[[1, 2, 3, 1180591620717411303424]]",
        JSON,
        JSON,
        "any dtype",
        "JSON large number",
    ),
    ("JSON to NPY", ROWS_JSON, JSON, NPY, "dtype kept", None),
    ("NPY to NPY", ROWS_NPY, NPY, NPY, "dtype kept", None),
    ("three dimensions to NPY", BATCH_JSON, JSON, NPY, "dtype kept", None),
    ("three dimensions to CSV", BATCH_JSON, JSON, CSV, "not acceptable", None),
    ("CSV mixed", b"1.5,-2,0.25,3\n0,4,-1,0.5\n", CSV, JSON, "mixed columns", "CSV rows"),
    ("CSV one row", ROWS_CSV.splitlines()[0], CSV, JSON, "one row is a row", "JSON one row"),
    ("CSV one row to CSV", ROWS_CSV.splitlines()[0], CSV, CSV, "one row is a row", "JSON one row to CSV"),
    ("JSON not UTF-8", b'[["\xff"]]', JSON, JSON, "body is not text", None),
    ("CSV not UTF-8", b"1,2,3,\xff\n", CSV, JSON, "body is not text", None),
    ("no content type", ROWS_JSON, None, JSON, "no content type", "JSON rows"),
]


def partial(prediction: str) -> bytes:
    """Return a body that asks the script `partial` for this kind of prediction."""
    return json.dumps({"as": prediction, "rows": ROWS.tolist()}).encode()


FOUR = json.dumps({"rows": ROWS.tolist()}).encode()
SCRIPTS = [
    Request("model_fn", "JSON", ROWS_JSON),
    Request("model_fn", "CSV to CSV", ROWS_CSV, CSV, CSV),
    Request("model_fn", "NPY to JSON", ROWS_NPY, NPY),
    Request("model_fn", "NPY float64", npy(ROWS.astype(np.float64)), NPY, JSON, "any dtype", "JSON"),
    Request("model_fn", "too few features", b"[[1, 2, 3]]"),
    Request("model_fn", "garbage", b"not json", JSON, JSON, "malformed body"),
    Request("partial", "tensor", partial("tensor")),
    Request("partial", "tensor to CSV", partial("tensor"), JSON, CSV),
    Request("partial", "tensor to NPY", partial("tensor"), JSON, NPY, "dtype kept"),
    Request("partial", "type of its own", ROWS.tobytes(), RAW),
    Request("partial", "array", partial("array")),
    Request("partial", "array to CSV", partial("array"), JSON, CSV),
    Request("partial", "array to NPY", partial("array"), JSON, NPY),
    Request("partial", "list", partial("list")),
    Request("partial", "list to NPY", partial("list"), JSON, NPY),
    Request("partial", "number", partial("number")),
    Request("partial", "tuple of tensors", partial("tuple of tensors")),
    Request("partial", "list of strings", partial("list of strings")),
    Request("partial", "list of strings to CSV", partial("list of strings"), JSON, CSV, "text is JSON"),
    Request("partial", "list of strings to NPY", partial("list of strings"), JSON, NPY, "text is JSON"),
    Request("partial", "list of dicts", partial("list of dicts")),
    Request("partial", "dict", partial("dict")),
    Request("partial", "dict, no Accept", partial("dict"), JSON, None),
    Request("partial", "dict to CSV", partial("dict"), JSON, CSV, "structure is JSON"),
    Request("partial", "object", partial("object")),
    Request("partial", "garbage for input_fn", b"not json"),
    Request("four", "JSON", FOUR),
    Request("four", "JSON with charset", FOUR, "application/json; charset=utf-8"),
    Request("four", "JSON to CSV", FOUR, JSON, CSV),
    Request("four", "CSV to CSV", ROWS_CSV, CSV, CSV),
    Request("four", "type of its own", ROWS.tobytes(), RAW, RAW),
    Request("four", "no Accept", FOUR, JSON, None),
    Request("four", "Accept */*", FOUR, JSON, "*/*"),
    Request("four", "Accept a list", FOUR, JSON, f"{CSV}, {JSON}", "one type for the script", "JSON to CSV"),
    Request(
        "four", "Accept by quality", FOUR, JSON, f"{CSV};q=0.1, {JSON}", "one type for the script", "JSON"
    ),
    Request("four", "type that input_fn refuses", FOUR, "text/plain"),
    Request("four", "type that output_fn refuses", FOUR, JSON, "image/png"),
    Request("four", "key is missing", b"{}"),
    Request("four", "not UTF-8", b'{"rows": "\xff"}', JSON, JSON, "body is not text"),
    Request("four", "wrong shape", b'{"rows": [[1.0, 2.0]]}'),
    Request(
        "four",
        "error with a status",
        b'{"rows": [[], [], [], []]}',
        JSON,
        JSON,
        "status of the script's error",
    ),
    Request("context", "JSON", ROWS_JSON),
    Request("context", "with a header", ROWS_JSON, attributes="2.5"),
    Request("context", "with a wrong header", ROWS_JSON, attributes="x"),
    Request("transform", "JSON", ROWS_JSON),
    Request("transform", "types of its own", ROWS_JSON, "application/x-a; b=c", "application/x-b; c=d"),
    Request("transform", "no Accept", ROWS_JSON, JSON, None),
    Request("transform", "garbage", b"not json"),
    Request("transform_context", "JSON", ROWS_JSON),
    Request("transform_context", "with a header", ROWS_JSON, attributes="-1"),
]


def _default_requests() -> Iterator[Request]:
    """Yield the requests to a model without a script."""
    plain = {}
    for name, body, content_type, accept in PLAIN:
        plain[name] = Request(NO_SCRIPT, name, body, content_type, accept)
    yield from plain.values()
    for header, like in CONTENT_TYPES:
        body, improvement = plain[like].body, "content type with parameters"
        yield Request(NO_SCRIPT, f"content type {header}", body, header, JSON, improvement, like)
    for improvement, headers in (("accept header", ACCEPTS), ("one content type", LISTS)):
        for header, like in headers:
            yield Request(NO_SCRIPT, f"Accept {header}", ROWS_JSON, JSON, header, improvement, like)
    for body, like in DTYPES:
        name = f"NPY {np.load(io.BytesIO(body)).dtype.str}"
        yield Request(NO_SCRIPT, name, body, NPY, JSON, "any dtype", like)
    # The model's exception is a server error to both.
    for kinds, improvement in ((MALFORMED, "malformed body"), (MISREAD, "misread body"), (UNFIT, None)):
        for content_type, bodies in kinds.items():
            for wrong, body in bodies.items():
                name = f"{content_type} wrong: {wrong}"
                yield Request(NO_SCRIPT, name, body, content_type, JSON, improvement)
    quoted = b'"1","2","3","4"\n"5","6","7","8"\n'
    yield Request(NO_SCRIPT, "CSV with quotes", quoted, CSV, JSON, "quoted fields", "CSV integers")
    for content_type in (
        "application/json; charset=latin-1",
        "text/plain",
        "application/x-npz",
        "application/octet-stream",
        "json",
    ):
        name = f"content type {content_type}"
        yield Request(NO_SCRIPT, name, ROWS_JSON, content_type, JSON, "content type not supported")
    for accept in ("image/png", "application/x-npz", "application/json;q=0", "json"):
        yield Request(NO_SCRIPT, f"Accept {accept}", ROWS_JSON, JSON, accept, "not acceptable")
    for values in SPECIAL:
        yield Request(NO_SCRIPT, *values)


REQUESTS = [*_default_requests(), *SCRIPTS]
