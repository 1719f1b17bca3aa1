"""Whose inputs meet in one tensor, and who gets what of the prediction."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from serving.batching import predict_together, that_fit

DTYPES = [torch.float32, torch.float64, torch.int64]
CONTENT_TYPES = ["application/json", "Application/JSON ", "text/csv", None]


@st.composite
def requests(draw):
    """Inputs of callers, each filled with that caller's secret, and their content types."""
    dimension = draw(st.integers(0, 2))
    shapes = st.lists(st.integers(1, 3), min_size=0, max_size=4).map(tuple)
    # Few shapes, so that some fit.
    some = draw(st.lists(shapes, min_size=1, max_size=3))
    count = draw(st.integers(1, 8))
    values = [
        torch.full(draw(st.sampled_from(some)), secret, dtype=draw(st.sampled_from(DTYPES)))
        for secret in draw(st.lists(st.integers(1, 10**6), min_size=count, max_size=count, unique=True))
    ]
    return dimension, [(value, draw(st.sampled_from(CONTENT_TYPES))) for value in values]


def kind(item, dimension):
    value, content_type = item
    shape = list(value.shape)
    if value.ndim > dimension:
        shape[dimension] = -1
    return value.dtype, tuple(shape), (content_type or "").strip().lower()


@given(requests())
def test_each_caller_gets_its_own_and_only_what_is_alike_meets(given_requests):
    dimension, items = given_requests
    met = []

    def predict(values):
        met.append(tuple(values.shape))
        return values * 2

    groups = that_fit(items, dimension, lambda item: item)

    assert sorted(id(item) for group in groups for item in group) == sorted(map(id, items))
    for group in groups:
        if len(group) == 1:
            continue
        assert len({kind(item, dimension) for item in group}) == 1
        assert group[0][0].ndim > max(dimension, 1)
        parts = predict_together(predict, [value for value, _ in group], dimension)
        for (value, _), part in zip(group, parts, strict=True):
            assert torch.equal(part, value * 2)
            # Nothing of a neighbour is behind it either.
            assert part.untyped_storage().nbytes() == part.nbytes
    assert len(met) == sum(len(group) > 1 for group in groups)


@pytest.mark.parametrize(
    "value",
    [
        torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)]),
        torch.nn.Parameter(torch.zeros(2, 3)),
        [[1.0, 2.0]],
        None,
        torch.zeros(3),
    ],
)
def test_what_cannot_be_looked_at_meets_nobody(value):
    assert that_fit([(value, "a/b"), (value, "a/b ")], 0, lambda item: item) == [
        [(value, "a/b")],
        [(value, "a/b ")],
    ]


@pytest.mark.parametrize("result", [torch.zeros(3, 2), torch.zeros(()), [1, 2, 3, 4], None])
def test_a_prediction_of_another_size_is_nobodys(result):
    assert predict_together(lambda _: result, [torch.zeros(2, 2)] * 2, 0) is None


def test_sequences_lie_side_by_side_along_their_second_dimension():
    together = predict_together(lambda values: values.cumsum(0), [torch.ones(4, n, 2) for n in (1, 2)], 1)

    for part, size in zip(together, (1, 2), strict=True):
        assert torch.equal(part, torch.ones(4, size, 2).cumsum(0))
