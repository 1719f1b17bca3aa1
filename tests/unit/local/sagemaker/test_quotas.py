from pathlib import Path
from typing import Any

import pytest

from cdk_sagemaker_pytorch.local import LocalAws
from cdk_sagemaker_pytorch.local.base import server_state
from cdk_sagemaker_pytorch.local.base.server_state import Credentials, ServerSettings
from cdk_sagemaker_pytorch.local.sagemaker.quotas import (
    ResourceLimitExceededError,
    check_quotas,
    job_instances,
    variant_instances,
)


@pytest.fixture(autouse=True)
def three_training_instances(monkeypatch: pytest.MonkeyPatch) -> None:
    quotas = {"ml.m5.large for training job usage": 3, "ml.g5.xlarge for endpoint usage": 0}
    settings = ServerSettings("", "", "", Path(), True, Credentials("", ""), quotas=quotas)
    monkeypatch.setattr(server_state, "_settings", settings)


@pytest.mark.parametrize(
    ("usage", "wanted", "running"),
    [
        ("training job", {"ml.m5.large": 3}, []),
        ("training job", {"ml.m5.large": 1}, [{"ml.m5.large": 1}, {"ml.m5.large": 1, "ml.c5.large": 9}]),
        ("spot training job", {"ml.m5.large": 9}, []),
        ("endpoint", {"ml.m5.large": 9}, []),
    ],
)
def test_what_the_quotas_allow(usage: Any, wanted: dict[str, int], running: list[dict[str, int]]) -> None:
    check_quotas(usage, wanted, running)


def test_fails_when_a_quota_is_exceeded() -> None:
    with pytest.raises(ResourceLimitExceededError) as failure:
        check_quotas("training job", {"ml.m5.large": 2}, [{"ml.m5.large": 1}, {"ml.m5.large": 1}])
    assert failure.value.message.startswith(
        "The account-level service limit 'ml.m5.large for training job usage' is 3 Instances, with current "
        "utilization of 2 Instances and a request delta of 2 Instances."
    )
    with pytest.raises(ResourceLimitExceededError):
        check_quotas("endpoint", {"ml.g5.xlarge": 1}, [])


def test_instances_of_requests() -> None:
    assert job_instances({"InstanceType": "a", "InstanceCount": 2}) == {"a": 2}
    groups = [
        {"InstanceType": "a", "InstanceCount": 2},
        {"InstanceType": "b", "InstanceCount": 1},
        {"InstanceType": "a", "InstanceCount": 1},
    ]
    assert job_instances({"InstanceGroups": groups}) == {"a": 3, "b": 1}
    variants = [{"InstanceType": "a", "InitialInstanceCount": 2}, {"ServerlessConfig": {}}]
    assert variant_instances(variants) == {"a": 2}


@pytest.mark.parametrize(
    "quotas",
    [
        {"ml.m5.large": 1},
        {"ml.m5.large for endpoints": 1},
        {"ml.m5.large for endpoint usage": -1},
        {"ml.m5.large for endpoint usage": True},
        {"ml.m5.large for endpoint usage": "1"},
    ],
)
def test_fails_when_a_quota_is_no_quota(quotas: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="quotas must be names such as"):
        LocalAws(quotas=quotas)
