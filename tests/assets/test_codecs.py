import io
import json
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from serving.codecs import CSV, JSON, JSON_LINES, NPY, SUPPORTED, Limits, decode, encode
from serving.errors import (
    BodyTooLargeError,
    MalformedBodyError,
    NotAcceptableError,
    PredictionEncodingError,
    RequestError,
    UnsupportedContentTypeError,
)

ALLOWING = Limits(allow_non_finite=True)


def numbers(dtype):
    options = {"allow_nan": False, "allow_infinity": False} if np.dtype(dtype).kind == "f" else {}
    return arrays.from_dtype(np.dtype(dtype), **options)


def tables(dtype, dimensions):
    shapes = arrays.array_shapes(min_dims=dimensions, max_dims=dimensions, max_side=6)
    return arrays.arrays(dtype, shapes, elements=numbers(dtype))


DTYPES = st.sampled_from(["float32", "float64", "float16", "int64", "int32", "uint8", "bool", ">f4", ">i8"])


@given(st.data(), DTYPES, st.integers(0, 5))
def test_npy_round_trip_keeps_values_shape_and_dtype(data, dtype, dimensions):
    array = data.draw(tables(dtype, dimensions))

    body, content_type = encode(array, NPY)
    by_numpy = np.load(io.BytesIO(body), allow_pickle=False)
    decoded = decode(body, NPY)

    assert content_type == NPY
    for other in (by_numpy, decoded):
        np.testing.assert_array_equal(other, array)
        assert other.shape == array.shape
    assert by_numpy.dtype == array.dtype
    assert decoded.dtype == array.dtype.newbyteorder("=")
    assert decoded.flags.writeable


@given(st.data(), DTYPES, st.integers(1, 4))
def test_json_round_trip_is_exact(data, dtype, dimensions):
    array = data.draw(tables(dtype, dimensions))

    body, content_type = encode(array, JSON)

    assert content_type == JSON
    np.testing.assert_array_equal(np.array(json.loads(body)).astype(array.dtype), array)
    decoded = decode(body, JSON)
    assert decoded.shape == array.shape
    np.testing.assert_array_equal(decoded.astype(array.dtype), array)


@given(st.data(), st.sampled_from(["float32", "float64", "int64", "uint8", "bool"]))
def test_csv_round_trip_is_exact(data, dtype):
    array = data.draw(tables(dtype, 2))

    body, content_type = encode(array, CSV)

    assert content_type == CSV
    if array.dtype.kind == "i":
        array = array.astype(np.float64)  # what CSV is read as
    np.testing.assert_array_equal(decode(body, CSV).astype(array.dtype), array)


@pytest.mark.parametrize("rows", [1, 700])
@pytest.mark.parametrize("content_type", [JSON, CSV])
def test_large_float32_arrays_read_back_exactly(rows, content_type):
    bits = np.random.RandomState(0).randint(0, 2**32, rows * 100, dtype=np.uint32)
    array = bits.view(np.float32)
    array = np.where(np.isfinite(array), array, 0).astype(np.float32).reshape(rows, 100)
    array[0, :6] = [0.0, -0.0, 1e-45, -1e-45, 3.4028235e38, 9.9999999e-5]

    body, _ = encode(array, content_type)

    decoded = decode(body, content_type).astype(np.float32)
    np.testing.assert_array_equal(decoded.view(np.uint32), array.view(np.uint32))


@given(st.data())
def test_npy_that_numpy_writes_is_read(data):
    array = data.draw(tables(data.draw(DTYPES), data.draw(st.integers(0, 4))))
    stream = io.BytesIO()
    version = data.draw(st.sampled_from([(1, 0), (2, 0), (3, 0)]))
    order = data.draw(st.sampled_from(["C", "F"]))
    np.lib.format.write_array(stream, np.asarray(array, order=order), version=version, allow_pickle=False)

    np.testing.assert_array_equal(decode(stream.getvalue(), NPY), array)


def test_npy_of_other_writers_is_read():
    header = b'{"shape": (2L, 1L), "fortran_order": False, "descr": "<i2"}\n'
    body = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + b"\x01\x00\x02\x00"

    assert decode(body, NPY).tolist() == [[1], [2]]


