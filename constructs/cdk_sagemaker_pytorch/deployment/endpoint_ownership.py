"""What belongs to an endpoint that is made at run time, whichever construct declares it."""

from collections.abc import Sequence
from typing import Self

from aws_cdk import ArnFormat, CfnResource, CustomResource, Duration, RemovalPolicy, Stack
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct, IConstruct

from cdk_sagemaker_pytorch.common.api_request import request
from cdk_sagemaker_pytorch.common.artifacts_bucket import ArtifactsBucket
from cdk_sagemaker_pytorch.common.container_role import (
    grant_logs_and_metrics,
    new_container_role,
    pass_role_statement,
    sagemaker_arn,
)
from cdk_sagemaker_pytorch.common.function_role import attach_policy
from cdk_sagemaker_pytorch.common.networking import Networking
from cdk_sagemaker_pytorch.source.shipped_assets import new_shipped_function
from cdk_sagemaker_pytorch.states.names import RUN_PATTERN, version_prefix

from .ledger import Ledger

__all__ = ["EndpointOwnership", "executions_arn"]

_MODELS_PREFIX = "models"
# Often enough for what an event did not reach; about 3,000 invocations a month, of a tenth of a second each.
_RECONCILE_EVERY = Duration.minutes(15)
# Deployments that wait or poll call it again and again; each call has to end within this time.
_FUNCTION_TIMEOUT = Duration.seconds(60)


