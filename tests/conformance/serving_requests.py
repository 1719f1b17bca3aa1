"""The table of requests: what is sent to a script's servers, and which improvement its answers show, if any."""

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .four_servers import NO_SCRIPT

JSON, CSV, NPY = "application/json", "text/csv", "application/x-npy"

ROWS = np.array([[1.5, -2, 0.25, 3], [0, 4, -1, 0.5]], dtype=np.float32)
JSON_ROWS = json.dumps(ROWS.tolist()).encode()
CSV_ROWS = b"1.5,-2,0.25,3\n0,4,-1,0.5\n"
CSV_ROW = b"1.5,-2,0.25,3\n"


@dataclass(frozen=True)
class Request:
    """One request.

    Parameters
    ----------
    script
        The script that serves it.
    name
        What is special about it.
    body, content_type, accept, attributes
        What is sent; a header that is None is not.
    improvement
        Name of the listed improvement that the answers show. Defaults to none: they are equal.
    """

    script: str
    name: str
    body: bytes
    content_type: str | None = JSON
    accept: str | None = JSON
    attributes: str | None = None
    improvement: str | None = None


def npy(array: Any, version: tuple[int, int] | None = None) -> bytes:
    """Return an array as an NPY file."""
    file = io.BytesIO()
    np.lib.format.write_array(file, np.asanyarray(array), version)
    return file.getvalue()


def npz(array: Any) -> bytes:
    """Return an array as an NPZ file."""
    file = io.BytesIO()
    np.savez(file, array=array)
    return file.getvalue()


NPY_ROWS = npy(ROWS)

