"""Stacks within stacks."""

import time
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from cdk_sagemaker_pytorch.local.base.server_state import client

from .resource_type import Created, ResourceError, ResourceRequest, ResourceType

_POLL_SECONDS = 0.1


class NestedStack(ResourceType):
    """`AWS::CloudFormation::Stack`: a stack of its own, whose outputs are its attributes."""

    type_name = "AWS::CloudFormation::Stack"

    def needs_replacement(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
        """See `ResourceType`."""
        return False

    def create(self, request: ResourceRequest) -> Created:
        """See `ResourceType`."""
        name = request.generated_name(128)
        stack_id = client("cloudformation").create_stack(StackName=name, **_parameters(request))["StackId"]
        stack = _settled(stack_id)
        if stack["StackStatus"] != "CREATE_COMPLETE":
            self._remove(stack_id)
            raise ResourceError(_failure(stack))
        return _created(stack)

    def update(self, request: ResourceRequest, physical_id: str, before: Mapping[str, Any]) -> Created:
        """See `ResourceType`."""
        try:
            client("cloudformation").update_stack(StackName=physical_id, **_parameters(request))
        except ClientError as error:
            if "No updates" not in str(error):
                raise
        stack = _settled(physical_id)
        if not stack["StackStatus"].endswith(("CREATE_COMPLETE", "UPDATE_COMPLETE")):
            raise ResourceError(_failure(stack))
        return _created(stack)

    def delete(self, request: ResourceRequest, physical_id: str) -> None:
        """See `ResourceType`."""
        stack = self._remove(physical_id)
        if stack["StackStatus"] != "DELETE_COMPLETE":
            raise ResourceError(_failure(stack))

    def _remove(self, stack_id: str) -> dict[str, Any]:
        client("cloudformation").delete_stack(StackName=stack_id)
        return _settled(stack_id)


def _parameters(request: ResourceRequest) -> dict[str, Any]:
    parameters = [
        {"ParameterKey": name, "ParameterValue": ",".join(value) if isinstance(value, list) else str(value)}
        for name, value in (request.properties.get("Parameters") or {}).items()
    ]
    return {
        "TemplateURL": request.properties["TemplateURL"],
        "Parameters": parameters,
        "Tags": request.tags,
        # Who deploys the outer stack has acknowledged what is in it.
        "Capabilities": ["CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
    }


def _settled(stack_id: str) -> dict[str, Any]:
    while True:
        stack: dict[str, Any] = client("cloudformation").describe_stacks(StackName=stack_id)["Stacks"][0]
        if not stack["StackStatus"].endswith("IN_PROGRESS"):
            return stack
        time.sleep(_POLL_SECONDS)


def _created(stack: Mapping[str, Any]) -> Created:
    outputs = {f"Outputs.{item['OutputKey']}": item["OutputValue"] for item in stack.get("Outputs", [])}
    return Created(stack["StackId"], outputs)


def _failure(stack: Mapping[str, Any]) -> str:
    reason = stack.get("StackStatusReason", "")
    return f"Embedded stack {stack['StackId']} was not successfully created or updated: {reason}"
