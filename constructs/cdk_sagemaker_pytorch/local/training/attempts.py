"""The time of a training job that may be interrupted: how long it has trained, and how long it may."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_DEFAULT_MAX_RUNTIME_S = 86_400.0


@dataclass(frozen=True)
class Interruption:
    """What a reclaimed spot instance means for a job.

    Parameters
    ----------
    grace_seconds
        Between the notice (SIGTERM) and the end (SIGKILL).
    capacity_after_seconds
        How long it then takes until there are instances again.
    """

    grace_seconds: float
    capacity_after_seconds: float


@dataclass
class Attempts:
    """The attempts of a job to train; it is interrupted between them.

    Parameters
    ----------
    max_runtime_seconds
        For all attempts together.
    max_wait_seconds
        For all attempts and the waiting; None for a job that is not interrupted.
    """

    max_runtime_seconds: float
    max_wait_seconds: float | None
    _created: float = field(default_factory=time.monotonic)
    _attempt: float | None = None
    _trained: float = 0.0

    @classmethod
    def of(cls, request: Mapping[str, Any]) -> "Attempts":
        """Read the limits of a CreateTrainingJob request."""
        condition = request.get("StoppingCondition") or {}
        wait = condition.get("MaxWaitTimeInSeconds") if is_spot(request) else None
        runtime = float(condition.get("MaxRuntimeInSeconds", _DEFAULT_MAX_RUNTIME_S))
        return cls(runtime, None if wait is None else float(wait))

    def begin(self) -> None:
        """Note that the script starts."""
        self._attempt = time.monotonic()

    def end(self) -> None:
        """Note that it has ended."""
        self._trained = self.trained_seconds
        self._attempt = None

    @property
    def trained_seconds(self) -> float:
        """Time of all attempts, without the waiting between them: what is billed."""
        now = time.monotonic()
        return self._trained + (0.0 if self._attempt is None else now - self._attempt)

    @property
    def runtime_left(self) -> float:
        """How long the script may still run."""
        return max(0.001, self.max_runtime_seconds - self.trained_seconds)

    @property
    def wait_left(self) -> float | None:
        """How long the job may still take; None: as long as it wants."""
        if self.max_wait_seconds is None:
            return None
        return max(0.0, self.max_wait_seconds - (time.monotonic() - self._created))


def is_spot(request: Mapping[str, Any]) -> bool:
    """Whether a job trains on spot instances."""
    return bool(request.get("EnableManagedSpotTraining"))
