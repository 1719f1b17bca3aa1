"""CloudFormation resources of EventBridge: rules."""

import json
from collections.abc import Mapping
from typing import Any

from cdk_sagemaker_pytorch.local.base.server_state import client

from .resource_type import Created, ResourceRequest, ResourceType, changed, ignoring

# Properties that PutRule takes as they are.
_SAME = ("ScheduleExpression", "State", "Description", "RoleArn", "EventBusName")
# Services whose targets get events.
_TARGETS = ("lambda", "states", "sqs", "logs", "events")


class Rule(ResourceType):
    """`AWS::Events::Rule`."""

    type_name = "AWS::Events::Rule"

    def needs_replacement(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
        """See `ResourceType`."""
        return changed(before, after, "Name", "EventBusName")

    def create(self, request: ResourceRequest) -> Created:
        """See `ResourceType`."""
        return self._put(request.properties.get("Name") or request.generated_name(), request, {})

    def update(self, request: ResourceRequest, physical_id: str, before: Mapping[str, Any]) -> Created:
        """See `ResourceType`."""
        return self._put(physical_id.split("|")[-1], request, before)

    def delete(self, request: ResourceRequest, physical_id: str) -> None:
        """See `ResourceType`."""
        name = physical_id.split("|")[-1]
        with ignoring("ResourceNotFoundException"):
            self._remove(name, request.properties, [target["Id"] for target in _targets(request.properties)])
            client("events").delete_rule(Name=name, **_bus(request.properties))

    def _put(self, name: str, request: ResourceRequest, before: Mapping[str, Any]) -> Created:
        properties = request.properties
        parameters = {key: properties[key] for key in _SAME if key in properties}
        if pattern := properties.get("EventPattern"):
            parameters["EventPattern"] = pattern if isinstance(pattern, str) else json.dumps(pattern)
        tags = {} if before else {"Tags": request.tags}
        arn = client("events").put_rule(Name=name, **parameters, **tags)["RuleArn"]
        targets = _targets(properties)
        ids = {target["Id"] for target in targets}
        self._remove(
            name, properties, [target["Id"] for target in _targets(before) if target["Id"] not in ids]
        )
        if targets:
            client("events").put_targets(Rule=name, Targets=targets, **_bus(properties))
        unknown = [target["Arn"] for target in targets if target["Arn"].split(":")[2] not in _TARGETS]
        warning = None
        if unknown:
            warning = (
                f"{request.logical_id} of stack {request.stack_name} sends to {', '.join(unknown)}, "
                "which the local AWS does not deliver to"
            )
        bus = properties.get("EventBusName", "default").split("/")[-1]
        return Created(name if bus == "default" else f"{bus}|{name}", {"Arn": arn}, warning)

    @staticmethod
    def _remove(name: str, properties: Mapping[str, Any], ids: list[str]) -> None:
        if ids:
            client("events").remove_targets(Rule=name, Ids=ids, **_bus(properties))


def _targets(properties: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the targets, with numbers that templates may hold as text."""
    targets = []
    for target in properties.get("Targets") or []:
        policy = target.get("RetryPolicy")
        numbers = {name: int(value) for name, value in policy.items()} if policy else None
        targets.append(target | ({"RetryPolicy": numbers} if numbers else {}))
    return targets


def _bus(properties: Mapping[str, Any]) -> dict[str, str]:
    return {"EventBusName": properties["EventBusName"]} if "EventBusName" in properties else {}
