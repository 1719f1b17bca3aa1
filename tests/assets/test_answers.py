import io
import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from serving.answers import body_of
from serving.errors import NotAcceptableError, PredictionEncodingError

JSON, CSV, NPY = "application/json", "text/csv", "application/x-npy"
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda parts: st.lists(parts, max_size=3) | st.dictionaries(st.text(max_size=5), parts, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize("answer", [b"a", bytearray(b"a"), memoryview(b"a"), "a"])
def test_bytes_and_text_are_what_the_caller_wants(answer):
    assert body_of(answer, "image/png") == (b"a", "image/png")
    assert body_of(answer, "image/png", "image/webp") == (b"a", "image/webp")


@given(VALUES)
def test_what_json_can_carry_is_json(value):
    body, content_type = body_of(value, CSV)

    if isinstance(value, str):
        assert (body, content_type) == (value.encode(), CSV)
    else:
        assert (json.loads(body), content_type) == (value, JSON)


@pytest.mark.parametrize("value", [torch.tensor([[1.5, 2]]), np.array([[1.5, 2]], np.float32)])
def test_tensors_and_arrays_are_written_as_the_caller_wants(value):
    assert json.loads(body_of(value, JSON)[0]) == [[1.5, 2]]
    assert body_of(value, CSV) == (b"1.5,2.0\n", CSV)
    array = np.load(io.BytesIO(body_of(value, "*/*", NPY)[0]))
    assert array.dtype == np.float32
    assert body_of({"a": [value]}, NPY) == (b'{"a": [[[1.5, 2.0]]]}', JSON)


def test_a_tensor_of_half_the_width_is_written_too():
    assert body_of(torch.tensor([1.5], dtype=torch.bfloat16, requires_grad=True), JSON) == (b"[1.5]", JSON)


@pytest.mark.parametrize(
    "answer", [object(), {1, 2}, {"a": {1}}, {(1, 2): 3}, float("nan"), {"a": float("inf")}]
)
def test_fails_when_json_cannot_carry_it(answer):
    with pytest.raises(PredictionEncodingError, match="the prediction cannot be written as JSON: "):
        body_of(answer, JSON)


def test_fails_when_an_answer_holds_itself():
    answer = []
    answer.append(answer)
    with pytest.raises(PredictionEncodingError, match="cannot be written as JSON"):
        body_of(answer, JSON)


def test_fails_when_an_array_has_no_such_form():
    with pytest.raises(NotAcceptableError, match="accept must allow one of"):
        body_of(np.array([1]), "image/png")
    with pytest.raises(PredictionEncodingError, match="return bytes or text for it"):
        body_of(np.array([1]), JSON, "application/octet-stream")
