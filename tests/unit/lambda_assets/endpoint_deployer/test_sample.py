"""What a version has to answer before it counts as verified."""

import base64
import json
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from .fakes import FakeRuntime, api_error


@pytest.fixture
def runtime() -> FakeRuntime:
    return FakeRuntime()


def sample(**expectations: Any) -> dict[str, Any]:
    body = base64.b64encode(b"[[0.5]]").decode()
    return {"body": body, "content_type": "application/json", "accept": "application/json", **expectations}


def check(code: SimpleNamespace, runtime: FakeRuntime, answer: Any, **expectations: Any) -> None:
    runtime.body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    code.sample.check_answer(runtime, "digits", sample(**expectations))


def test_the_request_is_sent_as_it_was_given(code: SimpleNamespace, runtime: FakeRuntime) -> None:
    event = {"body": base64.b64encode(b"1,\xff").decode(), "content_type": "text/csv", "accept": "image/png"}
    code.sample.check_answer(runtime, "digits", event)
    assert runtime.called("invoke_endpoint") == [
        {"EndpointName": "digits", "Body": b"1,\xff", "ContentType": "text/csv", "Accept": "image/png"}
    ]


def test_any_answer_will_do_where_nothing_is_expected(code: SimpleNamespace, runtime: FakeRuntime) -> None:
    check(code, runtime, b"\xff\x00 no JSON")


@pytest.mark.parametrize(
    ("shape", "answer"),
    [
        ([], 3),
        ([], {"label": "seven"}),
        ([0], []),
        ([2], [1, 2]),
        ([1, 3], [[1, 2, 3]]),
        ([2, 0], [[], []]),
        ([2, 1, 2], [[[1, 2]], [[3, 4]]]),
    ],
)
def test_an_answer_of_the_expected_shape(
    code: SimpleNamespace, runtime: FakeRuntime, shape: list[int], answer: Any
) -> None:
    check(code, runtime, answer, expected_shape=shape)


@pytest.mark.parametrize(
    ("answer", "got"),
    [
        (3, "[]"),
        ([1, 2], "[2]"),
        ([[1, 2, 3]], "[1, 3]"),
        ([[1, 2], [3]], "None"),
        ([[1, 2], 3], "None"),
    ],
)
def test_fails_when_the_answer_has_another_shape(
    code: SimpleNamespace, runtime: FakeRuntime, answer: Any, got: str
) -> None:
    with pytest.raises(code.sample.SampleRequestFailedError) as raised:
        check(code, runtime, answer, expected_shape=[1, 2])
    assert str(raised.value) == (
        f"endpoint digits must answer its sample request in the shape [1, 2], got {got}: {json.dumps(answer)}"
    )


@pytest.mark.parametrize(
    ("expected", "answer"),
    [
        ([[1.0, 2]], [[1, 2.0]]),
        ([1000.0], [1000.9]),
        ([0.0], [0.0000005]),
        ({"label": "seven", "score": 0.7}, {"score": 0.7001, "label": "seven"}),
        ("seven", "seven"),
        (True, True),
        ([None], [None]),
        (0, 0),
        ([], []),
    ],
)
def test_an_answer_that_is_close_to_the_expected_one(
    code: SimpleNamespace, runtime: FakeRuntime, expected: Any, answer: Any
) -> None:
    check(code, runtime, answer, expected=expected)


@pytest.mark.parametrize(
    ("expected", "answer"),
    [
        ([1000.0], [1001.1]),
        ([0.0], [0.00001]),
        ([1.0], [1.0, 1.0]),
        ([1.0], 1.0),
        ({"label": "seven"}, {"label": "one"}),
        ({"label": "seven"}, {"label": "seven", "more": 1}),
        ({"label": "seven"}, ["seven"]),
        ("1", 1),
        (1, "1"),
        (1, None),
        (False, None),
    ],
)
def test_fails_when_the_answer_is_another_one(
    code: SimpleNamespace, runtime: FakeRuntime, expected: Any, answer: Any
) -> None:
    with pytest.raises(code.sample.SampleRequestFailedError) as raised:
        check(code, runtime, answer, expected=expected)
    assert str(raised.value) == (
        f"endpoint digits must answer its sample request with {json.dumps(expected)},"
        f" got {json.dumps(answer)}"
    )


@pytest.mark.parametrize("expectation", [{"expected": 1}, {"expected_shape": []}])
@pytest.mark.parametrize("answer", [b"<html>", b"", b"\xff"])
def test_fails_when_the_answer_is_no_json(
    code: SimpleNamespace, runtime: FakeRuntime, answer: bytes, expectation: dict[str, Any]
) -> None:
    with pytest.raises(code.sample.SampleRequestFailedError, match="must answer its sample request in JSON"):
        check(code, runtime, answer, **expectation)


def test_fails_when_the_model_fails(code: SimpleNamespace, runtime: FakeRuntime) -> None:
    runtime.fail("invoke_endpoint", api_error("ModelError", "Received server error (500): KeyError"))
    with pytest.raises(code.sample.SampleRequestFailedError, match=r"endpoint digits: .*\(500\): KeyError"):
        check(code, runtime, 1)


@pytest.mark.parametrize("name", ["ThrottlingException", "ValidationError", "ServiceUnavailable"])
def test_any_other_error_is_left_to_another_try(
    code: SimpleNamespace, runtime: FakeRuntime, name: str
) -> None:
    runtime.fail("invoke_endpoint", api_error(name))
    with pytest.raises(ClientError, match=name):
        check(code, runtime, 1)


def test_of_a_large_answer_only_the_beginning_is_quoted(code: SimpleNamespace, runtime: FakeRuntime) -> None:
    with pytest.raises(code.sample.SampleRequestFailedError) as raised:
        check(code, runtime, list(range(100_000)), expected=list(range(100_001)))
    assert len(str(raised.value)) < 800


def test_a_large_answer_is_compared_to_its_end(code: SimpleNamespace, runtime: FakeRuntime) -> None:
    answer = [0.0] * 99_999
    with pytest.raises(code.sample.SampleRequestFailedError):
        check(code, runtime, [*answer, 1.0], expected=[*answer, 2.0])
