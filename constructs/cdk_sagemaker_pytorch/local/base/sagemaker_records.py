"""What SageMaker of the local AWS keeps of models and endpoint configurations, and its errors."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from moto.core.exceptions import ServiceException

from .server_state import settings


class ValidationError(ServiceException):
    """A request that SageMaker refuses."""

    code = "ValidationException"


def refuse_any(problems: Iterable[str]) -> None:
    """Refuse a request for everything that is wrong with it, if anything is.

    Raises
    ------
    ValidationError
        With all problems.
    """
    if message := "; ".join(problems):
        raise ValidationError(message)


class ResourceInUseError(ServiceException):
    """A name that is taken."""

    code = "ResourceInUse"


class ResourceNotFoundError(ServiceException):
    """A resource that does not exist, in operations that have this error."""

    code = "ResourceNotFound"


@dataclass
class Record:
    """A model or an endpoint configuration: the request that made it.

    Parameters
    ----------
    kind
        Resource type in its ARN, for example `model`.
    name
        Its name.
    request
        Parameters of the Create call, without the tags.
    tags
        `[{"Key": …, "Value": …}]`.
    """

    kind: str
    name: str
    request: dict[str, Any]
    tags: list[dict[str, str]]
    creation_time: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC))

    @property
    def arn(self) -> str:
        """Its ARN."""
        return sagemaker_arn(self.kind, self.name)


def sagemaker_arn(kind: str, name: str) -> str:
    """Return the ARN of a SageMaker resource."""
    return f"arn:aws:sagemaker:{settings().region}:{settings().account}:{kind}/{name}"
