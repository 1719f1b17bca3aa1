"""What belongs to a version: a model, an endpoint configuration, packaged model data, a packaging job.

A version is called ``<prefix>-<14 digits>-<8 hex digits>``; nothing of another name is ever removed.
"""

import re
from typing import Any

from artifacts import Artifacts
from botocore.exceptions import BotoCoreError, ClientError
from endpoint import ignore_missing


class VersionNotCreatedError(Exception):
    """The model or the endpoint configuration of a version could not be created."""


class Versions:
    """Makes and removes versions.

    Parameters
    ----------
    sagemaker
        A boto3 client.
    artifacts : Artifacts
        The packaged models.
    prefix : str
        Prefix of their names.
    """

    def __init__(self, sagemaker: Any, artifacts: Artifacts, prefix: str) -> None:
        self._sagemaker = sagemaker
        self._artifacts = artifacts
        self._pattern = re.compile(re.escape(prefix) + r"-\d{14}-[0-9a-f]{8}")

    def is_ours(self, version: str) -> bool:
        """Tell whether a name is one of a version."""
        return self._pattern.fullmatch(version) is not None

    def create(self, version: str, requests: dict[str, Any]) -> None:
        """Create the model and the endpoint configuration, unless they are there.

        Parameters
        ----------
        version : str
            Their name, which only one execution uses.
        requests : dict
            Arguments of ``CreateModel`` and ``CreateEndpointConfig``, by operation.

        Raises
        ------
        VersionNotCreatedError
            With what SageMaker answered.
        """
        calls = (
            (self._sagemaker.create_model, self._sagemaker.describe_model, "CreateModel", "ModelName"),
            (
                self._sagemaker.create_endpoint_config,
                self._sagemaker.describe_endpoint_config,
                "CreateEndpointConfig",
                "EndpointConfigName",
            ),
        )
        for create, describe, operation, name in calls:
            try:
                create(**{**requests[operation], name: version})
            except (BotoCoreError, ClientError) as error:
                # The answer may have been lost, or this is the second try.
                if ignore_missing(describe, **{name: version}) is None:
                    raise VersionNotCreatedError(f"{operation} of {version}: {error}") from error

    def remove(self, version: str) -> None:
        """Remove a version; what is gone already is no error."""
        if self.is_ours(version):
            ignore_missing(self._sagemaker.delete_endpoint_config, EndpointConfigName=version)
            ignore_missing(self._sagemaker.delete_model, ModelName=version)
            self._artifacts.supersede(version)

    def stop_packaging(self, version: str) -> None:
        """Stop the processing job that packages a version, if one runs."""
        job = ignore_missing(self._sagemaker.describe_processing_job, ProcessingJobName=version)
        if job is not None and job["ProcessingJobStatus"] == "InProgress":
            ignore_missing(self._sagemaker.stop_processing_job, ProcessingJobName=version)
