"""A client for an endpoint: boto3 and numpy only."""

import io
import json
from collections.abc import Mapping
from typing import Any

import boto3
import numpy as np
from botocore.config import Config
from numpy.typing import NDArray

__all__ = ["Predictor"]

_NPY, _JSON, _CSV = "application/x-npy", "application/json", "text/csv"
_NPY_MAGIC = b"\x93NUMPY"
_RESPONSE_TIMEOUT = 60
_MARGIN = 5


class Predictor:
    """Sends numbers to an endpoint as NPY, other data as JSON: `Predictor` of the SageMaker Python SDK.

    Parameters
    ----------
    endpoint_name : str
        The endpoint.
    client : optional
        A boto3 client of ``sagemaker-runtime``. Defaults to a new one, as the environment says.
    response_timeout : float, optional
        Seconds within which the endpoint answers: what its model was given as `response_timeout`. The new
        client waits a little longer, so that it is the endpoint that says what was too slow. Defaults to
        60, the containers' own default up to PyTorch 2.6.

    Raises
    ------
    ValueError
        When `client` is given as well: its own timeout holds.
    """

    def __init__(
        self, endpoint_name: str, client: Any = None, *, response_timeout: float | None = None
    ) -> None:
        if client is not None and response_timeout is not None:
            raise ValueError("response_timeout must be left out with a client, whose read_timeout holds")
        self.endpoint_name = endpoint_name
        if client is None:
            seconds = _RESPONSE_TIMEOUT if response_timeout is None else response_timeout
            client = boto3.client("sagemaker-runtime", config=Config(read_timeout=seconds + _MARGIN))
        self._runtime = client

    def predict(self, data: Any, *, content_type: str | None = None, accept: str | None = None) -> Any:
        """Predict.

        Parameters
        ----------
        data : Any
            Numbers, one row for each sample in the shape that the model takes, which are sent as NPY; what
            else JSON can carry, such as ``{"instances": [...]}``, arrays in it included; or bytes, which are
            sent as they are.
        content_type : str, optional
            Content type of bytes or of text; anything else is written as it: NPY or JSON. Defaults to what
            `data` are.
        accept : str, optional
            Content type of the answer. Defaults to NPY where numbers are sent, else to JSON.

        Returns
        -------
        Any
            What the model's handlers answer, by its content type: an array for NPY and CSV, the value of
            JSON, text, or bytes. The bundled handlers answer numbers with one row of outputs for each
            sample.

        Raises
        ------
        TypeError
            When `data` cannot be sent.
        botocore.exceptions.ClientError
            When the endpoint cannot be invoked; ``ModelError`` when its handlers refuse the data.
        """
        body, content_type = _encode(data, content_type)
        response = self._runtime.invoke_endpoint(
            EndpointName=self.endpoint_name,
            Body=body,
            ContentType=content_type,
            Accept=accept or (_NPY if content_type == _NPY else _JSON),
        )
        return _decode(response["Body"].read(), response.get("ContentType") or "")


def _encode(data: Any, content_type: str | None) -> tuple[bytes, str]:
    """Write what is sent, and say what it is."""
    if isinstance(data, bytes | bytearray | memoryview):
        return bytes(data), content_type or "application/octet-stream"
    if isinstance(data, str) and content_type not in (None, _JSON):
        return data.encode(), str(content_type)
    if content_type not in (None, _JSON, _NPY):
        raise TypeError(f"data must be text or bytes for {content_type}, got {type(data).__name__}")
    array = None if content_type == _JSON else _numbers(data)
    if array is not None:
        stream = io.BytesIO()
        np.save(stream, array, allow_pickle=False)
        return stream.getvalue(), _NPY
    if content_type == _NPY:
        raise TypeError(f"data must be numbers for {_NPY}, got {type(data).__name__}")
    return json.dumps(data, default=_plain).encode(), _JSON


def _numbers(data: Any) -> NDArray[Any] | None:
    """Make an array of numbers; None for what is none."""
    if isinstance(data, Mapping | str) or data is None:
        return None
    try:
        array = np.asarray(data)
    except (ValueError, TypeError):  # lists of different lengths
        return None
    return array if array.dtype.kind in "biuf" else None


def _plain(part: Any) -> Any:
    if hasattr(part, "tolist"):  # arrays, their numbers, tensors
        return part.tolist()
    raise TypeError(f"data must be numbers, bytes or what JSON can carry, got {type(part).__name__}")


def _decode(body: bytes, content_type: str) -> Any:
    """Read an answer; what it is comes before what it is called."""
    kind = content_type.partition(";")[0].strip().lower()
    if body.startswith(_NPY_MAGIC):
        return np.load(io.BytesIO(body), allow_pickle=False)
    if kind == _CSV:
        return np.loadtxt(io.StringIO(body.decode()), delimiter=",", ndmin=2)
    if kind == _JSON or kind.endswith("+json"):
        return json.loads(body)
    return body.decode() if kind.startswith("text/") else body