def test_npy_in_a_bytearray_is_not_copied(npy):
    body = bytearray(npy(np.zeros((4, 4), np.float32)))

    array = decode(body, NPY)
    array[3, 3] = 1

    assert body[-4:] == np.float32(1).tobytes()


def test_npy_in_bytes_is_copied(npy):
    body = npy(np.zeros((4, 4), np.float32))

    decode(body, NPY)[:] = 1

    assert decode(body, NPY).sum() == 0


class Explosive:
    def __reduce__(self):
        return (exec, ("import serving; serving.exploded = True",))


@pytest.mark.parametrize("content_type", SUPPORTED)
def test_fails_when_a_body_holds_a_pickle_and_runs_none_of_it(content_type):
    import serving

    stream = io.BytesIO()
    np.save(stream, np.array([Explosive()], dtype=object), allow_pickle=True)
    for body in (stream.getvalue(), pickle.dumps(Explosive())):
        with pytest.raises(MalformedBodyError):
            decode(body, content_type)

    assert not hasattr(serving, "exploded")


def header_of(descr="'<f4'", order="False", shape="(1,)", magic=b"\x93NUMPY\x01\x00", data=b"\0\0\0\0"):
    header = f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n".encode()
    return magic + len(header).to_bytes(2, "little") + header + data


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "does not start with the magic string"),
        (b"\x93NUMPY\x01\x00", "does not start with the magic string"),
        (b"PK\x03\x04" + bytes(20), "does not start with the magic string"),
        (header_of(descr="'|O'"), r"must hold numbers or booleans, got the dtype '\|O'"),
        (header_of(descr="[('a', '<f4')]"), r"must hold numbers or booleans, got the dtype \[\('a'"),
        (header_of(descr="'<U4'"), "must hold numbers or booleans"),
        (header_of(descr="'<c8'"), "must hold numbers or booleans"),
        (header_of(descr="'<f3'"), "the NPY header is malformed"),
        (header_of(order="1"), "the NPY header is malformed"),
        (header_of(shape="(-1,)"), "the NPY header is malformed"),
        (header_of(shape="(__import__('os'),)"), "the NPY header is malformed"),
        (header_of(shape="(2,)"), r"of shape \(2,\) and dtype float32 must have 8 bytes, got 4"),
        (header_of(shape="(1000000000000,)"), "must have 4000000000000 bytes, got 4"),
        (header_of(data=b"\0" * 5), "must have 4 bytes, got 5"),
        (header_of(shape="(0,)", data=b""), r"must not be empty and have at most 16 dimensions, got \(0,\)"),
        (header_of(shape="(1, 10000000000000, 0)", data=b""), "must not be empty"),
        (header_of(shape="(" + "1," * 17 + ")"), "at most 16 dimensions"),
        (header_of(shape="(" + "1," * 100 + ")"), "at most 16 dimensions"),
        (header_of(data=np.float32(np.nan).tobytes()), r"the number at \[0\] must be finite, got nan"),
        (header_of()[:40], "the NPY header is malformed"),
    ],
)
def test_fails_when_an_npy_is_malformed(body, message):
    with pytest.raises(MalformedBodyError, match=message):
        decode(body, NPY)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"[1, 2]", np.array([1, 2])),
        (b"[[1.5, 2], [3, 4]]", np.array([[1.5, 2], [3, 4]])),
        (b" [[[1]]] ", np.array([[[1]]])),
        (b"[true, false]", np.array([True, False])),
        (b"[[[1.5, 2], [3, true]]]", np.array([[[1.5, 2], [3, 1]]])),
        (b"[1e3, -0.0]", np.array([1000.0, -0.0])),
        (b"[36893488147419103232, 1]", np.array([36893488147419103232.0, 1.0])),
        ("[1, 2]", np.array([1, 2])),
        (bytearray(b"[1, 2]"), np.array([1, 2])),
        (b"\xef\xbb\xbf[1, 2]", np.array([1, 2])),
    ],
)
def test_json_lists_are_arrays(body, expected):
    array = decode(body, JSON)

    np.testing.assert_array_equal(array, expected)
    assert array.dtype == expected.dtype


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the body is not JSON: "),
        (b"[1, 2", "the body is not JSON: .*char [56]"),
        (b"\xff\xfe", "the body is not JSON: "),
        (b"[1] [2]", "the body is not JSON: "),
        (b'{"instances": [1]}', "must be one JSON list of numbers, got an object"),
        (b"3", "must be one JSON list of numbers, got a number"),
        (b"null", "must be one JSON list of numbers, got null"),
        (b'[[1, 2], [3, "4"]]', r"the item at \[1\]\[1\] must be a number, got a string"),
        (b"[[1, 2], [3, null]]", r"the item at \[1\]\[1\] must be a number, got null"),
        (b"[[1, 2], [3]]", r"the list at \[1\] must have 2 items, as the first one has, got 1"),
        (b"[[1, 2], 3]", r"the item at \[1\] must be a list, as the first one is, got a number"),
        (b"[[1.5, 2], [3]]", r"the list at \[1\] must have 2 items, as the first one has, got 1"),
        (b"[[1.5, 2], 3]", r"the item at \[1\] must be a list, as the first one is, got a number"),
        (b'[[1.5, 2], [3, "4"]]', r"the item at \[1\]\[1\] must be a number, got a string"),
        (b"[[1.5, 2], [3, null]]", r"the item at \[1\]\[1\] must be a number, got null"),
        (b"[[1.5], [[2]]]", r"the item at \[1\]\[0\] must be a number, got a list"),
        (b"[[[1.5], [2]], [[3], []]]", r"the list at \[1\]\[1\] must have 1 items"),
        (b"[1, [2]]", r"the item at \[1\] must be a number, got a list"),
        (b"[[], []]", r"the array must not be empty, got the shape \(2, 0\)"),
        (b"[]", "the array must not be empty"),
        (b"[" * 17 + b"1" + b"]" * 17, "nested at most 16 deep, got 17"),
        (b"[" * 100_000 + b"]" * 100_000, "the body is not JSON|nested at most 16 deep"),
        (b"[" * 100_000, "the body is not JSON"),
        (b"[1" + b"0" * 400 + b"]", "out of range|not JSON|must be finite"),
        (b"[[1, NaN]]", r"not JSON|the number at \[0\]\[1\] must be finite, got nan"),
        (b"[1e999]", r"not JSON|the number at \[0\] must be finite, got inf"),
    ],
)
def test_fails_when_json_is_no_array_of_numbers(body, message):
    with pytest.raises(MalformedBodyError, match=message):
        decode(body, JSON)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"1,2\n3,4\n", [[1, 2], [3, 4]]),
        (b"1,2\r\n3,4", [[1, 2], [3, 4]]),
        (b"1,2", [[1, 2]]),
        (b"1\n2\n3", [[1], [2], [3]]),
        (b"\xef\xbb\xbf 1.5 , -2e-3\n", [[1.5, -0.002]]),
        (b"1,2\n\n3,4\n\n", [[1, 2], [3, 4]]),
        (b"+.5,1.\n", [[0.5, 1]]),
        ("1,2", [[1, 2]]),
        (bytearray(b"1,2"), [[1, 2]]),
    ],
)
def test_csv_lines_are_rows(body, expected):
    array = decode(body, CSV)

    np.testing.assert_array_equal(array, expected)
    assert array.dtype == np.float64


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "at least one line of numbers, got none"),
        (b"\n \n", "at least one line of numbers, got none"),
        (b"1,2\n3\n", "line 2 must have 2 fields, as the first one has, got 1"),
        (b"1,2\n\n3,4,5\n", "line 3 must have 2 fields, as the first one has, got 3"),
        (b"a,b\n1,2\n", "line 1, field 1 must be a number, got 'a'"),
        (b"1,\n", "line 1, field 2 must be a number, got ''"),
        (b"1,2\n1_0,3\n", "line 2, field 1 must be a number, got '1_0'"),
        (b"1;2\n", "line 1, field 1 must be a number, got '1;2'"),
        (b"0x10\n", "line 1, field 1 must be a number, got '0x10'"),
        ("\u0661\n", "line 1, field 1 must be a number"),
        (b"1,nan\n", r"the number at \[0\]\[1\] must be finite, got nan"),
        (b"1e999\n", r"the number at \[0\]\[0\] must be finite, got inf"),
        (b"\xff\n", "the body is not UTF-8: invalid start byte at byte 0"),
        (b"1,2,#3\n", "line 1, field 3 must be a number, got '#3'"),
    ],
)
def test_fails_when_csv_is_no_table_of_numbers(body, message):
    with pytest.raises(MalformedBodyError, match=message):
        decode(body, CSV)


