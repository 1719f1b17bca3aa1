"""The table that knows of every endpoint of a stack who may change it, and which version serves."""

from typing import Self

from aws_cdk import RemovalPolicy, Stack
from aws_cdk import aws_dynamodb as dynamodb
from constructs import Construct

__all__ = ["Ledger"]

_SINGLETON_ID = "PyTorchLedger"


class Ledger(dynamodb.Table):
    """One table of a stack, with an item for each endpoint that deployments of the stack bring into service.

    It costs nothing at rest but the storage of its items, each below 10 KB; a deployment makes some 80 reads
    and 25 writes. It goes with the stack, unless an endpoint is retained.

    Parameters
    ----------
    scope, construct_id
        As for every construct; use `of`.
    """

    def __init__(self, scope: Construct, construct_id: str) -> None:
        super().__init__(
            scope,
            construct_id,
            partition_key=dynamodb.Attribute(name="endpoint", type=dynamodb.AttributeType.STRING),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            encryption=dynamodb.TableEncryption.AWS_MANAGED,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            removal_policy=RemovalPolicy.DESTROY,
        )

    @classmethod
    def of(cls, scope: Construct) -> Self:
        """Get the stack's own ledger, made when it is first asked for.

        Parameters
        ----------
        scope : Construct
            Any construct of the stack.
        """
        stack = Stack.of(scope)
        existing = stack.node.try_find_child(_SINGLETON_ID)
        return existing if isinstance(existing, cls) else cls(stack, _SINGLETON_ID)
