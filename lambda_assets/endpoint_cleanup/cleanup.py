"""What belongs to a pipeline's endpoint, and how it is removed.

A version is a model and an endpoint configuration of the same name, ``<prefix>-<14 digits>-<8 hex
digits>``: names sort by age, and nothing else is ever touched.
"""

import re
import time
from collections.abc import Callable, Iterator
from typing import Any

from artifacts import Artifacts
from botocore.exceptions import ClientError

#: Tag of an endpoint with the id of the stack that may delete it.
OWNER_TAG = "cdk-sagemaker-pytorch:owner"

_POLL_SECONDS = 5.0
_RESERVE_SECONDS = 15.0


class EndpointBusyError(Exception):
    """The endpoint did not finish what it was doing in time."""


class EndpointOwnedError(Exception):
    """The endpoint belongs to another stack."""


class EndpointCleanup:
    """Removes versions of a pipeline's endpoint.

    Parameters
    ----------
    sagemaker
        A boto3 client.
    artifacts
        The packaged models of the versions.
    remaining_seconds : callable
        How much time the function has left.
    """

    def __init__(self, sagemaker: Any, artifacts: Artifacts, remaining_seconds: Callable[[], float]) -> None:
        self._sagemaker = sagemaker
        self._artifacts = artifacts
        self._remaining_seconds = remaining_seconds

    def claim(self, endpoint_name: str, owner: str) -> None:
        """Refuse an endpoint that another stack may delete.

        Parameters
        ----------
        endpoint_name : str
            The endpoint; it need not exist.
        owner : str
            Id of the stack that asks.

        Raises
        ------
        EndpointOwnedError
            When the endpoint exists and carries another stack's id.
        """
        endpoint = self._describe_endpoint(endpoint_name)
        found = self._owner(endpoint) if endpoint is not None else None
        if found not in (None, owner):
            raise EndpointOwnedError(
                f"endpoint {endpoint_name} belongs to the stack {found}: remove it from there first, or, if"
                f" that stack is gone, remove the endpoint's tag {OWNER_TAG}"
            )

    def release(self, endpoint_name: str, owner: str) -> None:
        """Leave the endpoint to itself: from now on no stack's deletion removes it.

        Parameters
        ----------
        endpoint_name : str
            The endpoint; it need not exist.
        owner : str
            Id of the stack that lets it go.
        """
        endpoint = self._describe_endpoint(endpoint_name)
        if endpoint is not None and self._owner(endpoint) == owner:
            self._sagemaker.delete_tags(ResourceArn=endpoint["EndpointArn"], TagKeys=[OWNER_TAG])

    def remove_version(self, endpoint_name: str, version: str) -> list[str]:
        """Remove a version that could not be deployed, unless the endpoint has it all the same.

        Parameters
        ----------
        endpoint_name : str
            The endpoint.
        version : str
            Name of the model and the endpoint configuration.

        Returns
        -------
        list of str
            Names of the removed versions.
        """
        endpoint = self._describe_endpoint(endpoint_name)
        if endpoint is not None and endpoint["EndpointConfigName"] == version:
            return []
        self._delete_version(version)
        return [version]

    def prune(self, endpoint_name: str, name_prefix: str, retain: int) -> list[str]:
        """Remove all but the newest superseded versions.

        Parameters
        ----------
        endpoint_name : str
            The endpoint; the version that it serves stays in any case.
        name_prefix : str
            Prefix of the versions.
        retain : int
            How many superseded versions stay, for a rollback.

        Returns
        -------
        list of str
            Names of the removed versions.
        """
        endpoint = self._describe_endpoint(endpoint_name)
        serving = endpoint["EndpointConfigName"] if endpoint is not None else None
        # Newer than the serving one: another execution is deploying it.
        superseded = sorted(
            version for version in self._versions(name_prefix) if serving is not None and version < serving
        )
        removed = superseded[: max(0, len(superseded) - retain)]
        for version in removed:
            self._delete_version(version)
        return removed

    def remove_everything(self, endpoint_name: str, name_prefix: str, owner: str) -> None:
        """Remove the endpoint and all versions, unless the endpoint is not the stack's.

        Parameters
        ----------
        endpoint_name : str
            The endpoint.
        name_prefix : str
            Prefix of the versions.
        owner : str
            Id of the stack.

        Raises
        ------
        EndpointBusyError
            When the endpoint cannot be deleted in time, for example while it is being updated.
        """
        endpoint = self._describe_endpoint(endpoint_name)
        if endpoint is not None and self._owner(endpoint) != owner:
            print(f"endpoint {endpoint_name} stays: it is not marked as this stack's")  # noqa: T201 - the log
            return
        self._remove_endpoint(endpoint_name)
        for version in self._versions(name_prefix):
            self._delete_version(version)

    def _remove_endpoint(self, endpoint_name: str) -> None:
        while (endpoint := self._describe_endpoint(endpoint_name)) is not None:
            status = endpoint["EndpointStatus"]
            # An endpoint that is being created or updated refuses to be deleted.
            if status in ("InService", "Failed", "OutOfService", "UpdateRollbackFailed"):
                _ignore_missing(self._sagemaker.delete_endpoint, EndpointName=endpoint_name)
            if self._describe_endpoint(endpoint_name) is None:
                return
            if self._remaining_seconds() < _RESERVE_SECONDS:
                raise EndpointBusyError(
                    f"endpoint {endpoint_name} is still {status}: wait until it is InService or"
                    " Failed, then delete the stack again"
                )
            time.sleep(_POLL_SECONDS)

    def _owner(self, endpoint: dict[str, Any]) -> str | None:
        """Return the id of the stack that may delete an endpoint."""
        for page in self._sagemaker.get_paginator("list_tags").paginate(ResourceArn=endpoint["EndpointArn"]):
            for tag in page["Tags"]:
                if tag["Key"] == OWNER_TAG:
                    return str(tag["Value"])
        return None

    def _describe_endpoint(self, endpoint_name: str) -> dict[str, Any] | None:
        found: dict[str, Any] | None = _ignore_missing(
            self._sagemaker.describe_endpoint, EndpointName=endpoint_name
        )
        return found

    def _versions(self, name_prefix: str) -> list[str]:
        pattern = re.compile(re.escape(name_prefix) + r"-\d{14}-[0-9a-f]{8}")
        names = {*self._list("list_endpoint_configs", "EndpointConfigs", name_prefix)} | {
            *self._list("list_models", "Models", name_prefix)
        }
        return sorted(name for name in names if pattern.fullmatch(name))

    def _list(self, operation: str, key: str, name_contains: str) -> Iterator[str]:
        paginator = self._sagemaker.get_paginator(operation)
        for page in paginator.paginate(NameContains=name_contains):
            for summary in page[key]:
                yield summary[f"{key[:-1]}Name"]

    def _delete_version(self, version: str) -> None:
        _ignore_missing(self._sagemaker.delete_endpoint_config, EndpointConfigName=version)
        _ignore_missing(self._sagemaker.delete_model, ModelName=version)
        self._artifacts.supersede(version)


def _ignore_missing(call: Callable[..., Any], **arguments: str) -> Any:
    """Call SageMaker, and return None where the thing does not exist."""
    try:
        return call(**arguments)
    except ClientError as error:
        if "Could not find" in error.response["Error"]["Message"]:
            return None
        raise
