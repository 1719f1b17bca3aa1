"""A client for an endpoint: boto3 and numpy only."""

import io
from typing import Any

import boto3
import numpy as np
from botocore.config import Config
from numpy.typing import ArrayLike, NDArray

__all__ = ["Predictor"]

_NPY = "application/x-npy"
_RESPONSE_TIMEOUT = 60
_MARGIN = 5


class Predictor:
    """Sends arrays to an endpoint and gets arrays back, as NPY: `Predictor` of the SageMaker Python SDK.

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

    def predict(self, data: ArrayLike) -> NDArray[Any]:
        """Predict.

        Parameters
        ----------
        data : array_like
            One row for each sample, in the shape that the model takes.

        Returns
        -------
        numpy.ndarray
            What the model's handlers answer: for the bundled ones, one row of outputs for each
            sample.

        Raises
        ------
        botocore.exceptions.ClientError
            When the endpoint cannot be invoked; ``ModelError`` when its handlers refuse the data.
        """
        body = io.BytesIO()
        np.save(body, np.asarray(data), allow_pickle=False)
        response = self._runtime.invoke_endpoint(
            EndpointName=self.endpoint_name,
            Body=body.getvalue(),
            ContentType=_NPY,
            Accept=_NPY,
        )
        answer: NDArray[Any] = np.load(io.BytesIO(response["Body"].read()), allow_pickle=False)
        return answer
