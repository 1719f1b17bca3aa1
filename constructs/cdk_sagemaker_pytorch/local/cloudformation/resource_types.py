"""How the local CloudFormation makes, changes and removes a resource of each type.

The types that an app of this library uses are made by API calls, as CloudFormation makes them. For other
types moto's own CloudFormation models are used, and a type that moto does not have exists in name only,
with a warning.
"""

import contextlib
import logging
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import Any, Protocol

from botocore.exceptions import ClientError

from cdk_sagemaker_pytorch.local.base.server_state import settings

_logger = logging.getLogger(__name__)
# moto's module where it is not the type's service in lower case.
_MOTO_MODULES = {"lambda": "awslambda"}


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
    """A resource that exists: its physical id (`Ref`) and its attributes (`Fn::GetAtt`)."""

    physical_id: str
    attributes: dict[str, Any] = field(default_factory=dict)


class ResourceType(Protocol):
    """What the local CloudFormation knows of a type."""

    def needs_replacement(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
        """Whether this change of properties means a new resource."""

    def create(self, request: ResourceRequest) -> Created:
        """Make the resource, and wait until it is ready."""

    def update(self, request: ResourceRequest, physical_id: str, before: Mapping[str, Any]) -> Created:
        """Change the resource that has this id; `before` are its properties so far."""

    def delete(self, request: ResourceRequest, physical_id: str) -> None:
        """Remove the resource; one that is gone is no error."""


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


@cache
def resource_type(name: str) -> ResourceType:
    """Return what is known of a type, for example `AWS::S3::Bucket`."""
    from .custom_resources import CustomResource
    from .iam_resources import IAM_TYPES
    from .lambda_resources import LAMBDA_TYPES
    from .monitoring_resources import MONITORING_TYPES
    from .s3_resources import S3_TYPES
    from .sagemaker_resources import SAGEMAKER_TYPES

    if name.startswith("Custom::") or name == "AWS::CloudFormation::CustomResource":
        return CustomResource()
    known = IAM_TYPES | LAMBDA_TYPES | MONITORING_TYPES | S3_TYPES | SAGEMAKER_TYPES
    if name in known:
        return known[name]
    model = _moto_model(name)
    return MotoResource(model) if model is not None else NamedResource()


class MotoResource:
    """A type that moto's CloudFormation models make; a change of it makes a new one where moto cannot update.

    Parameters
    ----------
    model
        moto's class.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._resources: dict[str, Any] = {}

    def needs_replacement(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
        """See `ResourceType`."""
        return hasattr(self._model.update_from_cloudformation_json, "__isabstractmethod__")

    def create(self, request: ResourceRequest) -> Created:
        """See `ResourceType`."""
        name, content = self._named(request)
        resource = self._model.create_from_cloudformation_json(
            name,
            content,
            settings().account,
            settings().region,
            LogicalId=request.logical_id,
            StackId=request.stack_id,
            ResourceType=request.type,
        )
        return self._created(resource)

    def update(self, request: ResourceRequest, physical_id: str, before: Mapping[str, Any]) -> Created:
        """See `ResourceType`."""
        name, content = self._named(request)
        resource = self._model.update_from_cloudformation_json(
            self._resources[physical_id],
            name,
            content,
            settings().account,
            settings().region,
        )
        return self._created(resource)

    def delete(self, request: ResourceRequest, physical_id: str) -> None:
        """See `ResourceType`."""
        resource = self._resources.pop(physical_id, None)
        if not hasattr(self._model.delete_from_cloudformation_json, "__isabstractmethod__"):
            self._model.delete_from_cloudformation_json(
                physical_id, self._named(request)[1], settings().account, settings().region
            )
        elif hasattr(resource, "delete"):
            resource.delete(settings().account, settings().region)

    def _named(self, request: ResourceRequest) -> tuple[str, dict[str, Any]]:
        """Return a name, and the resource with it: moto's models look in either place."""
        name_property = self._model.cloudformation_name_type()
        name = request.properties.get(name_property) or request.generated_name()
        properties = {name_property: name} | request.properties if name_property else request.properties
        return name, {"Type": request.type, "Properties": dict(properties)}

    def _created(self, resource: Any) -> Created:
        physical_id = str(resource.physical_resource_id)
        self._resources[physical_id] = resource
        return Created(physical_id, _MotoAttributes(resource))


class NamedResource:
    """A type that is not simulated: it has a name and an ARN-like attribute, and does nothing."""

    def needs_replacement(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
        """See `ResourceType`."""
        return False

    def create(self, request: ResourceRequest) -> Created:
        """See `ResourceType`."""
        if request.type != "AWS::CDK::Metadata":
            _logger.warning(
                "%s of stack %s is a %s, which the local AWS does not simulate: it exists in name only",
                request.logical_id,
                request.stack_name,
                request.type,
            )
        name = request.generated_name()
        return Created(
            name, {"Arn": f"arn:aws:local:{settings().region}:{settings().account}:{name}", "Id": name}
        )

    def update(self, request: ResourceRequest, physical_id: str, before: Mapping[str, Any]) -> Created:
        """See `ResourceType`."""
        return Created(
            physical_id, {"Arn": f"arn:aws:local:{settings().region}:{settings().account}:{physical_id}"}
        )

    def delete(self, request: ResourceRequest, physical_id: str) -> None:
        """See `ResourceType`."""


class _MotoAttributes(dict[str, Any]):
    """Attributes of moto's resource, asked for when a template needs them."""

    def __init__(self, resource: Any) -> None:
        super().__init__()
        self._resource = resource

    def __contains__(self, name: object) -> bool:
        try:
            return self[str(name)] is not None
        except KeyError:
            return False

    def __getitem__(self, name: str) -> Any:
        try:
            return self._resource.get_cfn_attribute(name)
        except Exception as error:
            # moto's models say "no such attribute" in several ways.
            if name == "Arn" and str(self._resource.physical_resource_id).startswith("arn:"):
                return self._resource.physical_resource_id
            raise KeyError(name) from error


def _moto_model(name: str) -> Any:
    from moto.core.common_models import CloudFormationModel

    service = name.split("::")[1].lower()
    try:
        import_module(f"moto.{_MOTO_MODULES.get(service, service)}.models")
    except ModuleNotFoundError:
        return None
    pending = list(CloudFormationModel.__subclasses__())
    while pending:
        model = pending.pop()
        pending += model.__subclasses__()
        if (
            not hasattr(model.cloudformation_type, "__isabstractmethod__")
            and model.cloudformation_type() == name
        ):
            return model
    return None
