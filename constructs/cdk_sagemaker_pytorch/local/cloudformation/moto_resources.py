"""Types without a class of their own: those that moto's CloudFormation makes, and those in name only."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from cdk_sagemaker_pytorch.local.base.server_state import settings

from .resource_type import Created, ResourceRequest, ResourceType

# moto's module where it is not the type's service in lower case.
_MOTO_MODULES = {"lambda": "awslambda"}


class MotoResource(ResourceType):
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


class NamedResource(ResourceType):
    """A type that is not simulated: it has a name and an ARN-like attribute, and does nothing."""

    def needs_replacement(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
        """See `ResourceType`."""
        return False

    def create(self, request: ResourceRequest) -> Created:
        """See `ResourceType`."""
        warning = None
        if request.type != "AWS::CDK::Metadata":
            warning = (
                f"{request.logical_id} of stack {request.stack_name} is a {request.type}, which the local AWS"
                " does not simulate: it exists in name only"
            )
        name = request.generated_name()
        arn = f"arn:aws:local:{settings().region}:{settings().account}:{name}"
        return Created(name, {"Arn": arn, "Id": name}, warning)

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


def moto_model(name: str) -> Any:
    """Return moto's class for a type, or None where moto has none."""
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
