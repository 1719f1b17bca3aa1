"""A JSONata task state that brings its own permissions to the state machine it is used in."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from aws_cdk import Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from . import jsonata

__all__ = ["RETRY_EVERYTHING", "TaskState", "integration_arn"]

_BACKOFF: Final = {
    "IntervalSeconds": 1,
    "BackoffRate": 2,
    "MaxAttempts": 5,
    "MaxDelaySeconds": 30,
    "JitterStrategy": "FULL",
}

RETRY_EVERYTHING: Final = {"ErrorEquals": ["States.ALL"], **_BACKOFF}
"""Tries again whatever went wrong: for work that may be done twice."""

# An AWS SDK integration gives most errors of a service one name, throttling and wrong parameters alike. So
# everything is tried again, but for what has a name of its own that no second try changes.
_CALL_RETRY: Final = (
    {
        "ErrorEquals": [
            "SageMaker.ConflictException",
            "SageMaker.ResourceInUseException",
            "SageMaker.ResourceNotFoundException",
            "S3.NoSuchBucketException",
            "S3.NoSuchKeyException",
            "SageMakerRuntime.ValidationErrorException",
        ],
        "MaxAttempts": 0,
    },
    RETRY_EVERYTHING,
)
# A function's own errors carry the names of its exceptions, and are none of these.
_FUNCTION_RETRY: Final = (
    {
        "ErrorEquals": [
            "Lambda.ServiceException",
            "Lambda.AWSLambdaException",
            "Lambda.SdkClientException",
            "Lambda.TooManyRequestsException",
            "Lambda.ClientExecutionTimeoutException",
        ],
        **_BACKOFF,
    },
)
# Not a failed job, which is States.TaskFailed: it would be paid for again.
_JOB_RETRY: Final = (
    {
        "ErrorEquals": ["SageMaker.ResourceLimitExceededException"],
        **_BACKOFF,
        "IntervalSeconds": 60,
        "MaxDelaySeconds": 600,
    },
    {
        "ErrorEquals": [
            "SageMaker.AmazonSageMakerException",
            "SageMaker.SageMakerException",
            "SageMaker.ThrottlingException",
            "ThrottlingException",
            "SageMaker.SdkClientException",
        ],
        **_BACKOFF,
    },
)
# Starting again under the same name is the same execution. Not one that failed, which is States.TaskFailed.
_EXECUTION_RETRY: Final = (
    {
        "ErrorEquals": [
            "StepFunctions.AWSStepFunctionsException",
            "StepFunctions.ExecutionLimitExceededException",
            "StepFunctions.SdkClientException",
            "StepFunctions.ThrottlingException",
            "ThrottlingException",
        ],
        **_BACKOFF,
    },
)


class TaskState(sfn.CustomState):
    """A task in JSONata, whatever query language its state machine has.

    The service integrations of `aws_stepfunctions_tasks` cannot say what a training job or an
    endpoint needs (spot, checkpoints, string hyperparameters, waiting), so the states are written
    out; the role of the state machine gets exactly the statements that are given here.

    Parameters
    ----------
    scope, construct_id
        As for every construct; the id is the name of the state.
    resource : str
        ARN of the service integration, see `integration_arn`.
    arguments : Mapping
        Its arguments: JSON with JSONata where `jsonata.evaluate` made it; no other text is evaluated.
    statements : sequence of iam.PolicyStatement
        What the state machine's role must be allowed.
    assign : Mapping, optional
        Variables to set from ``$states.result``. Defaults to none.
    output : Any, optional
        The state's output. Defaults to the result of the integration.
    retry : sequence of Mapping, optional
        Retriers in Amazon States Language. Defaults to what fits the integration: whatever a second try may
        heal, with growing intervals and jitter.
    timeout_seconds : int, optional
        Defaults to no timeout of its own.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        resource: str,
        arguments: Mapping[str, Any],
        statements: Sequence[iam.PolicyStatement],
        assign: Mapping[str, Any] | None = None,
        output: Any = None,
        retry: Sequence[Mapping[str, Any]] | None = None,
        timeout_seconds: int | None = None,
    ) -> None:
        optional = {
            "Assign": assign,
            "Output": output,
            "Retry": [dict(retrier) for retrier in (_retry(resource) if retry is None else retry)] or None,
            "TimeoutSeconds": timeout_seconds,
        }
        super().__init__(
            scope,
            construct_id,
            state_json={
                "Type": "Task",
                "QueryLanguage": "JSONata",
                "Resource": resource,
                "Arguments": jsonata.written_out(arguments),
                **{key: jsonata.written_out(value) for key, value in optional.items() if value is not None},
            },
        )
        self._statements = list(statements)

    def next(self, next: sfn.IChainable) -> sfn.Chain:  # noqa: A002 - the name that it has in the CDK
        """Go on with another state after this one.

        Raises
        ------
        ValueError
            When it has a next one already.
        """
        try:
            return super().next(next)
        except RuntimeError as error:
            if "already has a next state" not in str(error):
                raise
            raise ValueError(
                f"state {self.state_id} of {self.node.path} goes on to another state already: make its states"
                " anew for each use, those of a training job by job.states()"
            ) from None

    def bind_to_graph(self, graph: sfn.StateGraph) -> None:
        """Register this state, and what it must be allowed, with the graph it is part of."""
        super().bind_to_graph(graph)
        for statement in self._statements:
            graph.register_policy_statement(statement)


def integration_arn(scope: Construct, integration: str) -> str:
    """ARN of a Step Functions service integration in the partition of the stack.

    Parameters
    ----------
    scope : Construct
        Any construct of the stack.
    integration : str
        For example ``sagemaker:createTrainingJob.sync`` or ``aws-sdk:sagemaker:createModel``.
    """
    return f"arn:{Stack.of(scope).partition}:states:::{integration}"


def _retry(resource: str) -> Sequence[Mapping[str, Any]]:
    """Choose the retriers of a service integration."""
    integration = resource.rpartition(":::")[2]
    if integration.startswith("aws-sdk:"):
        return _CALL_RETRY
    if integration.startswith("states:"):
        return _EXECUTION_RETRY
    return _FUNCTION_RETRY if integration.startswith("lambda:") else _JOB_RETRY
