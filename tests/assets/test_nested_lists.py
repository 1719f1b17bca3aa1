import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from serving import codecs, nested_lists
from serving.codecs import JSON, Limits, decode
from serving.errors import MalformedBodyError
from serving.nested_lists import read_long_lists

ALLOWING = Limits(allow_non_finite=True)
LOADERS = [json.loads]
try:
    import orjson
except ImportError:
    orjson = None
else:
    LOADERS.append(orjson.loads)


def long_lists(text, max_dimensions=16):
    """Read a body by every loader; they must agree."""
    arrays = [read_long_lists(text, loads, max_dimensions) for loads in LOADERS]
    for array in arrays:
        assert (array is None) == (arrays[0] is None)
        if array is not None:
            np.testing.assert_array_equal(array, arrays[0])
    return arrays[0]


@pytest.fixture
def _any_length(monkeypatch):
    monkeypatch.setattr(nested_lists, "_LONG_LIST_BYTES", 0)


@pytest.mark.parametrize("shape", [(300,), (1, 300), (7, 100), (2, 3, 100), (2, 1, 1, 3, 100)])
@pytest.mark.parametrize("separators", [(",", ":"), (", ", ":"), (",\n\t ", ":")])
def test_long_lists_are_read_in_any_dimension(shape, separators):
    array = np.random.RandomState(0).random_sample(shape)

    read = long_lists(json.dumps(array.tolist(), separators=separators))

    np.testing.assert_array_equal(read, array)
    assert read.flags.writeable


def test_numbers_of_any_kind_may_follow_a_float():
    read = long_lists("[[0.5" + ",1" * 300 + "],[true" + ",1e3" * 300 + "]]")

    np.testing.assert_array_equal(read, [[0.5] + [1] * 300, [1] + [1000] * 300])


LONG = "[0.5" + ",1" * 300 + "]"


@pytest.mark.parametrize(
    "text",
    [
        "[0.5, 0.5]",
        LONG.replace("0.5", "5"),
        f"[{LONG},{LONG}",
        f"[{LONG} {LONG}]",
        f"[{LONG}{LONG}]",
        f"[{LONG},,{LONG}]",
        f"[{LONG},{LONG}]]",
        f"[{LONG},{LONG}],",
        f"[{LONG},0,{LONG}]",
        f"[0,{LONG}]",
        f"[{LONG},[]]",
        f"[{LONG},[{LONG}]]",
        f"[{LONG},{LONG.replace('0.5,', '')}]",
        f"[{LONG},{LONG.replace('0.5', 'null')}]",
        f'["{LONG}"]',
        f'{{"a":{LONG}}}',
        f"{LONG}x",
        f"[{' ' * 600}]",
        "[" * 100_000 + LONG + "]" * 100_000,
        "[" * 16 + LONG + "]" * 16,
        LONG + "]" * 1_000_000,
        LONG + "[" * 1_000_000,
    ],
)
def test_what_is_no_array_of_long_lists_is_left_alone(text):
    assert long_lists(text) is None


ITEMS = st.recursive(
    st.one_of(
        st.floats(),
        st.integers(),
        st.booleans(),
        st.none(),
        st.sampled_from(["[1.5]", "]", 10**400, {"a": [1.5]}]),
    ),
    lambda children: st.lists(children, max_size=4),
    max_leaves=20,
)
TABLES = st.integers(1, 4).flatmap(
    lambda width: st.lists(st.lists(st.floats(), min_size=width, max_size=width), min_size=1, max_size=5)
)


@pytest.mark.usefixtures("_any_length")
@pytest.mark.parametrize("loader", LOADERS)
@settings(max_examples=400)
@given(
    st.one_of(TABLES, ITEMS).map(json.dumps) | st.text('[]., \n0123456789eE-"', max_size=40),
    st.sampled_from([Limits(), ALLOWING]),
    st.booleans(),
)
def test_lists_read_one_by_one_are_those_read_at_once(loader, text, limits, is_text):
    body = text if is_text else bytearray(text.encode())
    outcomes = []
    for least in (0, 1 << 40):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(nested_lists, "_LONG_LIST_BYTES", least)
            patch.setattr(codecs, "orjson", None if loader is json.loads else orjson)
            try:
                array = decode(body, JSON, limits)
                outcomes.append((array.dtype, array.shape, array.flags.writeable, array.tobytes()))
            except MalformedBodyError as error:
                outcomes.append(str(error))

    assert outcomes[0] == outcomes[1]
