"""Warm pools: the instances of a training job that are kept for the next one that wants the same.

The rules are those of the developer guide of SageMaker, "SageMaker AI Managed Warm Pools". Nothing starts
sooner here, where no instances are to be had; what is told is what a pipeline or a test can look at.
"""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

_MUST_MATCH = ("RoleArn", "EnableInterContainerTrafficEncryption", "EnableNetworkIsolation")
_VPC_MUST_MATCH = ("SecurityGroupIds", "Subnets")
_RESOURCES_MUST_MATCH = ("InstanceType", "InstanceCount", "VolumeSizeInGB", "VolumeKmsKeyId")
#: What the instances are still good for after.
_KEPT_AFTER = ("AlgorithmError", "ClientError")

_lock = threading.Lock()


class WarmPool:
    """The instances of one job, while it runs and after.

    Parameters
    ----------
    request
        The parameters of CreateTrainingJob.
    clock
        Returns seconds that only grow.
    """

    def __init__(self, request: Mapping[str, Any], clock: Callable[[], float] = time.monotonic) -> None:
        self._what = _what_must_match(request)
        self._clock = clock
        self._keep_alive: float = request["ResourceConfig"].get("KeepAlivePeriodInSeconds") or 0
        self._status: str | None = "InUse" if self._keep_alive else None
        self._begin = self._end = 0.0
        self._reused_by: str | None = None

    @property
    def is_available(self) -> bool:
        """Whether the instances wait for a job."""
        self._look_at_the_clock()
        return self._status == "Available"

    def describe(self) -> dict[str, Any] | None:
        """Return WarmPoolStatus of DescribeTrainingJob; None for a job without a warm pool."""
        self._look_at_the_clock()
        if self._status is None:
            return None
        end = self._clock() if self._status == "Available" else self._end
        description = {
            "Status": self._status,
            "ResourceRetainedBillableTimeInSeconds": int(end - self._begin),
        }
        return description | ({"ReusedByJob": self._reused_by} if self._reused_by else {})

    def keep(self, job_status: str, reason: str | None, *, launched: bool) -> None:
        """Keep the instances of a job that has ended, or give them up.

        Parameters
        ----------
        job_status
            How the job ended.
        reason
            Why it failed, if it did.
        launched
            Whether it had got its instances.
        """
        if self._status is None:
            return
        kept = launched and (job_status != "Failed" or str(reason).startswith(_KEPT_AFTER))
        self._status = "Available" if kept and self._keep_alive else "Terminated"
        self._begin = self._end = self._clock()

    def update(self, keep_alive_seconds: float) -> None:
        """Keep the instances for longer or shorter, from the end of the job on; 0 gives them up.

        Raises
        ------
        ValueError
            If no instances are kept, or in use.
        """
        self._look_at_the_clock()
        if self._status not in ("InUse", "Available"):
            raise ValueError(f"its warm pool is {self._status or 'not there'}")
        self._keep_alive = keep_alive_seconds
        if self._is_over:
            self._status, self._end = "Terminated", self._clock()

    def move_to(self, job: str) -> None:
        """Leave the instances to another job."""
        self._status, self._reused_by, self._end = "Reused", job, self._clock()

    def matches(self, other: "WarmPool") -> bool:
        """Whether another job wants the same instances."""
        return self._what == other._what

    def take(self) -> None:
        """Have the instances of a job before, which even a job is told that keeps none."""
        self._status = "InUse"

    @property
    def _is_over(self) -> bool:
        return self._status == "Available" and self._clock() >= self._begin + self._keep_alive

    def _look_at_the_clock(self) -> None:
        if self._is_over:
            self._status, self._end = "Terminated", self._begin + self._keep_alive


def reuse_warm_pool(job: str, pool: WarmPool, others: Iterable[WarmPool]) -> None:
    """Give a new job the first instances that are kept and match, if there are any."""
    with _lock:
        for other in others:
            if other.is_available and other.matches(pool):
                other.move_to(job)
                pool.take()
                return


def _what_must_match(request: Mapping[str, Any]) -> list[Any]:
    resources = request["ResourceConfig"]
    vpc = request.get("VpcConfig") or {}
    return [
        *(request.get(name) or None for name in _MUST_MATCH),
        *(sorted(vpc.get(name, [])) for name in _VPC_MUST_MATCH),
        *(resources.get(name) for name in _RESOURCES_MUST_MATCH),
    ]
