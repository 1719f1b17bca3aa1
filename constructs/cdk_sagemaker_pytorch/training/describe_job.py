"""The state that looks at a training job whose name is known only at run time."""

from typing import Any

from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk_sagemaker_pytorch.common.container_role import sagemaker_arn
from cdk_sagemaker_pytorch.states import jsonata
from cdk_sagemaker_pytorch.states.task_state import TaskState, integration_arn

__all__ = ["describe_training_job"]


def describe_training_job(scope: Construct, construct_id: str, *, key: str, **arguments: Any) -> TaskState:
    """Make a state that describes the job that its input names.

    Parameters
    ----------
    scope, construct_id
        As for every construct.
    key : str
        Key of the input that has the name.
    **arguments
        Further arguments of `TaskState`, ``assign`` and ``output``; they read ``$states.result``.
    """
    return TaskState(
        scope,
        construct_id,
        resource=integration_arn(scope, "aws-sdk:sagemaker:describeTrainingJob"),
        arguments={"TrainingJobName": jsonata.evaluate(f"$states.input.{key}")},
        statements=[
            iam.PolicyStatement(
                actions=["sagemaker:DescribeTrainingJob"],
                resources=[sagemaker_arn(scope, "training-job", "*")],
            )
        ],
        **arguments,
    )