@given(st.data(), st.sampled_from(["f4", "f8", "i8"]), st.integers(1, 3))
def test_json_lines_round_trip_is_exact(data, dtype, dimensions):
    array = data.draw(tables(dtype, dimensions))
    body, content_type = encode(array, JSON_LINES)
    assert content_type == JSON_LINES
    assert body.count(b"\n") == len(array)
    np.testing.assert_array_equal(decode(body, JSON_LINES).astype(dtype), array)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"[1, 2]\n[3, 4]", [[1, 2], [3, 4]]),
        (b"\xef\xbb\xbf[1]\r\n\n[2]\r\n", [[1], [2]]),
        ("1\n2.5\n", [1, 2.5]),
        (b"[[1], [2]]\n[[3], [4]]\n", [[[1], [2]], [[3], [4]]]),
    ],
)
def test_json_lines_are_rows(body, expected):
    np.testing.assert_array_equal(decode(body, JSON_LINES), expected)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"[1]\n[2", "line 2 is not JSON"),
        (b"[1, 2], [3\n4]", "line 1 is not JSON"),
        (b"\n \n", "must hold at least one line of JSON, got none"),
        (b"[1]\n\xff", "is not UTF-8"),
        (b"[1, 2]\n[3]", r"\[1\]"),
        (b'[1]\n{"a": 1}', r"\[1\]"),
    ],
)
def test_fails_when_json_lines_are_no_rows_of_numbers(body, message):
    with pytest.raises(MalformedBodyError, match=message):
        decode(body, JSON_LINES)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"[[1, NaN], [Infinity, -Infinity]]", JSON),
        (b"1,nan\ninf,-inf\n", CSV),
        (b"1,\ninf,-Infinity\n", CSV),
    ],
)
def test_non_finite_numbers_pass_where_they_are_allowed(body, content_type):
    array = decode(body, content_type, ALLOWING)

    np.testing.assert_array_equal(array, [[1, np.nan], [np.inf, -np.inf]])
    text, _ = encode(array, content_type, ALLOWING)
    np.testing.assert_array_equal(decode(text, content_type, ALLOWING), array)


