"""What every construct with an endpoint offers to those who use the endpoint."""

from typing import Any

from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam

__all__ = ["InvokableEndpoint"]


class InvokableEndpoint:
    """A base of constructs with an endpoint.

    Attributes
    ----------
    endpoint_name : str
        The endpoint.
    endpoint_arn : str
        Its ARN.
    variant_name : str
        Its production variant.
    """

    endpoint_name: str
    endpoint_arn: str
    variant_name: str

    def grant_invoke(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let `grantee` invoke the endpoint, and stream its answers."""
        return iam.Grant.add_to_principal(
            grantee=grantee,
            actions=["sagemaker:InvokeEndpoint", "sagemaker:InvokeEndpointWithResponseStream"],
            resource_arns=[self.endpoint_arn],
        )

    def metric(self, metric_name: str, **options: Any) -> cloudwatch.Metric:
        """Get a metric of the endpoint's variant.

        Parameters
        ----------
        metric_name : str
            For example ``Invocations`` or ``ModelLatency``.
        **options
            Further properties of `aws_cloudwatch.Metric`, for example ``statistic``.
        """
        return cloudwatch.Metric(
            namespace="AWS/SageMaker",
            metric_name=metric_name,
            dimensions_map={"EndpointName": self.endpoint_name, "VariantName": self.variant_name},
            **options,
        )
