"""The role of a Lambda function: its own log group, its network interfaces, and nothing else."""

from collections.abc import Sequence

from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

__all__ = ["attach_policy", "new_function_role"]

# https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html#configuration-vpc-permissions
_NETWORK_ACTIONS = (
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
)


def new_function_role(
    scope: Construct,
    construct_id: str,
    *,
    log_group: logs.ILogGroup,
    in_vpc: bool = False,
    further_services: Sequence[str] = (),
) -> iam.Role:
    """Make a role that Lambda may assume, without the managed policies that the CDK would attach.

    Parameters
    ----------
    scope, construct_id
        As for every construct.
    log_group : logs.ILogGroup
        The function's log group.
    in_vpc : bool, optional
        Whether the function gets network interfaces in a VPC. Defaults to no.
    further_services : sequence of str, optional
        Service principals that run the same code and may assume the role too. Defaults to none.
    """
    services = ("lambda.amazonaws.com", *further_services)
    role = iam.Role(
        scope,
        construct_id,
        assumed_by=iam.CompositePrincipal(*map(iam.ServicePrincipal, services))
        if further_services
        else iam.ServicePrincipal(services[0]),
    )
    log_group.grant_write(role)
    if in_vpc:
        # Lambda asks for them before the interfaces exist, without naming any.
        role.add_to_policy(iam.PolicyStatement(actions=list(_NETWORK_ACTIONS), resources=["*"]))
    return role


def attach_policy(
    scope: Construct,
    construct_id: str,
    function: lambda_.Function,
    statements: Sequence[iam.PolicyStatement],
) -> iam.Policy:
    """Allow a function what has to do with resources that need the function themselves.

    It is a policy of its own: in the role's first one, which the function depends on, it would close a
    circle.

    Parameters
    ----------
    scope, construct_id
        As for every construct.
    function : lambda_.Function
        The function; its role was made in the app.
    statements : sequence of iam.PolicyStatement
        What it may do.
    """
    policy = iam.Policy(scope, construct_id, statements=list(statements))
    assert function.role is not None, "a function of the app has a role"  # noqa: S101
    function.role.attach_inline_policy(policy)
    return policy
