"""The request that every version must answer: what can be sent, and compared."""

import base64
import json
from typing import Any

import numpy as np
import pytest
from aws_cdk import Token

from cdk_sagemaker_pytorch import SampleRequest
from cdk_sagemaker_pytorch.common.problems import Problems


def problems_of(value: Any) -> list[str]:
    problems = Problems("PyTorchDeployment")
    SampleRequest.of(value, problems, "sample_request")
    return problems._found


def event(value: Any) -> dict[str, Any]:
    assert problems_of(value) == []
    return SampleRequest.of(value, Problems("PyTorchDeployment"), "sample_request").event()


def body(value: Any) -> bytes:
    return base64.b64decode(event(value)["body"])


@pytest.mark.parametrize("value", [[[0.5, 1]], {"instances": [1]}, "seven", 3, True, [], [None]])
def test_any_json_value_is_the_body_of_a_request(value: Any) -> None:
    assert json.loads(body(value)) == value


def test_a_request_is_json_and_expects_nothing_by_default() -> None:
    found = event([[0.5]])
    assert found.keys() == {"body", "content_type", "accept"}
    assert (found["content_type"], found["accept"]) == ("application/json", "application/json")


def test_null_can_be_sent_by_a_request_that_says_so() -> None:
    assert body(SampleRequest(body=None)) == b"null"


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (np.array([[0.5, 1.0]]), [[0.5, 1.0]]),
        ([np.float32(0.5), np.int64(3)], [0.5, 3]),
        ({"x": np.zeros((1, 2), dtype=np.uint8)}, {"x": [[0, 0]]}),
        (((1, 2), (3, 4)), [[1, 2], [3, 4]]),
    ],
)
def test_arrays_of_numpy_and_tuples_are_lists(value: Any, plain: Any) -> None:
    assert json.loads(body(value)) == plain


def test_letters_beyond_ascii_arrive() -> None:
    assert json.loads(body("Größe 7 ✓")) == "Größe 7 ✓"


def test_text_of_another_type_is_sent_as_it_is() -> None:
    request = SampleRequest(body="1,2\n3,4é", content_type="text/csv", accept="text/csv")
    assert body(request) == "1,2\n3,4é".encode()
    assert (event(request)["content_type"], event(request)["accept"]) == ("text/csv", "text/csv")


@pytest.mark.parametrize("content_type", ["application/x-npy", "application/json"])
def test_bytes_are_sent_as_they_are(content_type: str) -> None:
    assert body(SampleRequest(body=b"\x93NUMPY\x00", content_type=content_type)) == b"\x93NUMPY\x00"


def test_what_is_expected_reaches_the_function() -> None:
    request = SampleRequest(body=[[0]], expected_shape=(1, np.int64(10)), expected=np.array([[0.25]]))
    found = event(request)
    assert found["expected_shape"] == [1, 10]
    assert found["expected"] == [[0.25]]
    assert json.loads(json.dumps(found)) == found


def test_a_scalar_has_a_shape_too() -> None:
    assert event(SampleRequest(body=1, expected_shape=()))["expected_shape"] == []


def test_the_largest_request() -> None:
    assert len(body(SampleRequest(body=b"x" * 100_000, content_type="image/png"))) == 100_000


@pytest.mark.parametrize(
    "value", ["x" * 100_000, SampleRequest(body=b"x" * 100_002, content_type="image/png")]
)
def test_fails_when_the_request_is_too_large(value: Any) -> None:
    assert problems_of(value) == ["sample_request must be at most 100000 bytes, got 100002"]


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ([[float("nan")]], "sample_request must be a finite number, for JSON has no nan"),
        (SampleRequest(body=float("inf")), "sample_request must be a finite number, for JSON has no inf"),
        ({1: 2}, "sample_request must have keys that are text, got 1 (int)"),
        (
            {1, 2},
            (
                "sample_request must be text, a number, True, False, None, a list or a dictionary,"
                " got {1, 2} (set)"
            ),
        ),
        (
            SampleRequest(body=[[1, 2]], content_type="text/csv"),
            "sample_request must be text or bytes for text/csv, got [[1, 2]] (list)",
        ),
        (
            SampleRequest(body=None, content_type="text/csv"),
            "sample_request must be text or bytes for text/csv, got None (NoneType)",
        ),
    ],
)
def test_fails_when_a_body_cannot_be_sent(value: Any, problem: str) -> None:
    assert problems_of(value) == [problem]


@pytest.mark.parametrize(
    "value",
    [
        Token.as_string({"Ref": "Text"}),
        {"text": [Token.as_string({"Ref": "Text"})]},
        [Token.as_number({"Ref": "Number"})],
        SampleRequest(body=Token.as_string({"Ref": "Text"}), content_type="text/csv"),
    ],
    ids=["text", "text in an object", "number", "csv"],  # names of tokens differ between processes
)
def test_fails_when_the_body_is_known_only_when_it_is_deployed(value: Any) -> None:
    assert problems_of(value) == ["sample_request must be known when the app is synthesized, got a token"]


@pytest.mark.parametrize("expectation", [{"expected": [1]}, {"expected_shape": (1,)}])
def test_fails_when_an_answer_that_is_no_json_is_to_be_compared(expectation: dict[str, Any]) -> None:
    request = SampleRequest(body=[1], accept="text/csv", **expectation)
    assert problems_of(request) == [
        "sample_request.expected and sample_request.expected_shape need accept application/json, got text/csv"
    ]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"content_type": 3}, "sample_request.content_type must be text, got 3 (int)"),
        ({"accept": 3}, "sample_request.accept must be text, got 3 (int)"),
        ({"accept": None}, "sample_request.accept must be text, got None (NoneType)"),
        (
            {"expected_shape": 10},
            "sample_request.expected_shape must be a list of whole numbers, got 10 (int)",
        ),
        ({"expected_shape": (1, "2")}, "sample_request.expected_shape must be a whole number, got '2' (str)"),
        ({"expected_shape": (1, -1)}, "sample_request.expected_shape must be at least 0, got -1"),
        (
            {"expected": float("nan")},
            "sample_request.expected must be a finite number, for JSON has no nan",
        ),
        ({"expected": {1: 1}}, "sample_request.expected must have keys that are text, got 1 (int)"),
    ],
)
def test_fails_when_a_field_has_another_type(options: dict[str, Any], problem: str) -> None:
    (found,) = problems_of(SampleRequest(**{"body": b"1", **options}))
    assert found.startswith(problem)
