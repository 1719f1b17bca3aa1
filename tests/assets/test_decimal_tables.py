import struct
import types

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from serving import codecs, decimal_tables, long_decimals
from serving.codecs import CSV, Limits, decode
from serving.decimal_tables import read_table
from serving.errors import MalformedBodyError

TABLES = [Limits(), Limits(allow_non_finite=True)]
FIELDS = st.one_of(
    st.integers(-(10**9), 10**9).map(str),
    st.floats(width=32, allow_nan=False, allow_infinity=False).map(lambda value: str(np.float32(value))),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.floats(-1e9, 1e9).map(repr),
    st.floats(1e-7, 1e9).map("{:.18e}".format),
    st.floats(-1e-3, 1e3).map("{:.16E}".format),
    st.integers(-(2**64), 2**64).map(str),
    st.decimals(-100, 100, places=5).map(str),
    st.from_regex(r"[+-]?([0-9]{1,9}(\.[0-9]{0,17})?|\.[0-9]{1,17})", fullmatch=True),
)
ODD = st.one_of(
    FIELDS,
    st.text("0123456789.-+eE ", max_size=20),
    st.sampled_from(
        ["", "nan", "-inf", "1e999", "1_0", "0x1", '"1"', "1.2.3", "1-2", "--1", "-", ".", "NA", "1\0"]
    ),
)
SEPARATORS = st.sampled_from([",", ",", ",", "\n", "\n", "\r\n", "\n\n", ", ", ",,", ";", "\r", "\ufeff"])


@pytest.fixture(autouse=True, params=[24, 1 << 18], ids=["small blocks", "one block"])
def _block_size(request, monkeypatch):
    monkeypatch.setattr(decimal_tables, "_BLOCK_BYTES", request.param)


def exact(rows):
    return np.array([[float(field) for field in row] for row in rows])


def same(one, other):
    return one.shape == other.shape and one.tobytes() == other.tobytes()


def table_of(rows):
    return "\n".join(",".join(row) for row in rows).encode()


@settings(max_examples=300)
@given(
    st.integers(1, 5).flatmap(
        lambda width: st.lists(st.lists(FIELDS, min_size=width, max_size=width), min_size=1, max_size=30)
    )
)
def test_what_is_read_is_the_closest_number_to_each_bit(rows):
    table = read_table(table_of(rows))

    assert table is None or same(table, exact(rows))


@pytest.mark.parametrize("form", [str, "{:.6f}".format, "{:.1f}".format, "{:g}".format])
@pytest.mark.parametrize("values", [np.float32([0.0, -0.0, 1.5, 1e-3, 123.25]), np.arange(-500, 500)])
def test_common_numbers_are_read(form, values):
    rows = [[form(value) for value in np.resize(values, 40)] for _ in range(5)]

    assert same(read_table(table_of(rows)), exact(rows))


def test_float32_numbers_are_read():
    bits = np.random.RandomState(0).randint(0, 2**32, 200_000, dtype=np.uint32)
    # Of a magnitude that is written without an exponent.
    values = bits.view(np.float32)
    values = values[(np.abs(values) > 1e-4) & (np.abs(values) < 1e5)][:20_000].reshape(-1, 10)
    rows = values.astype(str).tolist()

    assert same(read_table(table_of(rows)), exact(rows))


FULL_PRECISION = np.random.RandomState(1).random_sample(5_000) * 10.0 ** np.random.RandomState(2).randint(
    -6, 8, 5_000
)


@pytest.mark.skipif(not long_decimals.CAN_READ, reason="of a processor with other floating-point numbers")
@pytest.mark.parametrize("form", [repr, "{:.18e}".format, "{:.17g}".format, "{:+.15E}".format])
def test_numbers_of_full_precision_are_read(form, monkeypatch):
    # None is longer than a block.
    monkeypatch.setattr(decimal_tables, "_BLOCK_BYTES", max(decimal_tables._BLOCK_BYTES, 64))
    values = (FULL_PRECISION * np.resize([1, -1, 1], len(FULL_PRECISION)))[:2_000]
    rows = [[form(value) for value in row] for row in values.reshape(-1, 10).tolist()]

    assert same(read_table(table_of(rows)), exact(rows))


@pytest.mark.skipif(not long_decimals.CAN_READ, reason="of a processor with other floating-point numbers")
def test_numbers_between_two_are_read():
    """Right between two float64, a little above and a little below, as far as 19 digits tell."""
    between = [(2**53 + 2 * n + 1) * 2**k for n in range(30) for k in (0, 1, 5)]
    rows = [[str(value + delta) for delta in (-1, 0, 1)] for value in between]
    rows += [["0.5000000000000000", "1.000000000000000111", "1.000000000000000110"]] * 10
    # Few enough for the others of their block.
    rows = [row + ["0.12345678901234567"] * 40 for row in rows]

    assert same(read_table(table_of(rows)), exact(rows))


