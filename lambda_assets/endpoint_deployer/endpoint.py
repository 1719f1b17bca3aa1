"""The endpoint as SageMaker shows it, and the calls that change it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

#: Tag of an endpoint with the id of the stack that may delete it.
OWNER_TAG = "cdk-sagemaker-pytorch:owner"

# An endpoint in any other status is changing.
_SETTLED = frozenset({"InService", "OutOfService", "Failed", "UpdateRollbackFailed"})


@dataclass(frozen=True)
class Look:
    """An endpoint as it was seen.

    Attributes
    ----------
    status
        ``EndpointStatus``, or ``Missing``.
    config
        The configuration that it has; None where it is missing.
    modified
        ``LastModifiedTime`` as text.
    failure_reason
        What SageMaker says of a change that failed.
    arn
        Its ARN.
    """

    status: str
    config: str | None = None
    modified: str | None = None
    failure_reason: str | None = None
    arn: str | None = None

    @property
    def is_missing(self) -> bool:
        """Whether there is no endpoint."""
        return self.status == "Missing"

    @property
    def is_changing(self) -> bool:
        """Whether SageMaker is at work on it, and refuses changes."""
        return not self.is_missing and self.status not in _SETTLED

    def serves(self, config: str | None) -> bool:
        """Whether it is in service with a configuration; with None, whether it is gone."""
        if config is None:
            return self.is_missing
        return self.status == "InService" and self.config == config


class Endpoint:
    """One endpoint.

    Parameters
    ----------
    sagemaker
        A boto3 client.
    name : str
        Its name.
    """

    def __init__(self, sagemaker: Any, name: str) -> None:
        self._sagemaker = sagemaker
        self.name = name

    def look(self) -> Look:
        """Look at it."""
        found = ignore_missing(self._sagemaker.describe_endpoint, EndpointName=self.name)
        if found is None:
            return Look("Missing")
        return Look(
            found["EndpointStatus"],
            found["EndpointConfigName"],
            found["LastModifiedTime"].isoformat(),
            found.get("FailureReason"),
            found["EndpointArn"],
        )

    def ask(self, look: Look, config: str | None, owner: str | None) -> None:
        """Ask SageMaker for a configuration, or, with None, to delete the endpoint.

        Parameters
        ----------
        look : Look
            What it is now.
        config : str or None
            What it is to have.
        owner : str or None
            Id of the stack, for the tag of a new endpoint; None leaves it without one.
        """
        if config is None:
            self._sagemaker.delete_endpoint(EndpointName=self.name)
        elif look.is_missing:
            self._sagemaker.create_endpoint(
                EndpointName=self.name,
                EndpointConfigName=config,
                Tags=[{"Key": OWNER_TAG, "Value": owner}] if owner is not None else [],
            )
        else:
            self._sagemaker.update_endpoint(EndpointName=self.name, EndpointConfigName=config)

    def owner(self, look: Look) -> str | None:
        """Return the id of the stack that may delete it, from its tag; None without one, or if missing."""
        if look.is_missing:
            return None
        for page in self._sagemaker.get_paginator("list_tags").paginate(ResourceArn=look.arn):
            for tag in page["Tags"]:
                if tag["Key"] == OWNER_TAG:
                    return str(tag["Value"])
        return None

    def mark(self, look: Look, owner: str) -> None:
        """Write down on the endpoint who may delete it."""
        self._sagemaker.add_tags(ResourceArn=look.arn, Tags=[{"Key": OWNER_TAG, "Value": owner}])

    def unmark(self, look: Look) -> None:
        """Leave the endpoint to itself: from now on no stack's deletion removes it."""
        self._sagemaker.delete_tags(ResourceArn=look.arn, TagKeys=[OWNER_TAG])


def ignore_missing(call: Callable[..., Any], **arguments: str) -> Any:
    """Call SageMaker, and return None where the thing does not exist."""
    try:
        return call(**arguments)
    except ClientError as error:
        text = error.response["Error"]["Message"]
        if "Could not find" in text or "not found" in text or "does not exist" in text:
            return None
        raise
