"""SageMaker's quotas: how many instances of a type may run at once."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from moto.core.exceptions import ServiceException

from cdk_sagemaker_pytorch.local.base.quota_names import Usage, quota_name
from cdk_sagemaker_pytorch.local.base.server_state import settings


class ResourceLimitExceededError(ServiceException):
    """More instances than the account may run."""

    code = "ResourceLimitExceeded"


def check_quotas(usage: Usage, wanted: Mapping[str, int], running: Iterable[Mapping[str, int]]) -> None:
    """Refuse a request for more instances than may run at once.

    Parameters
    ----------
    usage
        What the instances are for.
    wanted
        How many instances of which type the request asks for.
    running
        The same of everything that runs for that use.

    Raises
    ------
    ResourceLimitExceededError
        For the first type of which there are too many.
    """
    others = list(running)
    for instance_type, count in wanted.items():
        name = quota_name(instance_type, usage)
        limit = settings().quotas.get(name)
        current = sum(other.get(instance_type, 0) for other in others)
        if limit is not None and current + count > limit:
            raise ResourceLimitExceededError(
                f"The account-level service limit '{name}' is {limit} Instances, with current utilization of"
                f" {current} Instances and a request delta of {count} Instances. Please use AWS Service"
                " Quotas to request an increase for this quota. If AWS Service Quotas is not available,"
                " contact AWS support to request an increase for this quota."
            )


def job_instances(resources: Mapping[str, Any]) -> Counter[str]:
    """Return the instances that a ResourceConfig or a ClusterConfig asks for, by type."""
    groups: Iterable[Mapping[str, Any]] = resources.get("InstanceGroups") or [resources]
    return _by_type((group.get("InstanceType"), group.get("InstanceCount", 1)) for group in groups)


def variant_instances(variants: Iterable[Mapping[str, Any]]) -> Counter[str]:
    """Return the instances of production variants, by type; serverless ones have none."""
    return _by_type((item.get("InstanceType"), item.get("InitialInstanceCount", 1)) for item in variants)


def _by_type(counts: Iterable[tuple[str | None, int]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for instance_type, count in counts:
        if instance_type is not None:
            total[instance_type] += count
    return total
