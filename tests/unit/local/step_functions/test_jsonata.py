import hashlib
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdk_sagemaker_pytorch.local.step_functions.jsonata import JsonataError, evaluate

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda children: st.lists(children, min_size=2) | st.dictionaries(st.text(), children),
    max_leaves=8,
)


@given(JSON)
def test_a_variable_comes_back_as_it_is(value):
    assert evaluate("$states.input.value", {"states": {"input": {"value": value}}}) == value


def test_text_in_a_variable_is_never_read_as_code():
    text = '"; $uuid() & \\ {% 1 %}'
    assert evaluate("$name & '!'", {"name": text}) == text + "!"


def test_null_is_a_value_and_nothing_is_an_error():
    variables = {"states": {"input": {"given": None}}}
    assert evaluate("$states.input.given", variables) is None
    assert evaluate("$exists($states.input.given)", variables) is True
    assert evaluate("$states.input.given = null", variables) is True
    with pytest.raises(JsonataError, match=r"returned nothing \(undefined\)"):
        evaluate("$states.input.missing", variables)


def test_merge_overrides_from_the_right():
    states = {"input": {"hyperparameters": {"epochs": "2"}}}
    expression = "$merge([{'epochs': '1', 'seed': '7'}, $states.input.hyperparameters])"
    assert evaluate(expression, {"states": states}) == {"epochs": "2", "seed": "7"}


@pytest.mark.parametrize(
    ("algorithm", "name"),
    [("MD5", "md5"), ("SHA-1", "sha1"), ("SHA-256", "sha256"), ("SHA-384", "sha384"), ("SHA-512", "sha512")],
)
def test_hash(algorithm, name):
    assert evaluate(f"$hash('abc', '{algorithm}')", {}) == hashlib.new(name, b"abc").hexdigest()


def test_uuid_is_new_each_time():
    first, second = (uuid.UUID(evaluate("$uuid()", {})) for _ in range(2))
    assert first.version == second.version == 4
    assert first != second


def test_parse_partition_range_and_random():
    assert evaluate("""$parse('{"a": [1, null]}').a""", {}) == [1, None]
    assert evaluate("$partition([1,2,3,4,5], 2)", {}) == [[1, 2], [3, 4], [5]]
    assert evaluate("$range(0, 10, 5)", {}) == [0, 5, 10]
    assert evaluate("$range(3, 1, -1)", {}) == [3, 2, 1]
    assert 0 <= evaluate("$random()", {}) < 1
    assert evaluate("$random(7) = $random(7)", {}) is True


@pytest.mark.parametrize(
    "expression",
    [
        "$hash('a', 'MD4')",
        "$parse('{')",
        "$partition([1], 0)",
        "$range(0, 1, 0)",
        "$sum('a')",
        "1 +",
        "$nothing()",
    ],
)
def test_fails_when_an_expression_cannot_be_evaluated(expression):
    with pytest.raises(JsonataError, match="The JSONata expression"):
        evaluate(expression, {})


def test_fails_when_the_result_is_no_json():
    with pytest.raises(JsonataError, match="unsupported result type"):
        evaluate("function($a){$a}", {})