# Script, name, body, content type, accept, improvement.
BY_DEFAULT = [
    # Bodies that both read.
    ("JSON rows", JSON_ROWS, JSON, JSON, None),
    ("JSON row without brackets", b"[1, 2, 3, 4]", JSON, JSON, None),
    ("JSON integers", b"[[1, 2, 3, 4]]", JSON, JSON, None),
    ("JSON booleans", b"[[true, false, true, true]]", JSON, JSON, None),
    ("JSON in three dimensions", json.dumps([ROWS.tolist()] * 3).encode(), JSON, JSON, None),
    ("JSON with white space", b" [ [1,\n2,\t3, 4] ]\r\n", JSON, JSON, None),
    ("JSON of 1000 rows", json.dumps(np.tile(ROWS, (500, 1)).tolist()).encode(), JSON, JSON, None),
    ("CSV rows", CSV_ROWS, CSV, JSON, None),
    ("CSV without a last line end", CSV_ROWS.strip(), CSV, JSON, None),
    ("CSV with CRLF", CSV_ROWS.replace(b"\n", b"\r\n"), CSV, JSON, None),
    ("CSV with spaces", CSV_ROWS.replace(b",", b" , "), CSV, JSON, None),
    ("CSV with a blank line", CSV_ROWS.replace(b"\n", b"\n\n"), CSV, JSON, None),
    ("CSV with exponents", b"1e0,-2.5E-1,+3,.5\n1,2,3,4\n", CSV, JSON, None),
    ("NPY rows", NPY_ROWS, NPY, JSON, None),
    ("NPY row in one dimension", npy(ROWS[0]), NPY, JSON, None),
    ("NPY in Fortran order", npy(np.asfortranarray(ROWS)), NPY, JSON, None),
    ("NPY of version 2", npy(ROWS, (2, 0)), NPY, JSON, None),
    ("NPY of version 3", npy(ROWS, (3, 0)), NPY, JSON, None),
    # Answers.
    ("JSON to CSV", JSON_ROWS, JSON, CSV, None),
    ("one dimension to CSV", b"[1, 2, 3, 4]", JSON, CSV, None),
    ("CSV to CSV", CSV_ROWS, CSV, CSV, None),
    ("JSON to NPY", JSON_ROWS, JSON, NPY, None),
    ("NPY to NPY", NPY_ROWS, NPY, NPY, None),
    ("three dimensions to NPY", json.dumps([ROWS.tolist()] * 3).encode(), JSON, NPY, None),
    ("three dimensions to CSV", json.dumps([ROWS.tolist()] * 3).encode(), JSON, CSV, None),
    ("no Accept", JSON_ROWS, JSON, None, None),
    ("empty Accept", JSON_ROWS, JSON, "", None),
    ("Accept */*", JSON_ROWS, JSON, "*/*", None),
    ("Accept application/*", JSON_ROWS, JSON, "application/*", None),
    ("Accept text/*", JSON_ROWS, JSON, "text/*", None),
    ("Accept in upper case", JSON_ROWS, JSON, "Text/CSV", None),
    ("Accept with charset", JSON_ROWS, JSON, "application/json; charset=utf-8", None),
    ("Accept with quality", JSON_ROWS, JSON, "text/csv;q=0.5", None),
    ("Accept any with quality", JSON_ROWS, JSON, "*/*;q=0.1", None),
    ("Accept by quality", JSON_ROWS, JSON, "application/json;q=0.2, text/csv;q=0.9", None),
    ("Accept excludes JSON", JSON_ROWS, JSON, "application/json;q=0, */*;q=0.5", None),
    ("Accept CSV, JSON", JSON_ROWS, JSON, "text/csv, application/json", None),
    ("Accept JSON, CSV", JSON_ROWS, JSON, "application/json,text/csv", None),
    ("Accept PNG, JSON", JSON_ROWS, JSON, "image/png, application/json", None),
    ("Accept JSON, any", JSON_ROWS, JSON, "application/json, */*", None),
    ("Accept of a browser", JSON_ROWS, JSON, "text/html,application/xml;q=0.9,*/*;q=0.8", None),
    ("Accept PNG", JSON_ROWS, JSON, "image/png", None),
    ("Accept NPZ", JSON_ROWS, JSON, "application/x-npz", None),
    ("Accept nothing of ours, by quality", JSON_ROWS, JSON, "application/json;q=0", None),
    ("Accept garbage", JSON_ROWS, JSON, "json", None),
    # Content types.
    ("content type with charset", JSON_ROWS, "application/json; charset=utf-8", JSON, None),
    ("content type with quoted charset", JSON_ROWS, 'application/json;charset="UTF-8"', JSON, None),
    ("content type in mixed case", JSON_ROWS, "Application/JSON", JSON, None),
    ("CSV with charset", CSV_ROWS, "text/csv; charset=utf-8", JSON, None),
    ("CSV with header parameter", CSV_ROWS, "text/csv; header=absent", JSON, None),
    ("CSV in upper case", CSV_ROWS, "TEXT/CSV", JSON, None),
    ("NPY with a parameter", NPY_ROWS, "application/x-npy; version=1", JSON, None),
    ("charset that is not UTF-8", JSON_ROWS, "application/json; charset=latin-1", JSON, None),
    ("plain text", JSON_ROWS, "text/plain", JSON, None),
    ("NPZ", npz(ROWS), "application/x-npz", JSON, None),
    ("octets", NPY_ROWS, "application/octet-stream", JSON, None),
    ("content type garbage", JSON_ROWS, "json", JSON, None),
    ("no content type", JSON_ROWS, None, JSON, None),
    # Dtypes.
    ("NPY float64", npy(ROWS.astype(np.float64)), NPY, JSON, None),
    ("NPY float16", npy(ROWS.astype(np.float16)), NPY, JSON, None),
    ("NPY int64", npy(ROWS.astype(np.int64)), NPY, JSON, None),
    ("NPY uint8", npy(np.abs(ROWS).astype(np.uint8)), NPY, JSON, None),
    ("NPY uint16", npy(np.abs(ROWS).astype(np.uint16)), NPY, JSON, None),
    ("NPY bool", npy(ROWS > 0), NPY, JSON, None),
    ("NPY big-endian", npy(ROWS.astype(">f4")), NPY, JSON, None),
    ("NPY complex", npy(ROWS.astype(np.complex64)), NPY, JSON, None),
    ("JSON integers of 70 bits", b"[[1, 2, 3, 1180591620717411303424]]", JSON, JSON, None),
    # Mistakes.
    ("JSON empty body", b"", JSON, JSON, None),
    ("JSON garbage", b"not json", JSON, JSON, None),
    ("JSON cut short", JSON_ROWS[:-1], JSON, JSON, None),
    ("JSON and more", JSON_ROWS + b"]", JSON, JSON, None),
    ("JSON not UTF-8", b'[["\xff"]]', JSON, JSON, None),
    ("JSON with a byte order mark", b"\xef\xbb\xbf" + JSON_ROWS, JSON, JSON, None),
    ("JSON object", b'{"instances": [[1, 2, 3, 4]]}', JSON, JSON, None),
    ("JSON number", b"3", JSON, JSON, None),
    ("JSON null", b"null", JSON, JSON, None),
    ("JSON strings", b'[["1", "2", "3", "4"]]', JSON, JSON, None),
    ("JSON words", b'[["a", "b", "c", "d"]]', JSON, JSON, None),
    ("JSON with null", b"[[1, 2, null, 4]]", JSON, JSON, None),
    ("JSON ragged", b"[[1, 2, 3, 4], [5, 6, 7]]", JSON, JSON, None),
    ("JSON empty list", b"[]", JSON, JSON, None),
    ("JSON empty rows", b"[[], []]", JSON, JSON, None),
    ("JSON too few features", b"[[1, 2, 3]]", JSON, JSON, None),
    ("JSON nested too deep", b"[" * 100_000 + b"]" * 100_000, JSON, JSON, None),
    ("JSON NaN", b"[[1, 2, NaN, 4]]", JSON, JSON, None),
    ("JSON infinity", b"[[1, 2, 1e999, 4]]", JSON, JSON, None),
    ("CSV empty body", b"", CSV, JSON, None),
    ("CSV one row", CSV_ROW, CSV, JSON, None),
    ("CSV one row to CSV", CSV_ROW, CSV, CSV, None),
    ("CSV one row to NPY", CSV_ROW, CSV, NPY, None),
    ("CSV missing field", b"1,2,,4\n5,6,7,8\n", CSV, JSON, None),
    ("CSV nan", b"1,2,nan,4\n5,6,7,8\n", CSV, JSON, None),
    ("CSV with a header", b"a,b,c,d\n1,2,3,4\n", CSV, JSON, None),
    ("CSV words", b"1,2,three,4\n5,6,7,8\n", CSV, JSON, None),
    ("CSV quoted", b'"1","2","3","4"\n"5","6","7","8"\n', CSV, JSON, None),
    ("CSV ragged", b"1,2,3,4\n5,6,7\n", CSV, JSON, None),
    ("CSV with semicolons", b"1;2;3;4\n5;6;7;8\n", CSV, JSON, None),
    ("CSV with a comment", b"1,2,3,4 # first\n5,6,7,8\n", CSV, JSON, None),
    ("CSV not UTF-8", b"1,2,3,\xff\n", CSV, JSON, None),
    ("CSV too few features", b"1,2,3\n4,5,6\n", CSV, JSON, None),
    ("NPY empty body", b"", NPY, JSON, None),
    ("NPY garbage", b"not an array at all", NPY, JSON, None),
    ("NPY cut short", NPY_ROWS[:-1], NPY, JSON, None),
    ("NPY and more", NPY_ROWS + b"\0", NPY, JSON, None),
    ("NPY is NPZ", npz(ROWS), NPY, JSON, None),
    ("NPY pickled", npy(np.array([[1.0, 2.0, 3.0, 4.0]], dtype=object)), NPY, JSON, None),
    ("NPY of no rows", npy(ROWS[:0]), NPY, JSON, None),
    ("NPY number", npy(np.float32(1)), NPY, JSON, None),
    ("NPY strings", npy(np.array([["a", "b", "c", "d"]])), NPY, JSON, None),
    ("NPY NaN", npy(np.full((1, 4), np.nan, np.float32)), NPY, JSON, None),
    ("NPY too few features", npy(ROWS[:, :3]), NPY, JSON, None),
]

