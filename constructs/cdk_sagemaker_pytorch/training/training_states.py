"""The states that train, or attach to a training job."""

from collections.abc import Mapping, Sequence
from typing import Any

from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from cdk_sagemaker_pytorch.states import jsonata
from cdk_sagemaker_pytorch.states.first_state import FirstState
from cdk_sagemaker_pytorch.states.fragment import Fragment
from cdk_sagemaker_pytorch.states.job_state import job_statements
from cdk_sagemaker_pytorch.states.names import ENTRY_SUFFIX
from cdk_sagemaker_pytorch.states.task_state import TaskState, integration_arn

from .checkpoint_lineage import CheckpointLineage, ResumeStates
from .describe_job import describe_training_job
from .failure_explanation import explained_failure

__all__ = ["TrainingStates"]

# How long until an attached job is looked at again: a twentieth of the time that it was waited for, so that
# the history of an execution, of 25,000 events, holds the 28 days that a job may take.
_WAIT_SECONDS = "$min([1800, $floor(5 * $power(1.05, $training_job_looks))])"


class TrainingStates(Fragment):
    """The states of one use of a `PyTorchTrainingJob`, made by its `states`: train, or attach to a job.

    Their output is ``{"training_job_name", "model_data", "metrics", "warnings"}``.

    Parameters
    ----------
    scope, construct_id
        As for every construct.
    request : Mapping of str to Any
        Arguments of ``CreateTrainingJob`` but for the name.
    job_name_prefix : str
        Prefix of the names of its training jobs.
    role : iam.IRole
        Role of its training jobs.
    lineage : CheckpointLineage, optional
        Where their checkpoints are. Defaults to nowhere.
    metrics : sequence of str, optional
        Names of metrics that every job should have. Defaults to none.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        request: Mapping[str, Any],
        job_name_prefix: str,
        role: iam.IRole,
        lineage: CheckpointLineage | None = None,
        metrics: Sequence[str] = (),
    ) -> None:
        super().__init__(scope, construct_id)
        self._metrics = metrics
        self._has_checkpoints = lineage is not None
        arguments = {"TrainingJobName": jsonata.evaluate(self.job_name(job_name_prefix)), **request}
        train, attached = self._train(arguments, job_name_prefix, role), self._attached()
        describe = self._describe()
        describe.next(
            sfn.Choice.jsonata(self, "Completed?")
            .when(sfn.Condition.jsonata("{% $states.input.status = 'Completed' %}"), attached)
            .when(
                sfn.Condition.jsonata("{% $states.input.status in ['InProgress', 'Stopping'] %}"),
                sfn.Wait.jsonata(
                    self,
                    "Wait for training job",
                    time=sfn.WaitTime.seconds(jsonata.evaluate(_WAIT_SECONDS)),
                    assign={"training_job_looks": jsonata.evaluate("$training_job_looks + 1")},
                ).next(describe),
            )
            .otherwise(self._not_completed())
        )
        begins = {"checkpoints_uri": jsonata.evaluate(lineage.own_prefix())} if lineage else None
        self._start = FirstState(self, "Attach?", assign=begins)
        self._start.when(
            sfn.Condition.jsonata("{% $exists($states.input.training_job_name) %}"),
            describe,
            assign={"training_job_looks": 0},
        ).otherwise(train)
        if lineage is not None:
            resume = ResumeStates(self, "Resume", lineage=lineage)
            self._start.when(
                sfn.Condition.jsonata("{% $exists($states.input.resume_from) %}"),
                sfn.Chain.start(resume).next(train),
                assign=begins,
            )
        self._ends = [train, attached]

    @staticmethod
    def job_name(prefix: str) -> str:
        """JSONata expression of a job's name, different at each entry of the state that creates it."""
        return f"'{prefix}-' & {ENTRY_SUFFIX}"

    def _train(self, arguments: Mapping[str, Any], job_name_prefix: str, role: iam.IRole) -> TaskState:
        train = TaskState(
            self,
            "Train",
            resource=integration_arn(self, "sagemaker:createTrainingJob.sync"),
            arguments=arguments,
            output=self._job_output("$states.result"),
            statements=job_statements(self, kind="Training", name_prefix=job_name_prefix, role=role),
        )
        failed = sfn.Fail.jsonata(
            self,
            "Training failed",
            error="TrainingJobFailed",
            cause=jsonata.evaluate(
                "$contains($states.input.Cause, '\"TrainingJobStatus\"')"
                f" ? {self._explained('$parse($states.input.Cause)')} : $states.input.Cause"
            ),
        )
        train.add_catch(failed, errors=["States.TaskFailed"])
        return train

    def _describe(self) -> TaskState:
        return describe_training_job(
            self,
            "Describe training job",
            key="training_job_name",
            output={
                **self._job_output("$states.result"),
                "status": jsonata.evaluate("$states.result.TrainingJobStatus"),
                "explanation": jsonata.evaluate(self._explained("$states.result")),
            },
        )

    def _attached(self) -> sfn.Pass:
        return sfn.Pass.jsonata(
            self,
            "Attached",
            outputs={
                name: jsonata.evaluate(f"$states.input.{name}")
                for name in ("training_job_name", "model_data", "metrics", "warnings")
            },
        )

    def _not_completed(self) -> sfn.Fail:
        return sfn.Fail.jsonata(
            self,
            "Training job not completed",
            error="TrainingJobNotCompleted",
            cause=jsonata.evaluate("$states.input.explanation"),
        )

    def _explained(self, job: str) -> str:
        return explained_failure(self, job, has_checkpoints=self._has_checkpoints)

    def _job_output(self, job: str) -> dict[str, str]:
        """Render the fragment's output from a ``DescribeTrainingJob`` answer."""
        return {
            "training_job_name": jsonata.evaluate(f"{job}.TrainingJobName"),
            "model_data": jsonata.evaluate(jsonata.model_data(job)),
            "metrics": jsonata.evaluate(jsonata.metrics(job)),
            "warnings": jsonata.evaluate(jsonata.missing_metrics(job, self._metrics)),
        }