def test_with_orjson_long_numbers_are_the_same(monkeypatch):
    orjson = pytest.importorskip("orjson")
    asked = []
    double = types.SimpleNamespace(loads=lambda text: asked.append(text) or orjson.loads(text))
    monkeypatch.setattr(codecs, "orjson", double)
    rows = [list(map(repr, row)) for row in FULL_PRECISION.reshape(-1, 100).tolist()]

    assert same(decode(table_of(rows), CSV), exact(rows))
    assert len(asked) >= len(rows)


@pytest.mark.parametrize(
    "odd", ["-0", "-0.0", "true", "null", '"1"', "[1.0]", "1e400", "+1.5", "01.5", ".5", "nan"]
)
def test_with_orjson_nothing_passes_that_is_no_csv(monkeypatch, odd):
    orjson = pytest.importorskip("orjson")
    rows = [list(map(repr, row)) for row in FULL_PRECISION[:500].reshape(-1, 50).tolist()]
    rows[7][3] = odd

    def outcome():
        try:
            return decode(table_of(rows), CSV).tobytes()
        except MalformedBodyError as error:
            return str(error)

    monkeypatch.setattr(codecs, "orjson", orjson)
    with_orjson = outcome()
    monkeypatch.setattr(codecs, "orjson", None)
    assert with_orjson == outcome()


def test_some_numbers_may_be_of_any_form():
    rows = [["0.5"] * 40 for _ in range(60)]
    for index, field in enumerate(
        ["1e-5", "-2.5E+3", " 1", "+7", "0.12345678901234567890", "123456789012", "nan", "-inf"]
    ):
        rows[5 * index + 2][index] = field
    rows[59][39] = "9.e0"

    table = read_table(table_of(rows))

    # Small blocks have too many of them in one.
    assert table is None or same(table, exact(rows))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "1,2\n3",
        "1\n2,3",
        "1,2\n\n3,4",
        "1,,2",
        ",",
        "1,2,",
        "1;2",
        "1.2.3,4",
        "1-2,4",
        "--1",
        "1,x",
        "/,1",
    ],
)
def test_what_is_no_table_is_left_alone(text):
    assert read_table(text.encode()) is None


def test_a_number_longer_than_a_block_is_left_alone():
    assert read_table(b"1," + b"1" * 1_000_000 + b",2\n3,4,5\n" + b"6," * 300_000) is None


@settings(max_examples=500)
@given(st.lists(st.tuples(ODD, SEPARATORS), min_size=1, max_size=40), st.sampled_from(TABLES), st.booleans())
def test_large_bodies_are_read_as_small_ones_are(parts, limits, is_text):
    body = "".join(field + separator for field, separator in parts)
    body = body if is_text else body.encode()
    outcomes = []
    for least_bytes in (0, 1 << 40):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(codecs, "LEAST_BYTES", least_bytes)
            try:
                array = decode(body, CSV, limits)
                outcomes.append((array.shape, array.flags.writeable, array.tobytes()))
            except MalformedBodyError as error:
                outcomes.append(str(error))

    assert outcomes[0] == outcomes[1]


@settings(max_examples=200)
@given(st.binary(max_size=200), st.binary(max_size=5))
def test_nothing_is_assumed_of_the_text(noise, separator):
    table = read_table(b"1.5," + noise + separator + noise)

    assert table is None or table.dtype == np.float64


def test_mistakes_in_large_bodies_have_a_place():
    lines = [",".join(["0.5"] * 100)] * 1000
    lines[700] = ",".join(["0.5"] * 41 + ["x"] + ["0.5"] * 58)

    with pytest.raises(MalformedBodyError, match="line 701, field 42 must be a number, got 'x'"):
        decode("\n".join(lines), CSV)


def test_a_long_field_is_refused_at_once():
    for field in ("1" * 1_000_000 + "x", "1." + "1" * 1_000_000 + "x", " " * 1_000_000 + "x"):
        with pytest.raises(MalformedBodyError, match="line 1, field 1 must be a number"):
            decode(field, CSV)


def test_powers_and_digits_are_exact():
    # What the division rests on.
    assert struct.pack("d", float(2**53 - 1)) == np.array([2**53 - 1], np.uint64).astype(np.float64).tobytes()
    assert [int(power) for power in decimal_tables._POWERS] == [10**n for n in range(17)]
