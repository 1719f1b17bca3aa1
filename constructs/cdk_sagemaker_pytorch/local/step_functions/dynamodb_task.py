"""The optimized integration of Step Functions with DynamoDB, `arn:aws:states:::dynamodb:ACTION`."""

from typing import ClassVar

from .optimized_task import OptimizedTask


class DynamoDbTask(OptimizedTask):
    """A task that reads or writes one item."""

    service = "dynamodb"
    error_prefix = "DynamoDB"
    sdk_name = "AmazonDynamoDB"
    name_in_causes = "AmazonDynamoDBv2"
    resources: ClassVar[frozenset[str]] = frozenset({"getItem", "putItem", "updateItem", "deleteItem"})
