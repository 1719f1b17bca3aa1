"""What belongs to an endpoint that is made at run time, whichever construct declares it."""

from typing import Self

from aws_cdk import CfnResource, CustomResource, Duration, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from constructs import Construct

from cdk_sagemaker_pytorch.common.container_role import (
    grant_logs_and_metrics,
    new_container_role,
    sagemaker_arn,
)
from cdk_sagemaker_pytorch.common.function_role import new_function_role
from cdk_sagemaker_pytorch.common.networking import Networking
from cdk_sagemaker_pytorch.common.options import request
from cdk_sagemaker_pytorch.source.shipped_assets import shipped_function
from cdk_sagemaker_pytorch.states.names import RUN_PATTERN, version_prefix

__all__ = ["OWNER_TAG", "EndpointOwnership"]

OWNER_TAG = "cdk-sagemaker-pytorch:owner"
"""Tag of an endpoint with the id of the stack that may delete it."""


class EndpointOwnership(Construct):
    """The role of an endpoint's models, and the function that removes versions, and all of it with its stack.

    It is a child of the stack, named after the endpoint: what an endpoint in service needs keeps its logical
    ids when the construct that declares the endpoint is renamed or moved.

    CloudFormation does not know the endpoint. A custom resource stands for it, whose id is the endpoint's
    name. It refuses an endpoint of another stack, and with the stack it deletes the endpoint only if that
    carries the stack's `OWNER_TAG`, which the states of a deployment set.

    Parameters
    ----------
    scope, construct_id
        As for every construct; use `of`.
    endpoint_name : str
        The endpoint.
    artifacts : s3.IBucket
        Bucket of the versions' packaged models.
    artifacts_prefix : str
        Their prefix in it; those of a version lie below its name.
    networking : Networking
        Network of the versions' containers.
    removal_policy : RemovalPolicy
        With ``DESTROY`` the endpoint and its versions go with the stack; with any other they stay, and with
        them the role that they need.

    Attributes
    ----------
    model_role : iam.Role
        Role of the versions' containers.
    network : dict of str to Any
        Members of ``CreateModel`` that put the versions' containers into their network.
    function : lambda_.Function
        Removes versions.
    version_prefix : str
        Prefix of the names of the endpoint's models and endpoint configurations.
    owner : str
        What `OWNER_TAG` says of an endpoint of this stack.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        endpoint_name: str,
        artifacts: s3.IBucket,
        artifacts_prefix: str,
        networking: Networking,
        removal_policy: RemovalPolicy,
    ) -> None:
        super().__init__(scope, construct_id)
        self.version_prefix = version_prefix(endpoint_name)
        self.owner = Stack.of(self).stack_id
        self.model_role = new_container_role(self, "ModelRole")
        grant_logs_and_metrics(self.model_role, self, "/aws/sagemaker/Endpoints")
        self.network = request(networking.bind(self, self.model_role))
        needed = self.node.children  # by instances that are in service
        self.function = self._new_function(endpoint_name, artifacts, artifacts_prefix)
        claim = CustomResource(
            self,
            "Claim",
            resource_type="Custom::PyTorchEndpoint",
            service_token=self.function.function_arn,
            properties={
                "EndpointName": endpoint_name,
                "NamePrefix": self.version_prefix,
                # A property, not the resource's own policy: a change of it deletes nothing, and the function
                # hears of the stack's end in any case.
                "RemovalPolicy": "Delete" if removal_policy == RemovalPolicy.DESTROY else "Retain",
            },
            service_timeout=Duration.minutes(16),
        )
        # Deleted in reverse: the endpoint goes before what it and the function need.
        claim.node.add_dependency(self.function, *needed)
        if removal_policy != RemovalPolicy.DESTROY:
            for resource in (resource for each in needed for resource in each.node.find_all()):
                if isinstance(resource, CfnResource):
                    resource.apply_removal_policy(RemovalPolicy.RETAIN)

    @classmethod
    def exists(cls, scope: Construct, endpoint_name: str) -> bool:
        """Tell whether a construct of the stack has declared the endpoint already."""
        return Stack.of(scope).node.try_find_child(_construct_id(endpoint_name)) is not None

    @classmethod
    def of(
        cls,
        scope: Construct,
        endpoint_name: str,
        *,
        artifacts: s3.IBucket,
        artifacts_prefix: str,
        networking: Networking,
        removal_policy: RemovalPolicy,
    ) -> Self:
        """Make what belongs to an endpoint, in the stack of `scope`. Parameters as for the class."""
        return cls(
            Stack.of(scope),
            _construct_id(endpoint_name),
            endpoint_name=endpoint_name,
            artifacts=artifacts,
            artifacts_prefix=artifacts_prefix,
            networking=networking,
            removal_policy=removal_policy,
        )

    def version_arns(self, resource: str) -> str:
        """ARN pattern of the endpoint's versions.

        Parameters
        ----------
        resource : str
            ``model`` or ``endpoint-config``.
        """
        return sagemaker_arn(self, resource, f"{self.version_prefix}-{RUN_PATTERN}")

    def _new_function(
        self, endpoint_name: str, artifacts: s3.IBucket, artifacts_prefix: str
    ) -> lambda_.Function:
        log_group = logs.LogGroup(
            self, "Logs", retention=logs.RetentionDays.THREE_MONTHS, removal_policy=RemovalPolicy.DESTROY
        )
        function = lambda_.Function(
            self,
            "Function",
            description=f"Removes versions of the endpoint {endpoint_name}",
            runtime=lambda_.Runtime.PYTHON_3_13,
            architecture=lambda_.Architecture.ARM_64,
            handler="index.handler",
            code=shipped_function("endpoint_cleanup"),
            environment={"ARTIFACTS": artifacts.s3_url_for_object(f"{artifacts_prefix}/")},
            timeout=Duration.minutes(15),
            memory_size=256,
            role=new_function_role(self, "ServiceRole", log_group=log_group),
            log_group=log_group,
        )
        objects = f"{artifacts_prefix}/{self.version_prefix}-{RUN_PATTERN}/*"
        for statement in (
            iam.PolicyStatement(
                actions=["s3:ListBucket"],
                resources=[artifacts.bucket_arn],
                conditions={"StringLike": {"s3:prefix": objects}},
            ),
            iam.PolicyStatement(
                actions=["s3:GetObjectTagging", "s3:PutObjectTagging"],
                resources=[artifacts.arn_for_objects(objects)],
            ),
            iam.PolicyStatement(
                actions=[
                    "sagemaker:DeleteEndpoint",
                    "sagemaker:DeleteTags",
                    "sagemaker:DescribeEndpoint",
                    "sagemaker:ListTags",
                ],
                resources=[sagemaker_arn(self, "endpoint", endpoint_name)],
            ),
            iam.PolicyStatement(
                actions=["sagemaker:DeleteEndpointConfig", "sagemaker:DeleteModel"],
                resources=[self.version_arns("endpoint-config"), self.version_arns("model")],
            ),
            iam.PolicyStatement(
                # Lists know no resources.
                actions=["sagemaker:ListEndpointConfigs", "sagemaker:ListModels"],
                resources=["*"],
            ),
        ):
            function.add_to_role_policy(statement)
        return function


def _construct_id(endpoint_name: str) -> str:
    return f"PyTorchEndpoint-{endpoint_name}"
