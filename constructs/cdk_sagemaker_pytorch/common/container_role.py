"""What the role of any SageMaker container needs, whatever runs in it."""

from aws_cdk import ArnFormat, Stack
from aws_cdk import aws_iam as iam
from constructs import Construct

__all__ = ["grant_logs_and_metrics", "new_container_role", "pass_role_statement", "sagemaker_arn"]


def new_container_role(scope: Construct, construct_id: str) -> iam.Role:
    """Make a role that SageMaker may assume and that is allowed nothing yet."""
    return iam.Role(scope, construct_id, assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"))


def grant_logs_and_metrics(role: iam.IRole, scope: Construct, log_groups: str) -> None:
    """Let a container write its logs and metrics.

    Parameters
    ----------
    role : iam.IRole
        Role of the container.
    scope : Construct
        Any construct of the stack.
    log_groups : str
        Prefix of the log groups, for example ``/aws/sagemaker/TrainingJobs``.
    """
    role.add_to_principal_policy(
        iam.PolicyStatement(
            actions=[
                "logs:CreateLogGroup",
                "logs:CreateLogStream",
                "logs:DescribeLogStreams",
                "logs:PutLogEvents",
            ],
            resources=[
                Stack.of(scope).format_arn(
                    service="logs",
                    resource="log-group",
                    resource_name=f"{log_groups}*",
                    arn_format=ArnFormat.COLON_RESOURCE_NAME,
                )
            ],
        )
    )
    role.add_to_principal_policy(
        iam.PolicyStatement(
            actions=["cloudwatch:PutMetricData"],
            resources=["*"],  # the action knows no resources; the condition bounds it
            conditions={"StringLike": {"cloudwatch:namespace": "/aws/sagemaker/*"}},
        )
    )


def pass_role_statement(role: iam.IRole) -> iam.PolicyStatement:
    """Make what allows to hand a role to SageMaker, and to nobody else.

    Parameters
    ----------
    role : iam.IRole
        Role of a container.
    """
    return iam.PolicyStatement(
        actions=["iam:PassRole"],
        resources=[role.role_arn],
        conditions={"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
    )


def sagemaker_arn(scope: Construct, resource: str, name: str) -> str:
    """ARN of a SageMaker resource in the stack's account and region.

    Parameters
    ----------
    scope : Construct
        Any construct of the stack.
    resource : str
        For example ``endpoint-config``.
    name : str
        Its name, which may hold ``*``. SageMaker writes names in lower case in ARNs.
    """
    return Stack.of(scope).format_arn(service="sagemaker", resource=resource, resource_name=name)
