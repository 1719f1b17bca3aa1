"""CloudFormation resources of SageMaker: models, endpoint configurations and endpoints."""

import time
from collections.abc import Mapping
from typing import Any

from cdk_sagemaker_pytorch.local.base.server_state import client

from .resource_type import Created, ResourceError, ResourceRequest, ResourceType, changed, ignoring

_POLL_SECONDS = 0.2
_MAX_NAME_LENGTH = 63


class Model(ResourceType):
    """`AWS::SageMaker::Model`; every change makes a new one."""

    type_name = "AWS::SageMaker::Model"

    def create(self, request: ResourceRequest) -> Created:
        """See `ResourceType`."""
        name = request.properties.get("ModelName") or request.generated_name(_MAX_NAME_LENGTH)
        arn = client("sagemaker").create_model(**_parameters(request, ModelName=name))["ModelArn"]
        return Created(arn, {"ModelName": name})

    def delete(self, request: ResourceRequest, physical_id: str) -> None:
        """See `ResourceType`."""
        with ignoring("ValidationException"):
            client("sagemaker").delete_model(ModelName=_name(physical_id))


class EndpointConfig(ResourceType):
    """`AWS::SageMaker::EndpointConfig`; every change makes a new one."""

    type_name = "AWS::SageMaker::EndpointConfig"

    def create(self, request: ResourceRequest) -> Created:
        """See `ResourceType`."""
        name = request.properties.get("EndpointConfigName") or request.generated_name(_MAX_NAME_LENGTH)
        parameters = _parameters(request, EndpointConfigName=name)
        arn = client("sagemaker").create_endpoint_config(**parameters)["EndpointConfigArn"]
        return Created(arn, {"EndpointConfigName": name})

    def delete(self, request: ResourceRequest, physical_id: str) -> None:
        """See `ResourceType`."""
        with ignoring("ValidationException"):
            client("sagemaker").delete_endpoint_config(EndpointConfigName=_name(physical_id))


class Endpoint(ResourceType):
    """`AWS::SageMaker::Endpoint`: made and changed when it is in service."""

    type_name = "AWS::SageMaker::Endpoint"

    def needs_replacement(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
        """See `ResourceType`."""
        return changed(before, after, "EndpointName")

    def create(self, request: ResourceRequest) -> Created:
        """See `ResourceType`."""
        name = request.properties.get("EndpointName") or request.generated_name(_MAX_NAME_LENGTH)
        sagemaker = client("sagemaker")
        arn = sagemaker.create_endpoint(
            EndpointName=name,
            EndpointConfigName=request.properties["EndpointConfigName"],
            Tags=request.tags,
        )["EndpointArn"]
        try:
            self._wait(name, request.properties["EndpointConfigName"])
        except ResourceError:
            self._delete(name)
            raise
        return Created(arn, {"EndpointName": name})

    def update(self, request: ResourceRequest, physical_id: str, before: Mapping[str, Any]) -> Created:
        """See `ResourceType`."""
        name, config = _name(physical_id), request.properties["EndpointConfigName"]
        if config != before["EndpointConfigName"]:
            client("sagemaker").update_endpoint(EndpointName=name, EndpointConfigName=config)
            self._wait(name, config)
        return Created(physical_id, {"EndpointName": name})

    def delete(self, request: ResourceRequest, physical_id: str) -> None:
        """See `ResourceType`."""
        with ignoring("ValidationException"):
            self._delete(_name(physical_id))

    def _delete(self, name: str) -> None:
        client("sagemaker").delete_endpoint(EndpointName=name)
        with ignoring("ValidationException"):
            while client("sagemaker").describe_endpoint(EndpointName=name):
                time.sleep(_POLL_SECONDS)

    def _wait(self, name: str, config: str) -> None:
        while True:
            endpoint = client("sagemaker").describe_endpoint(EndpointName=name)
            if endpoint["EndpointStatus"] not in ("Creating", "Updating"):
                break
            time.sleep(_POLL_SECONDS)
        if endpoint["EndpointStatus"] != "InService" or endpoint["EndpointConfigName"] != config:
            raise ResourceError(
                endpoint.get("FailureReason", f"the endpoint is {endpoint['EndpointStatus']}")
            )


def _parameters(request: ResourceRequest, **name: str) -> dict[str, Any]:
    """Return the API's parameters: properties have the same names."""
    return _numbers(request.properties | name | {"Tags": request.tags})


def _numbers(properties: dict[str, Any]) -> dict[str, Any]:
    """Turn numbers that templates may hold as text into numbers."""
    variants = properties.get("ProductionVariants")
    if variants is None:
        return properties
    converted = []
    for variant in variants:
        copy = dict(variant)
        for name, convert in (("InitialInstanceCount", int), ("InitialVariantWeight", float)):
            if name in copy:
                copy[name] = convert(copy[name])
        converted.append(copy)
    return properties | {"ProductionVariants": converted}


def _name(arn: str) -> str:
    return arn.split("/")[-1]
