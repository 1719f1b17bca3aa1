import io
from typing import Any

import boto3
import numpy as np
import pytest

from cdk_sagemaker_pytorch import Predictor


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
