"""An endpoint that serves a PyTorch model."""

from typing import Any

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from cdk_sagemaker_pytorch.common.problems import Problems
from cdk_sagemaker_pytorch.images.container_image import processor_of

from .elastic_inference import acknowledge_accelerator, check_accelerator, warn_of_accelerator
from .model import PyTorchModel
from .production_variant import ProductionVariant

__all__ = ["PyTorchEndpoint", "endpoint_metric", "grant_invoke_endpoint"]


class PyTorchEndpoint(Construct):
    """Serves a model: what `deploy` does in the SageMaker Python SDK.

    Any change of the model or the instances makes a new endpoint configuration, which the endpoint
    moves to without an interruption.

    Parameters
    ----------
    scope, construct_id
        As for every construct.
    model : PyTorchModel
        The model.
    instance_type : str, optional
        Defaults to the one that the model's image was chosen for.
    initial_instance_count : int, optional
        Defaults to 1.
    accelerator_type : str, optional
        Elastic Inference accelerator, which AWS has discontinued. Defaults to the model's.
    variant_name : str, optional
        Defaults to ``AllTraffic``.
    endpoint_name : str, optional
        Defaults to a name that CloudFormation makes.
    volume_key : kms.IKey, optional
        Key for the instances' storage. Defaults to a key of SageMaker's.
    startup_timeout : Duration, optional
        How long the container may take to load the model, up to an hour. Defaults to SageMaker's
        own.

    Raises
    ------
    ConfigurationError
        With everything that is wrong with the parameters.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        model: PyTorchModel,
        instance_type: str | None = None,
        initial_instance_count: int = 1,
        accelerator_type: str | None = None,
        variant_name: str = "AllTraffic",
        endpoint_name: str | None = None,
        volume_key: kms.IKey | None = None,
        startup_timeout: Duration | None = None,
    ) -> None:
        self.instance_type = instance_type or model.instance_type
        self.variant_name = variant_name
        accelerator_type = accelerator_type or model.accelerator_type
        variant = ProductionVariant(
            model_name=model.model_name,
            framework_version=model.framework_version,
            instance_type=self.instance_type,
            initial_instance_count=initial_instance_count,
            variant_name=variant_name,
            accelerator_type=accelerator_type,
            startup_timeout=startup_timeout,
        )
        problems = Problems("PyTorchEndpoint")
        variant.check(problems)
        check_accelerator(problems, accelerator_type, model.framework_version)
        problems.check(
            accelerator_type == model.accelerator_type,
            "accelerator_type must be the one that the model's image was chosen for,"
            f" {model.accelerator_type}, got {accelerator_type}: give it to the PyTorchModel",
        )
        problems.check(
            processor_of(self.instance_type) == processor_of(model.instance_type),
            "instance_type must have the processor that the model's image was chosen for,"
            f" as {model.instance_type} has, got {self.instance_type}: give it to the PyTorchModel",
        )
        problems.raise_if_any()

        super().__init__(scope, construct_id)
        warn_of_accelerator(self, accelerator_type, self.instance_type)
        config = sagemaker.CfnEndpointConfig(
            self,
            "Config",
            production_variants=[variant.render_cloudformation()],
            kms_key_id=volume_key.key_arn if volume_key is not None else None,
        )
        if accelerator_type is not None:
            acknowledge_accelerator(config)
        resource = sagemaker.CfnEndpoint(
            self,
            "Resource",
            endpoint_config_name=config.attr_endpoint_config_name,
            endpoint_name=endpoint_name,
        )
        self.endpoint_name = resource.attr_endpoint_name
        self.endpoint_config_name = config.attr_endpoint_config_name
        self.endpoint_arn = resource.ref

    def grant_invoke(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let `grantee` invoke the endpoint."""
        return grant_invoke_endpoint(grantee, self.endpoint_arn)

    def metric(self, metric_name: str, **options: Any) -> cloudwatch.Metric:
        """Get a metric of the endpoint's variant.

        Parameters
        ----------
        metric_name : str
            For example ``Invocations`` or ``ModelLatency``.
        **options
            Further properties of `aws_cloudwatch.Metric`, for example ``statistic``.
        """
        return endpoint_metric(self.endpoint_name, self.variant_name, metric_name, **options)


def grant_invoke_endpoint(grantee: iam.IGrantable, endpoint_arn: str) -> iam.Grant:
    """Let `grantee` invoke an endpoint, and stream its answers.

    Parameters
    ----------
    grantee : iam.IGrantable
        Who may.
    endpoint_arn : str
        The endpoint.
    """
    return iam.Grant.add_to_principal(
        grantee=grantee,
        actions=["sagemaker:InvokeEndpoint", "sagemaker:InvokeEndpointWithResponseStream"],
        resource_arns=[endpoint_arn],
    )


def endpoint_metric(
    endpoint_name: str, variant_name: str, metric_name: str, **options: Any
) -> cloudwatch.Metric:
    """Get a metric of an endpoint's variant.

    Parameters
    ----------
    endpoint_name, variant_name, metric_name : str
        What to measure.
    **options
        Further properties of `aws_cloudwatch.Metric`.
    """
    return cloudwatch.Metric(
        namespace="AWS/SageMaker",
        metric_name=metric_name,
        dimensions_map={"EndpointName": endpoint_name, "VariantName": variant_name},
        **options,
    )
