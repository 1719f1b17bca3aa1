"""The sample request that a version must answer before it counts as verified."""

import base64
import json
import math
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

# Relative: what differs between processors and library versions is no other answer.
_TOLERANCE = 1e-3
_QUOTED_CHARACTERS = 300


class SampleRequestFailedError(Exception):
    """The endpoint did not answer its sample request, or with something else than was expected."""


def check_answer(runtime: Any, endpoint_name: str, sample: Mapping[str, Any]) -> None:
    """Send the sample request and check the answer.

    Parameters
    ----------
    runtime
        A boto3 client of ``sagemaker-runtime``.
    endpoint_name : str
        The endpoint.
    sample : Mapping
        ``{"body", "content_type", "accept"}`` with the body in Base64, and ``expected_shape`` (a list) and
        ``expected`` (JSON) where they are to be checked.

    Raises
    ------
    SampleRequestFailedError
        With the answer.
    """
    try:
        response = runtime.invoke_endpoint(
            EndpointName=endpoint_name,
            Body=base64.b64decode(sample["body"]),
            ContentType=sample["content_type"],
            Accept=sample["accept"],
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "ModelError":
            raise
        raise SampleRequestFailedError(f"endpoint {endpoint_name}: {error}") from error
    body = response["Body"].read()
    shape, expected = sample.get("expected_shape"), sample.get("expected")
    if shape is None and expected is None:
        return
    quoted = body[:_QUOTED_CHARACTERS].decode("utf-8", "replace")
    try:
        answer = json.loads(body)
    except ValueError:
        raise SampleRequestFailedError(
            f"endpoint {endpoint_name} must answer its sample request in JSON, got {quoted}"
        ) from None
    if shape is not None and _shape(answer) != list(shape):
        raise SampleRequestFailedError(
            f"endpoint {endpoint_name} must answer its sample request in the shape {shape}, got"
            f" {_shape(answer)}: {quoted}"
        )
    if expected is not None and not _is_close(answer, expected):
        raise SampleRequestFailedError(
            f"endpoint {endpoint_name} must answer its sample request with"
            f" {json.dumps(expected)[:_QUOTED_CHARACTERS]}, got {quoted}"
        )


def _shape(answer: Any) -> list[int] | None:
    """Return the lengths of nested lists; None where they are not rectangular."""
    if not isinstance(answer, list):
        return []
    shapes = [_shape(each) for each in answer]
    if any(each != shapes[0] or each is None for each in shapes):
        return None
    return [len(answer), *((shapes[0] or []) if shapes else [])]


def _is_close(answer: Any, expected: Any) -> bool:
    if isinstance(expected, list):
        return (
            isinstance(answer, list)
            and len(answer) == len(expected)
            and all(map(_is_close, answer, expected))
        )
    if isinstance(expected, dict):
        return (
            isinstance(answer, dict)
            and answer.keys() == expected.keys()
            and all(_is_close(answer[name], value) for name, value in expected.items())
        )
    numbers = (int, float)
    if isinstance(expected, numbers) and isinstance(answer, numbers) and not isinstance(expected, bool):
        return math.isclose(answer, expected, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE**2)
    return bool(answer == expected)
