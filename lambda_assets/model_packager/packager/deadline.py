"""The moment at which packaging must have stopped."""

import time
from typing import Any, Final, Self

from .errors import DeadlineError

_MARGIN_S: Final = 20.0
_MARGIN_SHARE: Final = 0.1


class Deadline:
    """A point in time after which work is given up.

    Parameters
    ----------
    seconds : float or None
        Time from now, in seconds. None: there is no deadline.
    """

    def __init__(self, seconds: float | None = None) -> None:
        self._end = None if seconds is None else time.monotonic() + seconds

    @classmethod
    def of_lambda(cls, context: Any) -> Self:
        """Return the deadline of a Lambda invocation.

        A margin of 20 seconds, or a tenth of the time left if that is less, is kept for aborting the upload
        and for answering. A context without `get_remaining_time_in_millis` has no deadline.
        """
        if not hasattr(context, "get_remaining_time_in_millis"):
            return cls(None)
        left = context.get_remaining_time_in_millis() / 1000
        return cls(left - min(_MARGIN_S, left * _MARGIN_SHARE))

    def remaining(self) -> float | None:
        """Return the seconds left, never below 0; None without a deadline."""
        return None if self._end is None else max(0.0, self._end - time.monotonic())

    def check(self, progress: str) -> None:
        """Raise once the deadline has passed.

        Parameters
        ----------
        progress : str
            What has been done so far, for the error's text.

        Raises
        ------
        DeadlineError
            When no time is left.
        """
        if self._end is not None and time.monotonic() >= self._end:
            raise DeadlineError(
                f"ran out of time {progress}; nothing was written: give the function a longer timeout or "
                "more memory, which brings CPU and network (ModelPackager(timeout=..., memory_size=...)), "
                "or run packaging as a processing job"
            )
