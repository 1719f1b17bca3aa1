"""Which permissions a call of DynamoDB needs: tables, indexes, and the keys of the items that it asks for."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from cdk_sagemaker_pytorch.local.base.server_state import settings

# The actions behind the parts of a transaction, which has no permission of its own.
_TRANSACTION_ACTIONS = {
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "ConditionCheck": "ConditionCheckItem",
    "Get": "GetItem",
}
_EQUALS = re.compile(r"(#?[\w.-]+)\s*=\s*(:\w+)")
# How to read a key, by the names of its parameter in the API.
_KEYS = ("Key", "Item")

KeyedAccess = tuple[str, str, dict[str, list[str]]]


def dynamodb_permissions(operation: str, parameters: Mapping[str, Any]) -> Iterator[KeyedAccess]:
    """Yield action, resource and condition keys of each permission that a call needs.

    Parameters
    ----------
    operation
        Of the API, for example `UpdateItem`.
    parameters
        Of the call.
    """
    if operation.startswith("Transact"):
        for entry in parameters.get("TransactItems") or []:
            for kind, part in entry.items():
                yield from _access(_TRANSACTION_ACTIONS.get(kind, operation), part)
    elif operation in ("BatchGetItem", "BatchWriteItem"):
        for table, requests in (parameters.get("RequestItems") or {}).items():
            items = requests["Keys"] if operation == "BatchGetItem" else _written(requests)
            yield f"dynamodb:{operation}", table_arn(table), _leading_keys(table, items)
    elif "ResourceArn" in parameters:
        yield f"dynamodb:{operation}", parameters["ResourceArn"], {}
    else:
        yield from _access(operation, parameters)


def table_arn(name: str) -> str:
    """Return the ARN of a table; calls may name it by that, too."""
    if name.startswith("arn:"):
        return name
    return f"arn:aws:dynamodb:{settings().region}:{settings().account}:table/{name}"


def _access(operation: str, parameters: Mapping[str, Any]) -> Iterator[KeyedAccess]:
    table = parameters.get("TableName")
    if table is None:
        yield f"dynamodb:{operation}", "*", {}
        return
    index = parameters.get("IndexName")
    resource = table_arn(table) + (f"/index/{index}" if index else "")
    if operation == "Query":
        context = _condition(_asked_for(parameters, _partition_key(table, index)))
    else:
        context = _leading_keys(table, [parameters[name] for name in _KEYS if name in parameters])
    yield f"dynamodb:{operation}", resource, context


def _written(requests: Iterable[Mapping[str, Any]]) -> list[Any]:
    return [
        part["Item"] if kind == "PutRequest" else part["Key"]
        for request in requests
        for kind, part in request.items()
    ]


def _leading_keys(table: str, items: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    key = _partition_key(table, None)
    return _condition([item[key] for item in items if key in item] if key else [])


def _condition(values: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Return the condition key for values such as `{"S": "a"}`."""
    keys = [str(text) for value in values for text in value.values()]
    return {"dynamodb:LeadingKeys": keys} if keys else {}


def _asked_for(parameters: Mapping[str, Any], key: str | None) -> list[Mapping[str, Any]]:
    """Return the partition keys that a query asks for."""
    if key is None:
        return []
    if condition := (parameters.get("KeyConditions") or {}).get(key):
        values: list[Mapping[str, Any]] = condition.get("AttributeValueList") or []
        return values
    names = parameters.get("ExpressionAttributeNames") or {}
    given = parameters.get("ExpressionAttributeValues") or {}
    found = _EQUALS.findall(parameters.get("KeyConditionExpression") or "")
    return [given[value] for name, value in found if names.get(name, name) == key and value in given]


def _partition_key(table: str, index: str | None) -> str | None:
    """Return the name of the partition key of a table or of an index of it; None where it does not exist."""
    from moto.dynamodb.models import dynamodb_backends

    tables = dynamodb_backends[settings().account][settings().region].tables
    found = tables.get(table.split("/")[-1])
    if found is None:
        return None
    schema = found.schema
    for known in [*found.global_indexes, *found.indexes]:
        if known.name == index:
            schema = known.schema
    return next((str(part["AttributeName"]) for part in schema if part["KeyType"] == "HASH"), None)