def test_large_finite_numbers_are_not_taken_for_infinities(npy):
    array = np.full((50, 3), 3e38, np.float32)

    np.testing.assert_array_equal(decode(npy(array), NPY), array)


@pytest.mark.parametrize(
    "content_type",
    ["application/json; charset=utf-8", "Application/JSON", 'application/json;charset="UTF-8"'],
)
def test_content_types_are_read_as_http_says(content_type):
    assert decode(b"[1]", content_type).tolist() == [1]


@pytest.mark.parametrize(
    "content_type", [None, "", "text/plain", "application/x-npz", "application/json; charset=utf-16"]
)
def test_fails_when_the_content_type_is_unknown(content_type):
    with pytest.raises(UnsupportedContentTypeError) as failure:
        decode(b"[1]", content_type)

    assert failure.value.status == 415


def test_fails_when_the_body_is_too_large():
    with pytest.raises(BodyTooLargeError, match="at most 4 bytes, got 5") as failure:
        decode(b"[1.5]", JSON, Limits(max_bytes=4))

    assert failure.value.status == 413


def test_limits_come_from_the_environment(monkeypatch):
    assert Limits.from_environment() == Limits(2**30, 16, False)
    monkeypatch.setenv("CDK_SAGEMAKER_PYTORCH_MAX_BODY_BYTES", "100")
    monkeypatch.setenv("CDK_SAGEMAKER_PYTORCH_ALLOW_NON_FINITE", "true")
    assert Limits.from_environment() == Limits(100, 16, True)


