"""A client for an endpoint: boto3 and numpy only."""

import io
from typing import Any

import boto3
import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Predictor"]

_NPY = "application/x-npy"


class Predictor:
    """Sends arrays to an endpoint and gets arrays back, as NPY: `Predictor` of the SageMaker Python SDK.

    Parameters
    ----------
    endpoint_name : str
        The endpoint.
    client : optional
        A boto3 client of ``sagemaker-runtime``. Defaults to a new one, as the environment says.
    """

    def __init__(self, endpoint_name: str, client: Any = None) -> None:
        self.endpoint_name = endpoint_name
        self._runtime = client if client is not None else boto3.client("sagemaker-runtime")

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
