"""Names of SageMaker's quotas, as Service Quotas has them."""

import re
from collections.abc import Mapping
from typing import Any, Literal

Usage = Literal["endpoint", "training job", "spot training job", "processing job"]

_NAME = re.compile(r"ml\.\S+ for (endpoint|(spot )?training job|processing job) usage")


def quota_name(instance_type: str, usage: Usage) -> str:
    """Return the name of the quota of an instance type for a use."""
    return f"{instance_type} for {usage} usage"


def quota_problems(quotas: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with quotas that a user gave, by name."""
    return [
        "quotas must be names such as 'ml.m5.large for endpoint usage' (or 'training job', 'spot training"
        f" job', 'processing job') with a number of instances, got {name!r}: {value!r}"
        for name, value in quotas.items()
        if not _NAME.fullmatch(str(name)) or type(value) is not int or value < 0
    ]