class EndpointOwnership(Construct):
    """The role of an endpoint's models, their bucket, and the function that changes the endpoint.

    It is a child of the stack, named after the endpoint: what an endpoint in service needs keeps its logical
    ids when the construct that declares the endpoint is renamed or moved. The state machine of its
    deployments is a child of it for the same reason.

    CloudFormation does not know the endpoint. A custom resource stands for it, whose id is the endpoint's
    name: it claims the endpoint in the stack's `Ledger`, and lets it go.

    Parameters
    ----------
    scope, construct_id
        As for every construct; use `of`.
    endpoint_name : str
        The endpoint.
    artifacts : s3.IBucket, optional
        Bucket of the versions' packaged models. Defaults to one of its own.
    networking : Networking
        Network of the versions' containers.

    Attributes
    ----------
    endpoint_name : str
        The endpoint.
    artifacts : s3.IBucket
        Bucket of the versions' packaged models.
    model_role : iam.Role
        Role of the versions' containers.
    network : dict of str to Any
        Members of ``CreateModel`` that put the versions' containers into their network.
    function : lambda_.Function
        The steps of a deployment.
    version_prefix : str
        Prefix of the names of the endpoint's models and endpoint configurations.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        endpoint_name: str,
        artifacts: s3.IBucket | None,
        networking: Networking,
    ) -> None:
        super().__init__(scope, construct_id)
        self.endpoint_name = endpoint_name
        self.version_prefix = version_prefix(endpoint_name)
        self.artifacts = artifacts or ArtifactsBucket(self, "Artifacts")
        self.model_role = new_container_role(self, "ModelRole")
        grant_logs_and_metrics(self.model_role, self, "/aws/sagemaker/Endpoints")
        self.network = request(networking.bind(self, self.model_role))
        self._needed = self.node.children  # by instances that are in service
        self._ledger = Ledger.of(self)
        self.function = self._new_function()
        for statement in self._statements():
            self.function.add_to_role_policy(statement)

    @classmethod
    def exists(cls, scope: Construct, endpoint_name: str) -> bool:
        """Tell whether a construct of the stack has declared the endpoint already."""
        return Stack.of(scope).node.try_find_child(_construct_id(endpoint_name)) is not None

    @classmethod
    def of(
        cls, scope: Construct, endpoint_name: str, *, artifacts: s3.IBucket | None, networking: Networking
    ) -> Self:
        """Make what belongs to an endpoint, in the stack of `scope`. Parameters as for the class."""
        return cls(
            Stack.of(scope),
            _construct_id(endpoint_name),
            endpoint_name=endpoint_name,
            artifacts=artifacts,
            networking=networking,
        )

    @property
    def artifacts_pattern(self) -> str:
        """Pattern of the keys of packaged models."""
        return f"{_MODELS_PREFIX}/*"

    @property
    def artifacts_uri(self) -> str:
        """S3 URI below which each version has a prefix of its name; without a slash at the end."""
        return self.artifacts.s3_url_for_object(_MODELS_PREFIX)

    def version_arns(self, resource: str) -> str:
        """ARN pattern of the endpoint's versions.

        Parameters
        ----------
        resource : str
            ``model`` or ``endpoint-config``.
        """
        return sagemaker_arn(self, resource, f"{self.version_prefix}-{RUN_PATTERN}")

    def claim(self, machine: sfn.StateMachine, *, removal_policy: RemovalPolicy, adopt: bool) -> None:
        """Claim the endpoint for the stack, and finish what executions leave that do not run any more.

        Parameters
        ----------
        machine : sfn.StateMachine
            The deployments.
        removal_policy : RemovalPolicy
            With ``DESTROY`` the endpoint and its versions go with the stack; with any other they stay, and
            with them what they need.
        adopt : bool
            Whether an endpoint is taken over that no stack owns.
        """
        watch = self._watch(machine)
        reconcile = targets.LambdaFunction(
            self.function, event=events.RuleTargetInput.from_object({"action": "reconcile"})
        )
        events.Rule(
            self,
            "Ended",
            description=f"Deployments of {self.endpoint_name} that ended without success",
            event_pattern=events.EventPattern(
                source=["aws.states"],
                detail_type=["Step Functions Execution Status Change"],
                detail={
                    "stateMachineArn": [machine.state_machine_arn],
                    "status": ["FAILED", "TIMED_OUT", "ABORTED"],
                },
            ),
            targets=[reconcile],
        )
        events.Rule(
            self,
            "Schedule",
            description=f"Finishes what deployments of {self.endpoint_name} have left",
            schedule=events.Schedule.rate(_RECONCILE_EVERY),
            targets=[reconcile],
        )
        is_destroyed = removal_policy == RemovalPolicy.DESTROY
        claim = CustomResource(
            self,
            "Claim",
            resource_type="Custom::PyTorchEndpoint",
            service_token=self.function.function_arn,
            properties={
                "EndpointName": self.endpoint_name,
                "StateMachine": machine.state_machine_arn,
                "Adopt": adopt,
                # A property, not the resource's own policy: a change of it deletes nothing, and the function
                # hears of the stack's end in any case.
                "RemovalPolicy": "Delete" if is_destroyed else "Retain",
            },
            service_timeout=Duration.hours(1),
        )
        # Deleted in reverse: the endpoint goes first, and then what it and the function need.
        claim.node.add_dependency(self.function, watch, machine, self._ledger, *self._needed)
        if not is_destroyed:
            self._retain([*self._needed, self._ledger])

    def _retain(self, constructs: Sequence[IConstruct]) -> None:
        for construct in constructs:
            for resource in construct.node.find_all():
                if isinstance(resource, CfnResource):
                    resource.apply_removal_policy(RemovalPolicy.RETAIN)

    def _watch(self, machine: sfn.StateMachine) -> iam.Policy:
        """Let the function ask whether an execution lives, stop it, and go on in another invocation."""
        return attach_policy(
            self,
            "Watch",
            self.function,
            [
                iam.PolicyStatement(
                    actions=["states:DescribeExecution", "states:StopExecution"],
                    resources=[executions_arn(machine)],
                ),
                iam.PolicyStatement(actions=["states:ListExecutions"], resources=[machine.state_machine_arn]),
                iam.PolicyStatement(
                    actions=["lambda:InvokeFunction"], resources=[self.function.function_arn]
                ),
            ],
        )

    def _new_function(self) -> lambda_.Function:
        return new_shipped_function(
            self,
            "endpoint_deployer",
            description=f"Brings versions of the endpoint {self.endpoint_name} into service",
            environment={
                "ENDPOINT_NAME": self.endpoint_name,
                "VERSION_PREFIX": self.version_prefix,
                "LEDGER": self._ledger.table_name,
                "ARTIFACTS": f"{self.artifacts_uri}/",
            },
            timeout=_FUNCTION_TIMEOUT,
        )

    def _statements(self) -> list[iam.PolicyStatement]:
        objects = f"{_MODELS_PREFIX}/{self.version_prefix}-{RUN_PATTERN}/*"
        endpoint_arn = sagemaker_arn(self, "endpoint", self.endpoint_name)
        configs, models = self.version_arns("endpoint-config"), self.version_arns("model")
        return [
            iam.PolicyStatement(
                actions=["dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:PutItem"],
                resources=[self._ledger.table_arn],
                conditions={"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": [self.endpoint_name]}},
            ),
            iam.PolicyStatement(
                actions=["s3:ListBucket"],
                resources=[self.artifacts.bucket_arn],
                conditions={"StringLike": {"s3:prefix": objects}},
            ),
            iam.PolicyStatement(
                actions=["s3:GetObjectTagging", "s3:PutObjectTagging"],
                resources=[self.artifacts.arn_for_objects(objects)],
            ),
            iam.PolicyStatement(
                actions=[
                    "sagemaker:AddTags",
                    "sagemaker:DeleteEndpoint",
                    "sagemaker:DeleteTags",
                    "sagemaker:DescribeEndpoint",
                    "sagemaker:InvokeEndpoint",
                    "sagemaker:ListTags",
                ],
                resources=[endpoint_arn],
            ),
            iam.PolicyStatement(
                actions=["sagemaker:CreateEndpoint", "sagemaker:UpdateEndpoint"],
                resources=[endpoint_arn, configs],
            ),
            iam.PolicyStatement(
                actions=[
                    "sagemaker:CreateEndpointConfig",
                    "sagemaker:DeleteEndpointConfig",
                    "sagemaker:DescribeEndpointConfig",
                ],
                resources=[configs],
            ),
            iam.PolicyStatement(
                actions=["sagemaker:CreateModel", "sagemaker:DeleteModel", "sagemaker:DescribeModel"],
                resources=[models],
            ),
            iam.PolicyStatement(
                actions=["sagemaker:DescribeProcessingJob", "sagemaker:StopProcessingJob"],
                resources=[sagemaker_arn(self, "processing-job", f"{self.version_prefix}-{RUN_PATTERN}")],
            ),
            # Any job may be deployed: its name is known only at run time.
            iam.PolicyStatement(
                actions=["sagemaker:DescribeTrainingJob"],
                resources=[sagemaker_arn(self, "training-job", "*")],
            ),
            pass_role_statement(self.model_role),
        ]

    def allow_adoption(self) -> None:
        """Let deployments go back to the configuration that an adopted endpoint has, whatever its name."""
        self.function.add_to_role_policy(
            iam.PolicyStatement(
                actions=["sagemaker:UpdateEndpoint"],
                resources=[sagemaker_arn(self, "endpoint-config", "*")],
            )
        )

    def allow_volume_key(self, key: kms.IKey) -> None:
        """Let deployments encrypt the volumes of instances with a key."""
        self.function.add_to_role_policy(
            iam.PolicyStatement(
                actions=["kms:CreateGrant"],
                resources=[key.key_arn],
                conditions={"Bool": {"kms:GrantIsForAWSResource": "true"}},
            )
        )
        self.function.add_to_role_policy(
            iam.PolicyStatement(actions=["kms:DescribeKey"], resources=[key.key_arn])
        )


def executions_arn(machine: sfn.StateMachine) -> str:
    """ARN pattern of a state machine's executions."""
    return Stack.of(machine).format_arn(
        service="states",
        resource="execution",
        resource_name=f"{machine.state_machine_name}:*",
        arn_format=ArnFormat.COLON_RESOURCE_NAME,
    )


def _construct_id(endpoint_name: str) -> str:
    return f"PyTorchEndpoint-{endpoint_name}"