FOUR_ROWS = json.dumps({"rows": ROWS.tolist()}).encode()
ROW_BYTES = "application/x-rows"
BY_SCRIPTS = [
    ("model_fn", "JSON", JSON_ROWS, JSON, JSON, None),
    ("model_fn", "CSV to CSV", CSV_ROWS, CSV, CSV, None),
    ("model_fn", "NPY to JSON", NPY_ROWS, NPY, JSON, None),
    ("model_fn", "NPY float64", npy(ROWS.astype(np.float64)), NPY, JSON, None),
    ("model_fn", "garbage", b"not json", JSON, JSON, None),
    ("input_fn", "its own JSON", b'["1 2 3 4", "5 6 7 8"]', JSON, JSON, None),
    ("input_fn", "its own bytes", ROWS.tobytes(), ROW_BYTES, JSON, None),
    ("input_fn", "CSV answer", ROWS.tobytes(), ROW_BYTES, CSV, None),
    ("input_fn", "no content type", ROWS.tobytes(), None, JSON, None),
    ("input_fn", "garbage", b"not json", JSON, JSON, None),
    ("predict_fn", "dict", b"[[0, 2, 3, 4]]", JSON, JSON, None),
    ("predict_fn", "list of dicts", b"[[1, 2, 3, 4]]", JSON, JSON, None),
    ("predict_fn", "list of strings", b"[[2, 2, 3, 4]]", JSON, JSON, None),
    ("predict_fn", "array", b"[[3, 2, 3, 4]]", JSON, JSON, None),
    ("predict_fn", "list", b"[[4, 2, 3, 4]]", JSON, JSON, None),
    ("predict_fn", "tuple of tensors", b"[[5, 2, 3, 4]]", JSON, JSON, None),
    ("predict_fn", "number", b"[[6, 2, 3, 4]]", JSON, JSON, None),
    ("predict_fn", "nested dict", b"[[7, 2, 3, 4]]", JSON, JSON, None),
    ("predict_fn", "object", b"[[8, 2, 3, 4]]", JSON, JSON, None),
    ("predict_fn", "array to CSV", b"[[3, 2, 3, 4]]", JSON, CSV, None),
    ("predict_fn", "list to NPY", b"[[4, 2, 3, 4]]", JSON, NPY, None),
    ("predict_fn", "list of strings to CSV", b"[[2, 2, 3, 4]]", JSON, CSV, None),
    ("predict_fn", "list of strings to NPY", b"[[2, 2, 3, 4]]", JSON, NPY, None),
    ("predict_fn", "dict to CSV", b"[[0, 2, 3, 4]]", JSON, CSV, None),
    ("predict_fn", "dict, any answer", b"[[0, 2, 3, 4]]", JSON, None, None),
    ("four", "JSON", FOUR_ROWS, JSON, JSON, None),
    ("four", "JSON with charset", FOUR_ROWS, "application/json; charset=utf-8", JSON, None),
    ("four", "CSV text to CSV", CSV_ROWS, CSV, CSV, None),
    ("four", "its own type in and out", ROWS.tobytes(), ROW_BYTES, ROW_BYTES, None),
    ("four", "no Accept", FOUR_ROWS, JSON, None, None),
    ("four", "Accept */*", FOUR_ROWS, JSON, "*/*", None),
    ("four", "Accept CSV, JSON", FOUR_ROWS, JSON, "text/csv, application/json", None),
    ("four", "Accept by quality", FOUR_ROWS, JSON, "text/csv;q=0.1, application/json", None),
    ("four", "type that input_fn refuses", FOUR_ROWS, "text/plain", JSON, None),
    ("four", "type that output_fn refuses", FOUR_ROWS, JSON, "image/png", None),
    ("four", "key is missing", b"{}", JSON, JSON, None),
    ("four", "not UTF-8", b'{"rows": "\xff"}', JSON, JSON, None),
    ("four", "wrong shape", b'{"rows": [[1, 2]]}', JSON, JSON, None),
    ("four", "error with a status", json.dumps({"rows": [[1.0] * 4] * 4}).encode(), JSON, JSON, None),
    ("context", "JSON", JSON_ROWS, JSON, JSON, None),
    ("context", "with a header", JSON_ROWS, JSON, JSON, None, "2.5"),
    ("context", "header that is no number", JSON_ROWS, JSON, JSON, None, "x"),
    ("transform", "JSON", JSON_ROWS, JSON, JSON, None),
    ("transform", "types of its own", JSON_ROWS, "application/x-a; b=c", "application/x-b; c=d", None),
    ("transform", "no Accept", JSON_ROWS, JSON, None, None),
    ("transform", "garbage", b"not json", JSON, JSON, None),
    ("transform_context", "JSON", JSON_ROWS, JSON, JSON, None),
    ("transform_context", "with a header", JSON_ROWS, JSON, JSON, None, "-1"),
]


def _requests() -> Iterator[Request]:
    for name, body, content_type, accept, improvement in BY_DEFAULT:
        yield Request(NO_SCRIPT, name, body, content_type, accept, None, improvement)
    for script, name, body, content_type, accept, improvement, *attributes in BY_SCRIPTS:
        yield Request(script, name, body, content_type, accept, *(attributes or [None]), improvement)


REQUESTS = list(_requests())
