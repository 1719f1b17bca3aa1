"""One endpoint configuration in service: a real model server for each of its variants."""

import datetime as dt
import itertools
import logging
import random
import secrets
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from cdk_sagemaker_pytorch.images.image_description import ImageDescription, describe_image
from cdk_sagemaker_pytorch.local.base import s3_transfer
from cdk_sagemaker_pytorch.local.base.archives import ArchiveError, unpack_archive
from cdk_sagemaker_pytorch.local.base.logs import LogStream
from cdk_sagemaker_pytorch.local.base.path_parts import path_part
from cdk_sagemaker_pytorch.local.base.processes import without_leads_elsewhere
from cdk_sagemaker_pytorch.local.base.sagemaker_records import Record, ValidationError
from cdk_sagemaker_pytorch.local.base.server_state import aws_environment, client, settings
from cdk_sagemaker_pytorch.local.iam.access import RoleError, role_credentials

from .container_watch import ContainerWatch
from .model_server import ModelLoadError, ModelServer, ServerKind

_CONTAINER_MODEL_DIR = "/opt/ml/model"

_logger = logging.getLogger(__name__)
_folder_numbers = itertools.count(1)


def _server_kind(image: ImageDescription, variant: Mapping[str, Any]) -> ServerKind:
    if image.model_server in ("ray", "torchserve"):
        return image.model_server
    return "elastic_inference" if image.accelerated and "AcceleratorType" in variant else "asgi"


class DeploymentError(Exception):
    """Why a version of an endpoint does not come into service."""


@dataclass
class ServedVariant:
    """A production variant that is in service: its model server and the logs it writes."""

    variant: dict[str, Any]
    image: str
    container: ContainerWatch
    log: LogStream
    started: dt.datetime
    weight: float
    instance_count: int

    @property
    def name(self) -> str:
        """Name of the variant."""
        return str(self.variant["VariantName"])

    @property
    def server(self) -> ModelServer:
        """The server that answers now."""
        return self.container.server


