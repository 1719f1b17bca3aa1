"""CloudFormation resources of CloudWatch: log groups and alarms."""

from collections.abc import Mapping
from typing import Any

from cdk_sagemaker_pytorch.local.base.server_state import client, settings

from .resource_type import Created, ResourceRequest, ResourceType, changed, ignoring


class LogGroup(ResourceType):
    """`AWS::Logs::LogGroup`."""

    type_name = "AWS::Logs::LogGroup"

    def needs_replacement(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
        """See `ResourceType`."""
        return changed(before, after, "LogGroupName")

    def create(self, request: ResourceRequest) -> Created:
        """See `ResourceType`."""
        name = request.properties.get("LogGroupName") or request.generated_name(512)
        client("logs").create_log_group(logGroupName=name)
        return self._configure(name, request)

    def update(self, request: ResourceRequest, physical_id: str, before: Mapping[str, Any]) -> Created:
        """See `ResourceType`."""
        return self._configure(physical_id, request)

    def delete(self, request: ResourceRequest, physical_id: str) -> None:
        """See `ResourceType`."""
        with ignoring("ResourceNotFoundException"):
            client("logs").delete_log_group(logGroupName=physical_id)

    def _configure(self, name: str, request: ResourceRequest) -> Created:
        if days := request.properties.get("RetentionInDays"):
            client("logs").put_retention_policy(logGroupName=name, retentionInDays=int(days))
        return Created(
            name, {"Arn": f"arn:aws:logs:{settings().region}:{settings().account}:log-group:{name}:*"}
        )


class Alarm(ResourceType):
    """`AWS::CloudWatch::Alarm`; its properties are the parameters of PutMetricAlarm."""

    type_name = "AWS::CloudWatch::Alarm"

    def needs_replacement(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
        """See `ResourceType`."""
        return changed(before, after, "AlarmName")

    def create(self, request: ResourceRequest) -> Created:
        """See `ResourceType`."""
        name = request.properties.get("AlarmName") or request.generated_name(255)
        return self._put(name, request)

    def update(self, request: ResourceRequest, physical_id: str, before: Mapping[str, Any]) -> Created:
        """See `ResourceType`."""
        return self._put(physical_id, request)

    def delete(self, request: ResourceRequest, physical_id: str) -> None:
        """See `ResourceType`."""
        client("cloudwatch").delete_alarms(AlarmNames=[physical_id])

    def _put(self, name: str, request: ResourceRequest) -> Created:
        parameters = request.properties | {"AlarmName": name, "Tags": request.tags}
        client("cloudwatch").put_metric_alarm(**parameters)
        return Created(
            name, {"Arn": f"arn:aws:cloudwatch:{settings().region}:{settings().account}:alarm:{name}"}
        )
