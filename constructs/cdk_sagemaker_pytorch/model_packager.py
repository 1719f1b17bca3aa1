"""The Lambda function that puts inference code into model.tar.gz."""

from typing import Any

import jsii
from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from constructs import Construct

from .lambda_bundling import bundled_function
from .problems import Problems
from .task_state import TaskState, integration_arn

__all__ = ["ModelPackager"]

_SINGLETON_ID = "CdkSagemakerPytorchModelPackager"

# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
_MEMORY_MB = range(128, 10_241)
_LONGEST_TIMEOUT = Duration.minutes(15)

# The service asks callers to try these again.
_LAMBDA_RETRY = {
    "ErrorEquals": [
        "Lambda.ServiceException",
        "Lambda.AWSLambdaException",
        "Lambda.SdkClientException",
        "Lambda.TooManyRequestsException",
        "Lambda.ClientExecutionTimeoutException",
    ],
    "IntervalSeconds": 2,
    "MaxAttempts": 6,
    "BackoffRate": 2,
    "JitterStrategy": "FULL",
}


@jsii.implements(iam.IGrantable)
class ModelPackager(Construct):
    """Packages models in the layout that the serving containers expect.

    It costs nothing while idle. Its role may do nothing but log, until a bucket grants it access.

    Parameters
    ----------
    scope, construct_id
        As for every construct.
    memory_size : int, optional
        Memory in MB, and with it the share of a processor. Defaults to 1769: one whole processor.
    timeout : Duration, optional
        Defaults to 15 minutes, the longest that Lambda allows.
    architecture : lambda_.Architecture, optional
        Defaults to arm64.
    log_retention : logs.RetentionDays, optional
        Defaults to three months. The log group goes with the stack.

    Raises
    ------
    ConfigurationError
        When memory or timeout are outside of what Lambda allows.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        memory_size: int = 1769,
        timeout: Duration = _LONGEST_TIMEOUT,
        architecture: lambda_.Architecture = lambda_.Architecture.ARM_64,
        log_retention: logs.RetentionDays = logs.RetentionDays.THREE_MONTHS,
    ) -> None:
        problems = Problems("ModelPackager")
        problems.check(
            memory_size in _MEMORY_MB, f"memory_size must be from 128 to 10240 MB, got {memory_size}"
        )
        problems.check(
            1 <= timeout.to_seconds() <= _LONGEST_TIMEOUT.to_seconds(),
            f"timeout must be from 1 second to 15 minutes, got {timeout.to_seconds()} seconds",
        )
        problems.raise_if_any()
        super().__init__(scope, construct_id)
        self.function = lambda_.Function(
            self,
            "Resource",
            description="Puts inference code into model.tar.gz",
            runtime=lambda_.Runtime.PYTHON_3_13,
            architecture=architecture,
            handler="index.handler",
            code=bundled_function(self, "model_packager", architecture=architecture, python_version="3.13"),
            memory_size=memory_size,
            timeout=timeout,
            log_group=logs.LogGroup(
                self, "Logs", retention=log_retention, removal_policy=RemovalPolicy.DESTROY
            ),
        )

    @classmethod
    def of(cls, scope: Construct) -> "ModelPackager":
        """Get the stack's own packager, made when it is first asked for.

        Parameters
        ----------
        scope : Construct
            Any construct of the stack.
        """
        stack = Stack.of(scope)
        existing = stack.node.try_find_child(_SINGLETON_ID)
        return existing if isinstance(existing, ModelPackager) else cls(stack, _SINGLETON_ID)

    @property
    def grant_principal(self) -> iam.IPrincipal:
        """The function's role."""
        return self.function.grant_principal

    def grant_output(self, bucket: s3.IBucket, object_key_pattern: str) -> None:
        """Let the packager write below a prefix, and read what it wrote.

        Parameters
        ----------
        bucket : s3.IBucket
            Bucket of the packaged models.
        object_key_pattern : str
            Keys that it may write, for example ``models/*``.
        """
        bucket.grant_read(self, object_key_pattern)
        bucket.grant_put(self, object_key_pattern)
        iam.Grant.add_to_principal(
            grantee=self,
            actions=["s3:ListMultipartUploadParts"],
            resource_arns=[bucket.arn_for_objects(object_key_pattern)],
        )

    def package_state(
        self,
        scope: Construct,
        construct_id: str,
        *,
        payload: dict[str, Any],
        assign: dict[str, Any] | None = None,
        output: Any = None,
    ) -> TaskState:
        """Make the state that packages a model.

        Parameters
        ----------
        scope, construct_id
            Where the state lives, and its name.
        payload : dict
            The event of the function: JSON with JSONata in ``{% %}``.
        assign, output : optional
            As for `TaskState`; ``$states.result.Payload`` is the function's answer.
        """
        return TaskState(
            scope,
            construct_id,
            resource=integration_arn(self, "lambda:invoke"),
            arguments={"FunctionName": self.function.function_arn, "Payload": payload},
            assign=assign,
            output=output,
            retry=[_LAMBDA_RETRY],
            statements=[
                iam.PolicyStatement(actions=["lambda:InvokeFunction"], resources=[self.function.function_arn])
            ],
        )
