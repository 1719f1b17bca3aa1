"""The states that train, or attach to a training job."""

from collections.abc import Mapping
from typing import Any

from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from cdk_sagemaker_pytorch.common.container_role import sagemaker_arn
from cdk_sagemaker_pytorch.states import jsonata
from cdk_sagemaker_pytorch.states.job_state import job_statements
from cdk_sagemaker_pytorch.states.task_state import TaskState, integration_arn

__all__ = ["training_states"]


def training_states(
    scope: Construct,
    *,
    arguments: Mapping[str, Any],
    job_name_prefix: str,
    role: iam.IRole,
    poll_interval: Duration,
) -> tuple[sfn.State, list[sfn.INextable]]:
    """Make the states of a `PyTorchTrainingJob`.

    Parameters
    ----------
    scope : Construct
        The construct that they belong to.
    arguments : Mapping of str to Any
        Arguments of ``CreateTrainingJob``.
    job_name_prefix : str
        Prefix of the names of its training jobs.
    role : iam.IRole
        Role of its training jobs.
    poll_interval : Duration
        How often an attached job is looked at.

    Returns
    -------
    tuple of sfn.State and list of sfn.INextable
        The first state, and those after which the job is completed. Their output is
        ``{"training_job_name", "model_data", "metrics"}``.
    """
    train = TaskState(
        scope,
        "Train",
        resource=integration_arn(scope, "sagemaker:createTrainingJob.sync"),
        arguments=arguments,
        output=_job_output("$states.result"),
        statements=job_statements(scope, kind="Training", name_prefix=job_name_prefix, role=role),
    )
    failed = sfn.Fail.jsonata(
        scope,
        "Training failed",
        error="TrainingJobFailed",
        cause=jsonata.evaluate(
            "$contains($states.input.Cause, '\"FailureReason\"')"
            " ? ($job := $parse($states.input.Cause); $job.FailureReason"
            " & '; logs: /aws/sagemaker/TrainingJobs, stream ' & $job.TrainingJobName)"
            " : $states.input.Cause"
        ),
    )
    train.add_catch(failed, errors=["States.TaskFailed"])

    describe = TaskState(
        scope,
        "Describe training job",
        resource=integration_arn(scope, "aws-sdk:sagemaker:describeTrainingJob"),
        arguments={"TrainingJobName": jsonata.evaluate("$states.input.training_job_name")},
        output={
            **_job_output("$states.result"),
            "status": jsonata.evaluate("$states.result.TrainingJobStatus"),
            "failure_reason": jsonata.evaluate(jsonata.or_null("$states.result.FailureReason")),
        },
        statements=[
            # Any job may be attached to: its name is known only at run time.
            iam.PolicyStatement(
                actions=["sagemaker:DescribeTrainingJob"],
                resources=[sagemaker_arn(scope, "training-job", "*")],
            )
        ],
    )
    wait = sfn.Wait.jsonata(scope, "Wait for training job", time=sfn.WaitTime.duration(poll_interval))
    attached = sfn.Pass.jsonata(
        scope,
        "Attached",
        outputs={
            name: jsonata.evaluate(f"$states.input.{name}")
            for name in ("training_job_name", "model_data", "metrics")
        },
    )
    not_completed = sfn.Fail.jsonata(
        scope,
        "Training job not completed",
        error="TrainingJobNotCompleted",
        cause=jsonata.evaluate(
            "$states.input.training_job_name & ' is ' & $states.input.status"
            " & ($states.input.failure_reason ? ': ' & $states.input.failure_reason : '')"
        ),
    )
    describe.next(
        sfn.Choice.jsonata(scope, "Completed?")
        .when(sfn.Condition.jsonata("{% $states.input.status = 'Completed' %}"), attached)
        .when(
            sfn.Condition.jsonata("{% $states.input.status in ['InProgress', 'Stopping'] %}"),
            wait.next(describe),
        )
        .otherwise(not_completed)
    )
    attach = sfn.Choice.jsonata(scope, "Attach?")
    attach.when(sfn.Condition.jsonata("{% $exists($states.input.training_job_name) %}"), describe).otherwise(
        train
    )
    return attach, [train, attached]


def _job_output(job: str) -> dict[str, str]:
    """Render the fragment's output from a ``DescribeTrainingJob`` answer."""
    return {
        "training_job_name": jsonata.evaluate(f"{job}.TrainingJobName"),
        "model_data": jsonata.evaluate(jsonata.model_data(job)),
        "metrics": jsonata.evaluate(jsonata.metrics(job)),
    }
