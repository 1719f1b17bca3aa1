"""What a serving container is told about the code that it runs."""

from aws_cdk import Duration

from .framework_version import FrameworkVersion
from .source_code import SERVING_PACKAGE

__all__ = ["serving_environment"]


def serving_environment(
    framework_version: FrameworkVersion,
    *,
    entry_point: str,
    submit_directory: str,
    region: str,
    model_server_workers: int | None = None,
    response_timeout: Duration | None = None,
) -> dict[str, str]:
    """Environment of a serving container.

    Parameters
    ----------
    framework_version : FrameworkVersion
        Decides on the model server, and so on the variables.
    entry_point : str
        The inference script, relative to the code directory.
    submit_directory : str
        ``/opt/ml/model/code``, or up to version 1.1 the S3 URI of sourcedir.tar.gz.
    region : str
        The region.
    model_server_workers : int, optional
        Worker processes, each with a copy of the model. Defaults to the container's choice.
    response_timeout : Duration, optional
        Longest time for one answer. Defaults to the container's: 60 seconds, Ray Serve 300.
    """
    environment = {
        "SAGEMAKER_PROGRAM": entry_point,
        "SAGEMAKER_SUBMIT_DIRECTORY": submit_directory,
        "SAGEMAKER_REGION": region,
        "SAGEMAKER_CONTAINER_LOG_LEVEL": "20",
    }
    if framework_version.model_server == "ray":
        environment["SM_RAYSERVE_APP"] = f"{SERVING_PACKAGE}.ray_application:app"
    if model_server_workers is not None:
        environment["SAGEMAKER_MODEL_SERVER_WORKERS"] = str(model_server_workers)
    if response_timeout is not None:
        seconds = str(response_timeout.to_seconds())
        variables = {
            "ray": ["RAYSERVE_BACKEND_TIMEOUT"],
            "torchserve": ["SAGEMAKER_MODEL_SERVER_TIMEOUT", "SAGEMAKER_TS_RESPONSE_TIMEOUT"],
        }.get(framework_version.model_server, ["SAGEMAKER_MODEL_SERVER_TIMEOUT"])
        environment.update(dict.fromkeys(variables, seconds))
    return environment
