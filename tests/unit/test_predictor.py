import io
from typing import Any

import boto3
import numpy as np
import pytest

from cdk_sagemaker_pytorch import Predictor

JSON = "application/json"


class Runtime:
    """A client that doubles what it is sent."""

    def invoke_endpoint(self, **request: Any) -> dict[str, Any]:
        self.request = request
        answer = io.BytesIO()
        np.save(answer, np.load(io.BytesIO(request["Body"]), allow_pickle=False) * 2)
        answer.seek(0)
        return {"Body": answer}


def test_arrays_go_both_ways_as_npy() -> None:
    runtime = Runtime()

    np.testing.assert_array_equal(Predictor("digits", runtime).predict([[1.0, 2.0]]), [[2.0, 4.0]])

    assert runtime.request["EndpointName"] == "digits"
    assert runtime.request["ContentType"] == runtime.request["Accept"] == "application/x-npy"


@pytest.mark.parametrize(("options", "seconds"), [({}, 65), ({"response_timeout": 300}, 305)])
def test_a_client_waits_longer_than_the_endpoint(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, float], seconds: float
) -> None:
    made = {}
    monkeypatch.setattr(boto3, "client", lambda service, config: made.update({service: config}))

    Predictor("digits", **options)

    assert made["sagemaker-runtime"].read_timeout == seconds


def test_fails_when_a_client_is_given_a_timeout() -> None:
    with pytest.raises(ValueError, match="response_timeout must be left out with a client"):
        Predictor("digits", Runtime(), response_timeout=5)


class Answering:
    """A client that is answered with the same each time."""

    def __init__(self, body: bytes, content_type: str) -> None:
        self._answer = body, content_type

    def invoke_endpoint(self, **request: Any) -> dict[str, Any]:
        self.request = request
        return {"Body": io.BytesIO(self._answer[0]), "ContentType": self._answer[1]}


@pytest.mark.parametrize(
    ("data", "options", "body", "content_type", "accept"),
    [
        ({"instances": [[1, 2]]}, {}, b'{"instances": [[1, 2]]}', JSON, JSON),
        ({"a": np.array([1.5]), "b": np.float32(2)}, {}, b'{"a": [1.5], "b": 2.0}', JSON, JSON),
        ([[1, 2], [3]], {}, b"[[1, 2], [3]]", JSON, JSON),
        ("words", {}, b'"words"', JSON, JSON),
        (["a", "b"], {}, b'["a", "b"]', JSON, JSON),
        ([[1, 2]], {"content_type": JSON}, b"[[1, 2]]", JSON, JSON),
        ("1,2\n", {"content_type": "text/csv"}, b"1,2\n", "text/csv", JSON),
        (b"\xff\xd8", {"content_type": "image/jpeg"}, b"\xff\xd8", "image/jpeg", JSON),
        (bytearray(b"x"), {"accept": "text/csv"}, b"x", "application/octet-stream", "text/csv"),
    ],
)
def test_other_data_are_json_or_as_they_are(
    data: Any, options: dict[str, str], body: bytes, content_type: str, accept: str
) -> None:
    runtime = Answering(b"{}", JSON)

    assert Predictor("digits", runtime).predict(data, **options) == {}

    sent = (runtime.request["Body"], runtime.request["ContentType"], runtime.request["Accept"])
    assert sent == (body, content_type, accept)


@pytest.mark.parametrize(
    ("body", "content_type", "expected"),
    [
        (b'{"scores": [1]}', "application/json; charset=utf-8", {"scores": [1]}),
        (b"[1]", "application/vnd.a+json", [1]),
        (b"words", "text/plain; charset=utf-8", "words"),
        (b"\x89PNG", "image/png", b"\x89PNG"),
        (b"x", "", b"x"),
    ],
)
def test_an_answer_is_read_by_its_content_type(body: bytes, content_type: str, expected: Any) -> None:
    assert Predictor("digits", Answering(body, content_type)).predict([[1.0]]) == expected


def test_an_answer_in_csv_is_an_array() -> None:
    predictor = Predictor("digits", Answering(b"1.0,2.0\n", "text/csv"))
    np.testing.assert_array_equal(predictor.predict([[1.0]], accept="text/csv"), [[1.0, 2.0]])


@pytest.mark.parametrize(
    ("data", "options", "problem"),
    [
        (object(), {}, "got object"),
        ({"a": {1}}, {}, "got set"),
        ({"a": 1}, {"content_type": "text/csv"}, "data must be text or bytes for text/csv, got dict"),
        (
            {"a": 1},
            {"content_type": "application/x-npy"},
            "data must be numbers for application/x-npy, got dict",
        ),
    ],
)
def test_fails_when_data_cannot_be_sent(data: Any, options: dict[str, str], problem: str) -> None:
    with pytest.raises(TypeError, match=problem):
        Predictor("digits", Answering(b"", "")).predict(data, **options)
