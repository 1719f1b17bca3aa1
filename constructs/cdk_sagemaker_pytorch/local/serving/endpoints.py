"""Endpoints of the local AWS: real model servers behind Create-, Update-, Delete- and InvokeEndpoint."""

import datetime as dt
import itertools
import logging
import random
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from cdk_sagemaker_pytorch.images.image_description import describe_image
from cdk_sagemaker_pytorch.local.base import s3_transfer
from cdk_sagemaker_pytorch.local.base.archives import ArchiveError, unpack_archive
from cdk_sagemaker_pytorch.local.base.fault_registry import registry
from cdk_sagemaker_pytorch.local.base.logs import LogStream
from cdk_sagemaker_pytorch.local.base.path_parts import path_part
from cdk_sagemaker_pytorch.local.base.processes import without_leads_elsewhere
from cdk_sagemaker_pytorch.local.base.sagemaker_records import Record, ValidationError, sagemaker_arn
from cdk_sagemaker_pytorch.local.base.server_state import aws_environment, client, settings
from cdk_sagemaker_pytorch.local.iam.access import RoleError, role_credentials

from .container_watch import ContainerWatch
from .model_server import ModelLoadError, ModelServer

_CONTAINER_MODEL_DIR = "/opt/ml/model"
_MAX_FAILURE_REASON = 1024  # of DescribeEndpoint
_CHANGING = ("Creating", "Updating", "Deleting")

_logger = logging.getLogger(__name__)
_folder_numbers = itertools.count(1)


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
                described.model_server if described.model_server in ("ray", "torchserve") else "asgi",
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
            _now(),
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


@dataclass(frozen=True)
class _Pending:
    """A version that is on its way into service."""

    config: Record
    start_time: dt.datetime

    def describe(self) -> dict[str, Any]:
        """Return the PendingDeploymentSummary of DescribeEndpoint."""
        variants = []
        for variant in self.config.request["ProductionVariants"]:
            weight, count = variant.get("InitialVariantWeight", 1.0), variant.get("InitialInstanceCount", 1)
            variants.append(
                {
                    "VariantName": variant["VariantName"],
                    "CurrentWeight": 0.0,
                    "DesiredWeight": weight,
                    "CurrentInstanceCount": 0,
                    "DesiredInstanceCount": count,
                    "VariantStatus": [{"Status": "Creating", "StartTime": self.start_time}],
                }
            )
        return {
            "EndpointConfigName": self.config.name,
            "ProductionVariants": variants,
            "StartTime": self.start_time,
        }


