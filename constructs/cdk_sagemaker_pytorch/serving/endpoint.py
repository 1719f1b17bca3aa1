"""An endpoint that serves a PyTorch model."""

from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from cdk_sagemaker_pytorch.common.option_kinds import Text
from cdk_sagemaker_pytorch.common.problems import Problems
from cdk_sagemaker_pytorch.common.stacks import check_stacks
from cdk_sagemaker_pytorch.images.container_image import processor_of
from cdk_sagemaker_pytorch.images.instance_processor import instance_family

from .elastic_inference import acknowledge_accelerator, check_accelerator, warn_of_accelerator
from .invokable_endpoint import InvokableEndpoint
from .model import PyTorchModel
from .production_variant import ProductionVariant
from .settings import Instances

__all__ = ["PyTorchEndpoint"]

_ENDPOINT_NAME = Text(shape="EndpointName")


class PyTorchEndpoint(Construct, InvokableEndpoint):
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
    instances : Instances, optional
        What else the instances are given. Defaults to those of `Instances`.
    endpoint_name : str, optional
        Defaults to a name that CloudFormation makes.

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
        instances: Instances | None = None,
        endpoint_name: str | None = None,
    ) -> None:
        problems = Problems("PyTorchEndpoint")
        problems.require(model, PyTorchModel, "model")
        self.instance_type = model.instance_type if instance_type is None else instance_type
        accelerator_type = accelerator_type or model.accelerator_type
        instances = Instances.of(instances, problems, "instances")
        variant = ProductionVariant(
            model_name=model.model_name,
            framework_version=model.framework_version,
            instance_type=self.instance_type,
            initial_instance_count=initial_instance_count,
            accelerator_type=accelerator_type,
            instances=instances,
        )
        variant.check(problems)
        model.container.check_real_time(problems, "the model's container")
        if endpoint_name is not None:
            _ENDPOINT_NAME.check(problems, "endpoint_name", endpoint_name)
        check_accelerator(problems, accelerator_type, model.framework_version)
        _check_image(problems, model, self.instance_type, accelerator_type)
        check_stacks(problems, scope, "model", model, model.uses)
        problems.raise_if_any()

        super().__init__(scope, construct_id)
        problems.annotate(self)
        self.variant_name = instances.variant_name
        warn_of_accelerator(self, accelerator_type, self.instance_type)
        config = sagemaker.CfnEndpointConfig(
            self,
            "Config",
            production_variants=[variant.render_cloudformation()],
            kms_key_id=instances.volume_key.key_arn if instances.volume_key is not None else None,
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


def _check_image(
    problems: Problems, model: PyTorchModel, instance_type: object, accelerator_type: object
) -> None:
    """Note what the model's image was not chosen for."""
    problems.check(
        accelerator_type == model.accelerator_type,
        "accelerator_type must be the one that the model's image was chosen for,"
        f" {model.accelerator_type}, got {accelerator_type}: give it to the PyTorchModel",
    )
    if isinstance(instance_type, str) and instance_family(instance_type) is not None:
        problems.check(
            processor_of(instance_type) == processor_of(model.instance_type),
            "instance_type must have the processor that the model's image was chosen for,"
            f" as {model.instance_type} has, got {instance_type}: give it to the PyTorchModel",
        )
