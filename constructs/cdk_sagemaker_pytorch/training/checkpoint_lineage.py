"""Checkpoints that belong to one use of a training job, and how the next one begins with them."""

from dataclasses import dataclass

from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from cdk_sagemaker_pytorch.source.shipped_assets import new_shipped_function
from cdk_sagemaker_pytorch.states import jsonata
from cdk_sagemaker_pytorch.states.fragment import Fragment
from cdk_sagemaker_pytorch.states.names import ENTRY_SUFFIX
from cdk_sagemaker_pytorch.states.task_state import TaskState, integration_arn

from .describe_job import describe_training_job

__all__ = ["CHECKPOINTS_URI", "CheckpointCopier", "CheckpointLineage", "ResumeStates"]

CHECKPOINTS_URI = "$checkpoints_uri"
"""JSONata: where the training job that comes next keeps its checkpoints, a variable of the states."""


@dataclass(frozen=True, kw_only=True)
class CheckpointLineage:
    """Where the jobs of a `PyTorchTrainingJob` keep their checkpoints, and what copies them.

    Attributes
    ----------
    uri : str
        The prefix that all have in common, which ends in a slash.
    copier : CheckpointCopier
        Copies those of one job to the prefix of another.
    """

    uri: str
    copier: "CheckpointCopier"

    def own_prefix(self) -> str:
        """JSONata of a prefix of its own, for the state that is entered before training."""
        return f"'{self.uri}' & {ENTRY_SUFFIX} & '/'"


class CheckpointCopier(Construct):
    """The function that copies checkpoints from one prefix to another in the same bucket.

    Parameters
    ----------
    scope, construct_id
        As for every construct.
    bucket : s3.IBucket
        The bucket.
    prefix : str
        The prefix that it may read and write below.

    Attributes
    ----------
    function : aws_lambda.Function
        The function.
    """

    def __init__(self, scope: Construct, construct_id: str, *, bucket: s3.IBucket, prefix: str) -> None:
        super().__init__(scope, construct_id)
        self.function = new_shipped_function(
            self,
            "checkpoint_copier",
            description="Copies the checkpoints that a training job is to begin with",
            timeout=Duration.minutes(15),
        )
        bucket.grant_read_write(self.function, f"{prefix}/*")


class ResumeStates(Fragment):
    """Begin with a copy of the checkpoints of the job that the input names as ``resume_from``.

    The states hand their input on, and set ``$resumed``. A job that runs, or whose checkpoints lie elsewhere,
    is refused before anything is copied.

    Parameters
    ----------
    scope, construct_id
        As for every construct.
    lineage : CheckpointLineage
        Where checkpoints are.
    """

    def __init__(self, scope: Construct, construct_id: str, *, lineage: CheckpointLineage) -> None:
        super().__init__(scope, construct_id)
        self._lineage = lineage
        describe, copy = self._describe(), self._copy()
        resumable = (
            "$resumed.status in ['Completed', 'Failed', 'Stopped']"
            f" and $substringBefore($resumed.uri, '{lineage.uri}') = ''"
        )
        describe.next(
            sfn.Choice.jsonata(self, "Resumable?")
            .when(sfn.Condition.jsonata(jsonata.evaluate(resumable)), copy)
            .otherwise(self._not_resumable())
        )
        self._start = describe
        self._ends = [copy]

    def _describe(self) -> TaskState:
        return describe_training_job(
            self,
            "Describe job to resume",
            key="resume_from",
            assign={
                "resumed": {
                    "status": jsonata.evaluate("$states.result.TrainingJobStatus"),
                    "uri": jsonata.evaluate(
                        "$exists($states.result.CheckpointConfig.S3Uri)"
                        " ? $states.result.CheckpointConfig.S3Uri : 'nowhere'"
                    ),
                }
            },
            output=jsonata.evaluate("$states.input"),
        )

    def _copy(self) -> TaskState:
        function = self._lineage.copier.function
        copy = TaskState(
            self,
            "Copy checkpoints",
            resource=integration_arn(self, "lambda:invoke"),
            arguments={
                "FunctionName": function.function_arn,
                "Payload": {
                    "training_job_name": jsonata.evaluate("$states.input.resume_from"),
                    "source": jsonata.evaluate("$resumed.uri"),
                    "target": jsonata.evaluate(CHECKPOINTS_URI),
                },
            },
            output=jsonata.evaluate("$states.input"),
            statements=[
                iam.PolicyStatement(actions=["lambda:InvokeFunction"], resources=[function.function_arn])
            ],
        )
        failed = sfn.Fail.jsonata(
            self,
            "Checkpoints not copied",
            error=jsonata.evaluate("$states.input.Error"),
            cause=jsonata.evaluate(jsonata.function_error("$states.input")),
        )
        copy.add_catch(failed, errors=["States.ALL"])
        return copy

    def _not_resumable(self) -> sfn.Fail:
        return sfn.Fail.jsonata(
            self,
            "Not resumable",
            error="NotResumable",
            cause=jsonata.evaluate(
                "'resume_from ' & $states.input.resume_from & ($resumed.status in ['InProgress', 'Stopping']"
                " ? ' is ' & $resumed.status & ' and writes checkpoints still: stop it, or wait for its end'"
                f" : ' must be a job with checkpoints below {self._lineage.uri}, it has them '"
                " & ($resumed.uri = 'nowhere' ? '' : 'in ') & $resumed.uri)"
            ),
        )
