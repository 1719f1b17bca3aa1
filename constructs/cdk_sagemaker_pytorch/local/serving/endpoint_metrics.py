"""Metrics of endpoints, as CloudWatch has them: namespace AWS/SageMaker, by endpoint and variant."""

from cdk_sagemaker_pytorch.local.base.metric_points import send_metric

_NAMESPACE = "AWS/SageMaker"


def record_invocation(endpoint: str, variant: str, status: int, seconds: float) -> None:
    """Note an invocation.

    Parameters
    ----------
    endpoint, variant
        What answered.
    status
        HTTP status of the container's answer, 0 where it gave none in time.
    seconds
        How long the container took.
    """
    counts = {
        "Invocations": True,
        "Invocation4XXErrors": 400 <= status < 500,
        "Invocation5XXErrors": status == 0 or status >= 500,
        "InvocationModelErrors": status == 0 or status >= 400,
    }
    dimensions = {"EndpointName": endpoint, "VariantName": variant}
    for name, value in counts.items():
        send_metric(_NAMESPACE, name, float(value), dimensions)
    send_metric(_NAMESPACE, "ModelLatency", seconds * 1e6, dimensions, "Microseconds")