class Deployment:
    """One endpoint configuration in service.

    Parameters
    ----------
    endpoint_name
        The endpoint it serves.
    config
        Its endpoint configuration.
    find_model
        Returns a model by name.
    """

    def __init__(self, endpoint_name: str, config: Record, find_model: Callable[[str], Record]) -> None:
        self.config = config
        self._endpoint_name = endpoint_name
        self._find_model = find_model
        part = path_part(endpoint_name)
        self._folder = settings().directory / "endpoints" / part / str(next(_folder_numbers))
        self.variants: list[ServedVariant] = []

    def start(self) -> None:
        """Start a model server for each variant and wait until all of them answer.

        Raises
        ------
        DeploymentError
            With the reason; nothing is left running then.
        """
        shutil.rmtree(
            self._folder, ignore_errors=True
        )  # of an earlier start of the local AWS, that was killed
        try:
            for variant in self.config.request["ProductionVariants"]:
                self.variants.append(self._serve(variant))
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the model servers and remove their folders."""
        for served in self.variants:
            served.container.stop()
            served.log.close()
        self.variants = []
        shutil.rmtree(self._folder, ignore_errors=True)

    def choose(self, variant_name: str | None) -> ServedVariant:
        """Return the named variant, or one at random by their weights.

        Raises
        ------
        ValidationError
            If there is none of that name.
        """
        if variant_name is None:
            weights = [served.weight for served in self.variants]
            return random.choices(self.variants, weights if any(weights) else None)[0]  # noqa: S311
        return self._variant(variant_name)

    def change(self, desired: Sequence[Mapping[str, Any]]) -> None:
        """Change weights and instance counts of variants, all or none.

        Parameters
        ----------
        desired
            DesiredWeightsAndCapacities of the API.

        Raises
        ------
        ValidationError
            If there is no such variant.
        """
        variants = [self._variant(item["VariantName"]) for item in desired]
        for served, item in zip(variants, desired, strict=True):
            served.weight = item.get("DesiredWeight", served.weight)
            served.instance_count = item.get("DesiredInstanceCount", served.instance_count)

    def retain(self, before: "Deployment", *, weights: bool, counts: bool) -> None:
        """Take over what was changed of variants of the same names."""
        known = {served.name: served for served in before.variants}
        for served in self.variants:
            if served.name in known:
                if weights:
                    served.weight = known[served.name].weight
                if counts:
                    served.instance_count = known[served.name].instance_count

    def _variant(self, name: str) -> ServedVariant:
        for served in self.variants:
            if served.name == name:
                return served
        raise ValidationError(f"Variant {name} not found in endpoint {self._endpoint_name}")

    def describe_variants(self) -> list[dict[str, Any]]:
        """Return ProductionVariants as DescribeEndpoint gives them."""
        return [
            {
                "VariantName": served.variant["VariantName"],
                "DeployedImages": [
                    {
                        "SpecifiedImage": served.image,
                        "ResolvedImage": served.image,
                        "ResolutionTime": served.started,
                    }
                ],
                "CurrentWeight": served.weight,
                "DesiredWeight": served.weight,
                "CurrentInstanceCount": served.instance_count,
                "DesiredInstanceCount": served.instance_count,
            }
            for served in self.variants
        ]

    def _serve(self, variant: dict[str, Any]) -> ServedVariant:
        name = variant["VariantName"]
        model = self._find_model(variant["ModelName"]).request
        container = model.get("PrimaryContainer") or (model.get("Containers") or [{}])[0]
        image = container.get("Image", "")
        described = describe_image(image)
        if described is None or described.model_server is None:
            raise DeploymentError(
                f"the local AWS serves with AWS's PyTorch inference images, it cannot run {image!r}"
            )
        folder = self._folder / path_part(name)
        environment = self._prepare(model, container, folder / "model")
        logs = settings().logs_directory / "endpoints" / path_part(self._endpoint_name)
        log_file = logs / f"{folder.parent.name}-{folder.name}.log"
        log = LogStream(
            f"/aws/sagemaker/Endpoints/{self._endpoint_name}",
            f"{name}/{self.config.name}-{folder.parent.name}",
        )

        def make_server() -> ModelServer:
            return ModelServer(
                _server_kind(described, variant),
                folder / "model",
                environment=environment,
                log_path=log_file,
                startup_timeout=variant.get("ContainerStartupHealthCheckTimeoutInSeconds", 300),
                on_line=log.write,
                token=secrets.token_urlsafe(32),
            )

        server = make_server()
        try:
            server.start()
        except ModelLoadError as error:
            log.close()
            raise DeploymentError(
                f"The primary container for production variant {name} did not pass the ping health check. "
                f"Please check CloudWatch logs for this endpoint. {error}"
            ) from error
        if server.server_note:
            log.write(server.server_note)
            _logger.warning("endpoint %s: %s", self._endpoint_name, server.server_note)
        return ServedVariant(
            variant,
            image,
            ContainerWatch(server, make_server, log.write),
            log,
            dt.datetime.now(dt.UTC),
            weight=variant.get("InitialVariantWeight", 1.0),
            instance_count=variant.get("InitialInstanceCount", 1),
        )

    def _prepare(self, model: dict[str, Any], container: dict[str, Any], folder: Path) -> dict[str, str]:
        """Lay out the model folder; return the variables of the container."""
        try:
            credentials = role_credentials(
                model["ExecutionRoleArn"], service="sagemaker.amazonaws.com", session_name="SageMaker"
            )
        except RoleError as error:
            raise DeploymentError(str(error)) from error
        s3 = client("s3", credentials)
        environment = without_leads_elsewhere(container.get("Environment") or {})
        folder.mkdir(parents=True)
        uri = container.get("ModelDataUrl")
        try:
            if source := (container.get("ModelDataSource") or {}).get("S3DataSource"):
                uri = source["S3Uri"]
                if source["CompressionType"] == "None":
                    keys = s3_transfer.list_keys(s3, uri)
                    s3_transfer.download_keys(s3, uri.rstrip("/"), keys, folder)
                    uri = None
            if uri is not None:
                unpack_archive(s3_transfer.download(s3, uri, folder.with_name("model.tar.gz")), folder)
            submit_directory = environment.get("SAGEMAKER_SUBMIT_DIRECTORY", "")
            if submit_directory.startswith("s3://"):  # PyTorch up to 1.1: the code is an archive of its own
                uri = submit_directory
                unpack_archive(
                    s3_transfer.download(s3, uri, folder.with_name("sourcedir.tar.gz")), folder / "code"
                )
                environment["SAGEMAKER_SUBMIT_DIRECTORY"] = f"{_CONTAINER_MODEL_DIR}/code"
        except (ClientError, BotoCoreError, ArchiveError, ValueError) as error:
            raise DeploymentError(
                f"Could not access model data at {uri}. Please ensure that the role "
                f"{model['ExecutionRoleArn']} exists and has s3:GetObject permissions on it: {error}"
            ) from error
        return environment | aws_environment(
            credentials, region=settings().region, endpoint_url=settings().endpoint_url
        )
