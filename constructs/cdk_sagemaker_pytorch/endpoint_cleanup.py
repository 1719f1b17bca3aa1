"""Removes what a pipeline's executions made at run time, which CloudFormation does not know."""

from aws_cdk import CustomResource, Duration, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from constructs import Construct

from .container_role import sagemaker_arn
from .function_role import new_function_role
from .shipped_assets import shipped_function

__all__ = ["EndpointCleanup"]


class EndpointCleanup(Construct):
    """A Lambda function that removes versions of an endpoint, and all of it with its stack.

    Parameters
    ----------
    scope, construct_id
        As for every construct.
    endpoint_name : str
        The endpoint.
    version_prefix : str
        Prefix of the names of its models and endpoint configurations.
    artifacts : s3.IBucket
        Bucket of the versions' packaged models.
    artifacts_prefix : str
        Their prefix in it; those of a version lie below its name.
    removal_policy : RemovalPolicy
        With ``DESTROY`` the endpoint and its versions go with the stack; with any other they stay.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        endpoint_name: str,
        version_prefix: str,
        artifacts: s3.IBucket,
        artifacts_prefix: str,
        removal_policy: RemovalPolicy,
    ) -> None:
        super().__init__(scope, construct_id)
        log_group = logs.LogGroup(
            self, "Logs", retention=logs.RetentionDays.THREE_MONTHS, removal_policy=RemovalPolicy.DESTROY
        )
        self.function = lambda_.Function(
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
        self.function.add_to_role_policy(
            iam.PolicyStatement(
                actions=["s3:ListBucket"],
                resources=[artifacts.bucket_arn],
                conditions={"StringLike": {"s3:prefix": f"{artifacts_prefix}/{version_prefix}-*"}},
            )
        )
        self.function.add_to_role_policy(
            iam.PolicyStatement(
                actions=["s3:GetObjectTagging", "s3:PutObjectTagging"],
                resources=[artifacts.arn_for_objects(f"{artifacts_prefix}/{version_prefix}-*")],
            )
        )
        self.function.add_to_role_policy(
            iam.PolicyStatement(
                actions=["sagemaker:DescribeEndpoint", "sagemaker:DeleteEndpoint"],
                resources=[sagemaker_arn(self, "endpoint", endpoint_name)],
            )
        )
        self.function.add_to_role_policy(
            iam.PolicyStatement(
                actions=["sagemaker:DeleteEndpointConfig", "sagemaker:DeleteModel"],
                resources=[
                    sagemaker_arn(self, resource, f"{version_prefix}-*")
                    for resource in ("endpoint-config", "model")
                ],
            )
        )
        self.function.add_to_role_policy(
            iam.PolicyStatement(
                # Lists know no resources.
                actions=["sagemaker:ListEndpointConfigs", "sagemaker:ListModels"],
                resources=["*"],
            )
        )
        if removal_policy == RemovalPolicy.DESTROY:
            with_stack = CustomResource(
                self,
                "WithStack",
                resource_type="Custom::EndpointCleanup",
                service_token=self.function.function_arn,
                properties={"EndpointName": endpoint_name, "NamePrefix": version_prefix},
                service_timeout=Duration.minutes(16),
            )
            with_stack.node.add_dependency(self.function)