class Endpoint:
    """An endpoint.

    Parameters
    ----------
    name
        Its name.
    tags
        `[{"Key": …, "Value": …}]`.
    """

    def __init__(self, name: str, tags: list[dict[str, str]]) -> None:
        self.name = name
        self.arn = sagemaker_arn("endpoint", name)
        self.tags = tags
        self.status = "Creating"
        self.creation_time = self.last_modified_time = _now()
        self.config_name = ""
        self._failure_reason: str | None = None
        self._deployment: Deployment | None = None
        self._pending: _Pending | None = None
        self._lock = threading.Lock()

    def create(self, deployment: Deployment) -> None:
        """Begin to bring the first version into service."""
        self.config_name = deployment.config.name
        self._pending = _Pending(deployment.config, self.creation_time)
        self._deploy_in_background(deployment)

    def change(self, desired: Sequence[Mapping[str, Any]]) -> None:
        """Change weights and instance counts of the variants in service; see `Deployment.change`.

        Raises
        ------
        ValidationError
            If the endpoint is changing or failed, or has no such variant.
        """
        with self._lock:
            if self.status != "InService" or self._deployment is None:
                raise ValidationError(f'Cannot update endpoint "{self.arn}" while it is {self.status}.')
            self._deployment.change(desired)
            self._set_status("Updating")

        def settle() -> None:
            with self._lock:
                self._set_status("InService")

        threading.Thread(target=settle, name=f"endpoint-{self.name}", daemon=True).start()

    def update(
        self, deployment: Deployment, *, retain_weights: bool = False, retain_counts: bool = False
    ) -> None:
        """Begin to replace the version in service; it stays when the new one does not start.

        Parameters
        ----------
        deployment
            The new version.
        retain_weights, retain_counts
            Whether variants of the same names keep the weights and instance counts that they have now.
            Default to those of the new version.

        Raises
        ------
        ValidationError
            If the endpoint is changing or failed.
        """
        with self._lock:
            if self.status != "InService":
                raise ValidationError(f'Cannot update endpoint "{self.arn}" while it is {self.status}.')
            self._set_status("Updating")
            self._pending = _Pending(deployment.config, self.last_modified_time)
        self._deploy_in_background(deployment, weights=retain_weights, counts=retain_counts)

    def delete(self, on_deleted: Callable[[], object]) -> None:
        """Take the endpoint out of service at once, and begin to stop its model servers.

        Parameters
        ----------
        on_deleted
            Called from a thread when nothing of it is left.

        Raises
        ------
        ValidationError
            If it is changing.
        """
        with self._lock:
            if self.status in _CHANGING:
                raise ValidationError(f'Cannot delete endpoint "{self.arn}" while it is {self.status}.')
            self._set_status("Deleting")
            deployment, self._deployment = self._deployment, None

        def stop() -> None:
            try:
                if deployment is not None:
                    deployment.stop()
            finally:
                on_deleted()

        threading.Thread(target=stop, name=f"endpoint-{self.name}", daemon=True).start()

    def served_variant(self, variant_name: str | None) -> ServedVariant:
        """Return the variant that answers a request.

        Raises
        ------
        ValidationError
            If nothing is in service.
        """
        deployment = self._deployment
        if deployment is None:
            raise ValidationError(
                f"Endpoint {self.name} of account {settings().account} is not in service: {self.status}."
            )
        return deployment.choose(variant_name)

    def instances(self) -> dict[str, int]:
        """Return how many instances it has now, by type; those that are on their way count."""
        total: dict[str, int] = {}
        variants = [(item.variant, item.instance_count) for item in self._variants_in_service()]
        if pending := self._pending:
            variants += [
                (item, item.get("InitialInstanceCount", 1))
                for item in pending.config.request["ProductionVariants"]
            ]
        for variant, count in variants:
            if kind := variant.get("InstanceType"):
                total[kind] = total.get(kind, 0) + count
        return total

    def _variants_in_service(self) -> list[ServedVariant]:
        deployment = self._deployment
        return deployment.variants if deployment is not None else []

    def describe(self) -> dict[str, Any]:
        """Return the answer of DescribeEndpoint."""
        description = {
            "EndpointName": self.name,
            "EndpointArn": self.arn,
            "EndpointConfigName": self.config_name,
            "ProductionVariants": self._deployment.describe_variants() if self._deployment else None,
            "EndpointStatus": self.status,
            "FailureReason": self._failure_reason,
            "CreationTime": self.creation_time,
            "LastModifiedTime": self.last_modified_time,
            "PendingDeploymentSummary": self._pending.describe() if self._pending else None,
        }
        return {name: value for name, value in description.items() if value is not None}

    def summary(self) -> dict[str, Any]:
        """Return the entry of ListEndpoints."""
        names = ("EndpointName", "EndpointArn", "CreationTime", "LastModifiedTime", "EndpointStatus")
        return {name: value for name, value in self.describe().items() if name in names}

    def _deploy_in_background(self, deployment: Deployment, **retained: bool) -> None:
        threading.Thread(
            target=self._deploy,
            args=(deployment,),
            kwargs=retained,
            name=f"endpoint-{self.name}",
            daemon=True,
        ).start()

    def _deploy(self, deployment: Deployment, *, weights: bool = False, counts: bool = False) -> None:
        delay, fault = registry.take_endpoint(self.name)
        time.sleep(delay)
        reason = fault.reason if fault is not None else None
        try:
            if fault is None:
                deployment.start()
        except DeploymentError as error:
            reason = str(error)
        except Exception as error:
            _logger.exception("endpoint %s", self.name)
            reason = f"InternalServerError: {error}"
        with self._lock:
            superseded = None
            self._failure_reason = reason[:_MAX_FAILURE_REASON] if reason else None
            if fault is not None and fault.status == "Failed":
                superseded, self._deployment = self._deployment, None
            elif reason is None:
                if self._deployment is not None:
                    deployment.retain(self._deployment, weights=weights, counts=counts)
                superseded, self._deployment = self._deployment, deployment
                self.config_name = deployment.config.name
            self._pending = None
            self._set_status("InService" if self._deployment else "Failed")
        if superseded is not None:
            superseded.stop()

    def _set_status(self, status: str) -> None:
        self.status = status
        self.last_modified_time = _now()


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
