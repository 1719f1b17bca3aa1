"""Endpoints of the local AWS: what Create-, Update-, Delete- and InvokeEndpoint act on."""

import datetime as dt
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cdk_sagemaker_pytorch.local.base.fault_registry import registry
from cdk_sagemaker_pytorch.local.base.sagemaker_records import Record, ValidationError, sagemaker_arn
from cdk_sagemaker_pytorch.local.base.server_state import settings

from .deployment import Deployment, DeploymentError, ServedVariant

_MAX_FAILURE_REASON = 1024  # of DescribeEndpoint
_CHANGING = ("Creating", "Updating", "Deleting")

_logger = logging.getLogger(__name__)


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

    def instances(self) -> Counter[str]:
        """Return how many instances it has now, by type; those that are on their way count."""
        variants = [(item.variant, item.instance_count) for item in self._variants_in_service()]
        if pending := self._pending:
            variants += [
                (item, item.get("InitialInstanceCount", 1))
                for item in pending.config.request["ProductionVariants"]
            ]
        total: Counter[str] = Counter()
        for variant, count in variants:
            if kind := variant.get("InstanceType"):
                total[kind] += count
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
