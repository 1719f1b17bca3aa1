"""What a model's container and an endpoint's instances are given."""

from dataclasses import dataclass
from typing import Any

from aws_cdk import Duration, Size
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3

from cdk_sagemaker_pytorch.common.limits import has_local_storage
from cdk_sagemaker_pytorch.common.option_kinds import (
    BUCKET,
    KEY,
    ROLE,
    Gibibytes,
    InstanceType,
    Resource,
    Seconds,
    Text,
    Whole,
)
from cdk_sagemaker_pytorch.common.options import Options, option
from cdk_sagemaker_pytorch.common.problems import Problems
from cdk_sagemaker_pytorch.images.framework_version import ModelServer
from cdk_sagemaker_pytorch.packaging.model_packager import ModelPackager
from cdk_sagemaker_pytorch.packaging.settings import PackagerKind

__all__ = ["Instances", "ModelOptions", "ServingContainer", "model_data_members"]

# Variables of each model server for the longest time of one answer.
_TIMEOUT_VARIABLES = {
    "ray": ("RAYSERVE_BACKEND_TIMEOUT",),
    "torchserve": ("SAGEMAKER_MODEL_SERVER_TIMEOUT", "SAGEMAKER_TS_RESPONSE_TIMEOUT"),
}


# Real-time InvokeEndpoint: the container answers within 60 seconds.
_MOST_SECONDS = 60


@dataclass(frozen=True, kw_only=True)
class ModelOptions(Options):
    """Flat keywords of a model, see `PyTorchModel`."""

    entry_point: str = option(Text(), "inference.py")
    instance_type: str = option(InstanceType(shape="ProductionVariantInstanceType"), "ml.m5.large")
    artifacts_bucket: s3.IBucket | None = option(Resource(attribute="bucket_arn", wanted=BUCKET))
    packager: ModelPackager | str | None = option(PackagerKind())
    role: iam.IRole | None = option(Resource(attribute="role_arn", wanted=ROLE))


@dataclass(frozen=True, kw_only=True)
class ServingContainer(Options):
    """Settings of the model server in a serving container.

    Attributes
    ----------
    model_server_workers : int, optional
        Worker processes, each with a copy of the model. Defaults to the container's choice.
    response_timeout : Duration, optional
        Longest time for one answer, at most 60 seconds on a real-time endpoint. Defaults to the
        container's: 60 seconds, Ray Serve 300.
    """

    model_server_workers: int | None = option(Whole("SAGEMAKER_MODEL_SERVER_WORKERS", least=1))
    response_timeout: Duration | None = option(Seconds("SAGEMAKER_MODEL_SERVER_TIMEOUT", least=1))

    def check_real_time(self, problems: Problems, name: str) -> None:
        """Note a time that SageMaker does not wait for at a real-time endpoint.

        Parameters
        ----------
        problems : Problems
            Gets the findings.
        name : str
            Name of the group.
        """
        timeout = self.response_timeout
        if isinstance(timeout, Duration) and not timeout.is_unresolved():
            seconds = timeout.to_seconds(integral=False)
            problems.check(
                seconds <= _MOST_SECONDS,
                f"{name}.response_timeout must be at most {_MOST_SECONDS} seconds, when SageMaker gives up on"
                f" a request to a real-time endpoint, got {seconds:g}: answer faster",
            )

    def environment(self, server: ModelServer) -> dict[str, str]:
        """Write them as the variables that a model server reads.

        Parameters
        ----------
        server : str
            The model server.
        """
        members = {name: str(value) for name, value in self.members().items()}
        timeout = members.pop("SAGEMAKER_MODEL_SERVER_TIMEOUT", None)
        if timeout is not None:
            names = _TIMEOUT_VARIABLES.get(server, ("SAGEMAKER_MODEL_SERVER_TIMEOUT",))
            members.update(dict.fromkeys(names, timeout))
        return members


@dataclass(frozen=True, kw_only=True)
class Instances(Options):
    """An endpoint's instances, besides their type and number: a production variant of the API.

    Attributes
    ----------
    variant_name : str
        Defaults to ``AllTraffic``, as in the SageMaker Python SDK.
    startup_timeout : Duration, optional
        How long the container may take until it answers its health check, from one minute to an hour.
        Defaults to SageMaker's own.
    model_data_download_timeout : Duration, optional
        How long the model may take to be downloaded and extracted, from one minute to an hour. Defaults to
        SageMaker's own.
    volume_size : Size, optional
        Storage of each instance, up to 512 GiB; none can be given for instances with NVMe storage of their
        own. Defaults to SageMaker's choice.
    volume_key : kms.IKey, optional
        Key for that storage; none can be given for instances with NVMe storage, whose hardware encrypts it.
        Defaults to a key of SageMaker's.
    """

    variant_name: str = option(Text("VariantName", "VariantName"), "AllTraffic")
    startup_timeout: Duration | None = option(
        Seconds(
            "ContainerStartupHealthCheckTimeoutInSeconds",
            "ProductionVariantContainerStartupHealthCheckTimeoutInSeconds",
        )
    )
    model_data_download_timeout: Duration | None = option(
        Seconds("ModelDataDownloadTimeoutInSeconds", "ProductionVariantModelDataDownloadTimeoutInSeconds")
    )
    volume_size: Size | None = option(Gibibytes("VolumeSizeInGB", "ProductionVariantVolumeSizeInGB"))
    volume_key: kms.IKey | None = option(Resource(attribute="key_arn", wanted=KEY))

    def check_with(self, problems: Problems, name: str, instance_type: Any) -> None:
        """Note what the instance type does not have.

        Parameters
        ----------
        problems : Problems
            Gets the findings.
        name : str
            Name of the group.
        instance_type : Any
            What was given as the instance type.
        """
        if not isinstance(instance_type, str) or not has_local_storage(instance_type):
            return
        for setting in ("volume_size", "volume_key"):
            problems.check(
                getattr(self, setting) is None,
                f"{name}.{setting} cannot be given for {instance_type}, which has NVMe storage that its"
                " hardware encrypts: leave it out",
            )


def model_data_members(uri: str, compressed: bool) -> dict[str, Any]:
    """Write where a container finds its model, as members of the API's ``ContainerDefinition``.

    Parameters
    ----------
    uri : str
        S3 URI of the archive, or the prefix of its files.
    compressed : bool
        Whether it is an archive.
    """
    if compressed:
        return {"ModelDataUrl": uri}
    source = {"S3Uri": uri, "S3DataType": "S3Prefix", "CompressionType": "None"}
    return {"ModelDataSource": {"S3DataSource": source}}
