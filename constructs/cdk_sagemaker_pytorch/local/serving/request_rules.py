"""What SageMaker refuses in models and endpoint configurations, and what would be served as another thing."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from cdk_sagemaker_pytorch.local.base.sagemaker_records import refuse_any

__all__ = ["check_endpoint_config_request", "check_model_request"]


def check_model_request(request: Mapping[str, Any]) -> None:
    """Refuse a request of CreateModel that no model can be made of.

    Raises
    ------
    ValidationError
        With everything that is wrong.
    """
    refuse_any(_model_problems(request))


def check_endpoint_config_request(request: Mapping[str, Any]) -> None:
    """Refuse a request of CreateEndpointConfig that no endpoint can be made of.

    Raises
    ------
    ValidationError
        With everything that is wrong.
    """
    refuse_any(_endpoint_config_problems(request["ProductionVariants"]))


def _model_problems(request: Mapping[str, Any]) -> Iterator[str]:
    if "ExecutionRoleArn" not in request:
        yield "ExecutionRoleArn must be given: the local AWS has no models of other accounts"
    primary, containers = request.get("PrimaryContainer"), request.get("Containers") or []
    if (primary is None) == (not containers):
        yield "exactly one of PrimaryContainer and Containers must be given"
    if len(containers) > 1:
        yield "Containers must be one: the local AWS has no inference pipelines"
    for container in [primary] if primary is not None else containers:
        if "Image" not in container:
            yield "a container must have an Image: the local AWS has no model packages"
        if "ModelDataUrl" in container and "ModelDataSource" in container:
            yield "a container must have one of ModelDataUrl and ModelDataSource, got both"


def _endpoint_config_problems(variants: list[Mapping[str, Any]]) -> Iterator[str]:
    for name, count in Counter(variant["VariantName"] for variant in variants).items():
        if count > 1:
            yield f"VariantName must be unique, got {name} {count} times"
    for variant in variants:
        name = variant["VariantName"]
        if "ModelName" not in variant:
            yield f"ModelName of variant {name} must be given: the local AWS has no inference components"
        instances = {"InstanceType", "InitialInstanceCount"}
        given = instances & variant.keys()
        if "ServerlessConfig" in variant:
            if given:
                yield f"variant {name} must have a ServerlessConfig or instances, got both"
        elif missing := instances - given:
            yield f"variant {name} must have {' and '.join(sorted(missing, reverse=True))}"
