"""What every state needs that runs a SageMaker job, or an execution, and waits for its end."""

from typing import Literal

from aws_cdk import Stack
from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk_sagemaker_pytorch.common.container_role import pass_role_statement, sagemaker_arn

__all__ = ["job_statements", "managed_rule_statement"]


def job_statements(
    scope: Construct, *, kind: Literal["Training", "Processing"], name_prefix: str, role: iam.IRole
) -> list[iam.PolicyStatement]:
    """Make what a state machine must be allowed for an integration like ``sagemaker:createTrainingJob.sync``.

    Parameters
    ----------
    scope : Construct
        Any construct of the stack.
    kind : str
        Kind of the job.
    name_prefix : str
        What the names of the jobs begin with.
    role : iam.IRole
        Role of the jobs.
    """
    return [
        iam.PolicyStatement(
            actions=[
                f"sagemaker:Create{kind}Job",
                f"sagemaker:Describe{kind}Job",
                f"sagemaker:Stop{kind}Job",
                "sagemaker:AddTags",  # Step Functions marks the jobs that it waits for (aws/aws-cdk#26012)
            ],
            resources=[sagemaker_arn(scope, f"{kind.lower()}-job", f"{name_prefix}-*")],
        ),
        pass_role_statement(role),
        managed_rule_statement(scope, f"SageMaker{kind}Jobs"),
    ]


def managed_rule_statement(scope: Construct, events: str) -> iam.PolicyStatement:
    """Make what lets Step Functions keep its managed rule, which tells it of the end of what it waits for.

    Parameters
    ----------
    scope : Construct
        Any construct of the stack.
    events : str
        What the rule's name says that it is for, for example ``StepFunctionsExecution``.
    """
    return iam.PolicyStatement(
        actions=["events:DescribeRule", "events:PutRule", "events:PutTargets"],
        resources=[
            Stack.of(scope).format_arn(
                service="events", resource="rule", resource_name=f"StepFunctionsGetEventsFor{events}Rule"
            )
        ],
    )
