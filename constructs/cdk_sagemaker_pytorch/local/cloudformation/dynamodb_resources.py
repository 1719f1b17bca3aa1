"""CloudFormation resources of DynamoDB: tables."""

from collections.abc import Mapping
from typing import Any

from cdk_sagemaker_pytorch.local.base.server_state import client, settings

from .resource_type import Created, ResourceRequest, ResourceType, changed, ignoring

# Properties that CreateTable takes as they are.
_SAME = ("AttributeDefinitions", "KeySchema", "LocalSecondaryIndexes", "TableClass")


class Table(ResourceType):
    """`AWS::DynamoDB::Table`."""

    type_name = "AWS::DynamoDB::Table"

    def needs_replacement(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
        """See `ResourceType`."""
        return changed(before, after, "TableName", "KeySchema", "LocalSecondaryIndexes")

    def create(self, request: ResourceRequest) -> Created:
        """See `ResourceType`."""
        properties = self._table(request.properties)
        name = properties.get("TableName") or request.generated_name(255)
        parameters = {key: properties[key] for key in _SAME if key in properties}
        if indexes := _indexes(properties):
            parameters["GlobalSecondaryIndexes"] = list(indexes.values())
        if encryption := properties.get("SSESpecification"):
            parameters["SSESpecification"] = _encryption(encryption)
        client("dynamodb").create_table(
            TableName=name, Tags=request.tags, **parameters, **_changeable(properties)
        )
        try:
            self._put_settings(name, properties, {})
        except BaseException:
            client("dynamodb").delete_table(TableName=name)
            raise
        return self._created(name)

    def update(self, request: ResourceRequest, physical_id: str, before: Mapping[str, Any]) -> Created:
        """See `ResourceType`."""
        properties, earlier = self._table(request.properties), self._table(before)
        dynamodb = client("dynamodb")
        if _changeable(properties) != _changeable(earlier):
            dynamodb.update_table(TableName=physical_id, **_changeable(properties))
        self._update_indexes(physical_id, properties, earlier)
        self._put_settings(physical_id, properties, earlier)
        created = self._created(physical_id)
        arn = created.attributes["Arn"]
        if tags := dynamodb.list_tags_of_resource(ResourceArn=arn)["Tags"]:
            # moto would keep the old value beside the new one.
            dynamodb.untag_resource(ResourceArn=arn, TagKeys=[tag["Key"] for tag in tags])
        dynamodb.tag_resource(ResourceArn=arn, Tags=request.tags)
        return created

    def delete(self, request: ResourceRequest, physical_id: str) -> None:
        """See `ResourceType`."""
        with ignoring("ResourceNotFoundException"):
            client("dynamodb").delete_table(TableName=physical_id)

    def _table(self, properties: Mapping[str, Any]) -> dict[str, Any]:
        """Return the properties of the table in this region."""
        return dict(properties)

    def _created(self, name: str) -> Created:
        table = client("dynamodb").describe_table(TableName=name)["Table"]
        attributes = {"Arn": table["TableArn"], "TableId": table.get("TableId", name)}
        if stream := table.get("LatestStreamArn"):
            attributes["StreamArn"] = stream
        return Created(name, attributes)

    def _update_indexes(self, name: str, properties: Mapping[str, Any], earlier: Mapping[str, Any]) -> None:
        after, before = _indexes(properties), _indexes(earlier)
        steps: list[dict[str, Any]] = [
            {"Delete": {"IndexName": index}} for index in before if before[index] != after.get(index)
        ]
        steps += [{"Create": after[index]} for index in after if after[index] != before.get(index)]
        for step in steps:  # one at a time, as the API has it
            client("dynamodb").update_table(
                TableName=name,
                AttributeDefinitions=properties["AttributeDefinitions"],
                GlobalSecondaryIndexUpdates=[step],
            )

    def _put_settings(self, name: str, properties: Mapping[str, Any], earlier: Mapping[str, Any]) -> None:
        """Set what calls of their own set."""
        dynamodb = client("dynamodb")
        if changed(earlier, properties, "PointInTimeRecoverySpecification"):
            recovery = properties.get("PointInTimeRecoverySpecification") or {}
            enabled = _truth(recovery.get("PointInTimeRecoveryEnabled", False))
            dynamodb.update_continuous_backups(
                TableName=name, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": enabled}
            )
        if changed(earlier, properties, "TimeToLiveSpecification"):
            expiry = properties.get("TimeToLiveSpecification") or earlier["TimeToLiveSpecification"]
            enabled = "TimeToLiveSpecification" in properties and _truth(expiry["Enabled"])
            dynamodb.update_time_to_live(
                TableName=name,
                TimeToLiveSpecification={"AttributeName": expiry["AttributeName"], "Enabled": enabled},
            )


class GlobalTable(Table):
    """`AWS::DynamoDB::GlobalTable`, which the CDK's `TableV2` makes: its replica in this region."""

    type_name = "AWS::DynamoDB::GlobalTable"

    def _table(self, properties: Mapping[str, Any]) -> dict[str, Any]:
        """Return the properties of the table in this region."""
        here = [replica for replica in properties["Replicas"] if replica["Region"] == settings().region]
        table = dict(properties) | (here[0] if here else {})
        table.pop("Replicas")
        encryption = properties.get("SSESpecification")
        if encryption is not None:
            table["SSESpecification"] = encryption | table.get("SSESpecification", {})
        return table


def _changeable(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return what CreateTable and UpdateTable both take."""
    parameters: dict[str, Any] = {
        "BillingMode": properties.get("BillingMode", "PROVISIONED"),
        "DeletionProtectionEnabled": _truth(properties.get("DeletionProtectionEnabled", False)),
    }
    if throughput := properties.get("ProvisionedThroughput"):
        parameters["ProvisionedThroughput"] = {name: int(value) for name, value in throughput.items()}
    if stream := properties.get("StreamSpecification"):
        parameters["StreamSpecification"] = {
            "StreamEnabled": True,
            "StreamViewType": stream["StreamViewType"],
        }
    return parameters


def _indexes(properties: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the global indexes by name, with numbers that templates may hold as text."""
    indexes = {}
    for index in properties.get("GlobalSecondaryIndexes") or []:
        known = {name: index[name] for name in ("IndexName", "KeySchema", "Projection")}
        if throughput := index.get("ProvisionedThroughput"):
            known["ProvisionedThroughput"] = {name: int(value) for name, value in throughput.items()}
        indexes[index["IndexName"]] = known
    return indexes


def _encryption(properties: Mapping[str, Any]) -> dict[str, Any]:
    rest = {name: value for name, value in properties.items() if name != "SSEEnabled"}
    return rest | {"Enabled": _truth(properties.get("SSEEnabled", False))}


def _truth(value: Any) -> bool:
    """Return a boolean that templates may hold as text."""
    return value is True or value == "true"
