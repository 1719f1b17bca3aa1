from typing import Any

import pytest

from cdk_sagemaker_pytorch.local.training.warm_pools import WarmPool, reuse_warm_pool


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def request(keep_alive: int | None = 60, **changes: Any) -> dict[str, Any]:
    resources = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 30}
    if keep_alive is not None:
        resources["KeepAlivePeriodInSeconds"] = keep_alive
    return {"RoleArn": "arn:1", "ResourceConfig": resources | changes.pop("resources", {})} | changes


@pytest.fixture
def kept(clock: Clock) -> WarmPool:
    """The pool of a job that has completed."""
    pool = WarmPool(request(), clock)
    assert pool.describe() == {"Status": "InUse", "ResourceRetainedBillableTimeInSeconds": 0}
    pool.keep("Completed", None, launched=True)
    return pool


@pytest.mark.parametrize("keep_alive", [None, 0])
def test_a_job_that_keeps_nothing_has_no_pool(clock: Clock, keep_alive: int | None) -> None:
    pool = WarmPool(request(keep_alive), clock)
    pool.keep("Completed", None, launched=True)
    assert pool.describe() is None
    with pytest.raises(ValueError, match="not there"):
        pool.update(60)


def test_instances_are_kept_for_their_time(kept: WarmPool, clock: Clock) -> None:
    clock.seconds += 59
    assert kept.describe() == {"Status": "Available", "ResourceRetainedBillableTimeInSeconds": 59}
    clock.seconds += 100
    assert kept.describe() == {"Status": "Terminated", "ResourceRetainedBillableTimeInSeconds": 60}


def test_they_move_from_job_to_job(kept: WarmPool, clock: Clock) -> None:
    clock.seconds += 10
    second = WarmPool(request(), clock)
    reuse_warm_pool("second", second, [kept])
    clock.seconds += 10
    assert kept.describe() == {
        "Status": "Reused",
        "ResourceRetainedBillableTimeInSeconds": 10,
        "ReusedByJob": "second",
    }
    assert second.describe() == {"Status": "InUse", "ResourceRetainedBillableTimeInSeconds": 0}
    second.keep("Completed", None, launched=True)
    third = WarmPool(request(keep_alive=None), clock)
    reuse_warm_pool("third", third, [kept, second])
    assert (second.describe() or {})["ReusedByJob"] == "third"
    third.keep("Completed", None, launched=True)
    assert (third.describe() or {})["Status"] == "Terminated"


@pytest.mark.parametrize(
    "changes",
    [
        {"RoleArn": "arn:2"},
        {"EnableNetworkIsolation": True},
        {"EnableInterContainerTrafficEncryption": True},
        {"VpcConfig": {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]}},
        {"resources": {"InstanceType": "ml.m5.xlarge"}},
        {"resources": {"InstanceCount": 2}},
        {"resources": {"VolumeSizeInGB": 31}},
        {"resources": {"VolumeKmsKeyId": "key"}},
    ],
)
def test_another_job_gets_other_instances(kept: WarmPool, clock: Clock, changes: dict[str, Any]) -> None:
    reuse_warm_pool("other", WarmPool(request(**changes), clock), [kept])
    assert kept.is_available


def test_what_does_not_matter_may_differ(kept: WarmPool, clock: Clock) -> None:
    other = request(keep_alive=7, HyperParameters={"a": "1"}, EnableNetworkIsolation=False)
    reuse_warm_pool("other", WarmPool(other, clock), [kept])
    assert not kept.is_available


@pytest.mark.parametrize(
    ("status", "reason", "launched", "expected"),
    [
        ("Stopped", None, True, "Available"),
        ("Stopped", None, False, "Terminated"),
        ("Failed", "AlgorithmError: ValueError: no", True, "Available"),
        ("Failed", "ClientError: no data", True, "Available"),
        ("Failed", "InternalServerError: disk", True, "Terminated"),
    ],
)
def test_what_is_kept_after_a_job_that_did_not_complete(
    clock: Clock, status: str, reason: str | None, launched: bool, expected: str
) -> None:
    pool = WarmPool(request(), clock)
    pool.keep(status, reason, launched=launched)
    assert (pool.describe() or {})["Status"] == expected


def test_the_time_can_be_changed(kept: WarmPool, clock: Clock) -> None:
    kept.update(120)
    clock.seconds += 100
    assert kept.is_available
    kept.update(0)
    assert kept.describe() == {"Status": "Terminated", "ResourceRetainedBillableTimeInSeconds": 100}
    with pytest.raises(ValueError, match="Terminated"):
        kept.update(60)