@pytest.mark.parametrize(
    ("array", "accept", "body", "content_type"),
    [
        (np.array([[1.5, 2.0]], np.float32), "text/csv, application/json;q=0.5", b"1.5,2.0\n", CSV),
        (np.array([1, 2]), "text/csv", b"1\n2\n", CSV),
        (np.array(3.0), "text/csv", b"3.0\n", CSV),
        (np.array(3.0), None, b"3.0", JSON),
        ([[1, 2], [3, 4]], "*/*", b"[[1, 2], [3, 4]]", JSON),
        (np.array([True]), "application/json", b"[true]", JSON),
    ],
)
def test_answers_have_the_type_that_was_negotiated(array, accept, body, content_type):
    answer, answered = encode(array, accept)

    assert answer.replace(b" ", b"") == body.replace(b" ", b"")
    assert answered == content_type


def test_three_dimensions_are_not_offered_as_csv():
    array = np.zeros((2, 2, 2))

    assert encode(array, "text/csv, application/json;q=0.1")[1] == JSON
    with pytest.raises(
        NotAcceptableError, match="accept must allow one of application/json, application/x-npy"
    ) as failure:
        encode(array, "text/csv")
    assert failure.value.status == 406


@pytest.mark.parametrize("array", ["text", [object()], [[1], [2, 3]], {"a": 1}, None])
def test_fails_when_the_prediction_holds_no_numbers(array):
    with pytest.raises((PredictionEncodingError, ValueError)) as failure:
        encode(array, JSON)

    assert not isinstance(failure.value, RequestError)


def test_fails_when_json_cannot_carry_the_prediction():
    array = np.array([[1, 2], [3, np.inf]])

    with pytest.raises(
        PredictionEncodingError, match=r"the prediction at \[1\]\[1\] is inf, which JSON cannot carry"
    ):
        encode(array, JSON)
    np.testing.assert_array_equal(np.load(io.BytesIO(encode(array, NPY)[0])), array)
    assert encode(array, CSV)[0].splitlines()[1] == b"3.0,inf"


@settings(max_examples=300)
@given(
    st.one_of(
        st.binary(max_size=200),
        st.text(alphabet='[]{},.-+eE0123456789naNif"\n\r ', max_size=100).map(str.encode),
        st.binary(max_size=60).map(lambda tail: b"\x93NUMPY" + tail),
        st.tuples(st.integers(0, 90), st.binary(min_size=1, max_size=3)).map(
            lambda change: (body := header_of())[: change[0]] + change[1] + body[change[0] + len(change[1]) :]
        ),
    ),
    st.sampled_from(SUPPORTED),
    st.sampled_from([Limits(), ALLOWING]),
)
def test_any_body_is_an_array_of_numbers_or_the_callers_mistake(body, content_type, limits):
    try:
        array = decode(body, content_type, limits)
    except RequestError as error:
        # Anything else that is raised fails the test.
        assert 400 <= error.status < 500  # noqa: PT017
        return
    assert array.dtype.kind in "biuf"
    assert array.size > 0
    assert array.flags.writeable
    assert limits.allow_non_finite or np.isfinite(array).all()


@pytest.mark.parametrize(
    "body", [b'"1.5","2"\n"3","-4e0"\n', b'"1.5", "2"\n3,"-4"', b' "1.5" ,2\r\n"3",-4\r\n']
)
def test_fields_of_csv_may_be_quoted(body):
    assert decode(body, CSV).tolist() == [[1.5, 2], [3, -4]]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'"1","x"', "line 1, field 2 must be a number, got 'x'"),
        (b'"1', "line 1, field 1 must be a number, got '\"1'"),
        (b'"1,5",2', "line 1, field 1 must be a number, got '\"1'"),
        (b'1,"2"3', "line 1, field 2 must be a number, got '\"2\"3'"),
        (b'1,""', "line 1, field 2 must be a number, got ''"),
    ],
)
def test_fails_when_a_quoted_field_is_no_number(body, message):
    with pytest.raises(MalformedBodyError, match=message):
        decode(body, CSV)
