"""What a CloudFormation resource type is to the local AWS, and what it is asked."""

import contextlib
import secrets
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from botocore.exceptions import ClientError


class ResourceError(Exception):
    """Why a resource cannot be made, changed or removed, in words for the stack's events."""


@dataclass(frozen=True)
class ResourceRequest:
    """What a resource is asked to be: properties with all functions evaluated, and the tags of its stack."""

    stack_name: str
    stack_id: str
    logical_id: str
    type: str
    properties: dict[str, Any]
    stack_tags: dict[str, str]

    def generated_name(self, max_length: int = 64, *, lower: bool = False) -> str:
        """Return a name as CloudFormation makes them: stack, logical id and a random suffix."""
        suffix = f"-{secrets.token_hex(6).upper()}"
        name = f"{self.stack_name}-{self.logical_id}"[: max_length - len(suffix)] + suffix
        return name.lower() if lower else name

    @property
    def tags(self) -> list[dict[str, str]]:
        """The resource's own tags over those of the stack."""
        own = {tag["Key"]: tag["Value"] for tag in self.properties.get("Tags") or []}
        return [{"Key": key, "Value": str(value)} for key, value in (self.stack_tags | own).items()]


@dataclass(frozen=True)
class Created:
    """A resource that exists.

    Attributes
    ----------
    physical_id
        What `Ref` gives.
    attributes
        What `Fn::GetAtt` gives, by name.
    warning
        What is not as on AWS: the stack's events say it, the server's log, and `LocalAws.deploy`.
    """

    physical_id: str
    attributes: dict[str, Any] = field(default_factory=dict)
    warning: str | None = None


class ResourceType(ABC):
    """What the local CloudFormation knows of a type.

    A subclass names its type, and is found by that. Without a word about it, every change means a new
    resource.

    Attributes
    ----------
    type_name
        For example `AWS::S3::Bucket`; empty for a class that stands for several types.
    """

    type_name: ClassVar[str] = ""

    def __init_subclass__(cls) -> None:
        """Register the type."""
        if cls.type_name:
            known_types[cls.type_name] = cls

    def needs_replacement(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
        """Whether this change of properties means a new resource."""
        return True

    @abstractmethod
    def create(self, request: ResourceRequest) -> Created:
        """Make the resource, and wait until it is ready."""

    def update(self, request: ResourceRequest, physical_id: str, before: Mapping[str, Any]) -> Created:
        """Change the resource that has this id; `before` are its properties so far."""
        raise NotImplementedError(f"every change of a {request.type} is a replacement")

    @abstractmethod
    def delete(self, request: ResourceRequest, physical_id: str) -> None:
        """Remove the resource; one that is gone is no error."""


#: The types that have a class of their own.
known_types: dict[str, type[ResourceType]] = {}


def changed(before: Mapping[str, Any], after: Mapping[str, Any], *properties: str) -> bool:
    """Whether any of these properties differs."""
    return any(before.get(name) != after.get(name) for name in properties)


@contextlib.contextmanager
def ignoring(*codes: str) -> Iterator[None]:
    """Ignore errors of AWS with these codes."""
    try:
        yield
    except ClientError as error:
        if error.response["Error"]["Code"] not in codes:
            raise
