"""SIGTERM: what a container gets two minutes before its spot instance goes, or at the end of ``max_run``."""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType, TracebackType

import torch
from process_group import Process, summed

# The processes ask each other about this often; a container has 120 seconds from SIGTERM to SIGKILL.
SECONDS_BETWEEN = 2.0
MOST_STEPS_BETWEEN = 200


class Interrupted(Exception):  # noqa: N818  # nothing went wrong
    """The job is to end now, and has saved where it was."""


class Interruption:
    """Notes SIGTERM instead of ending at once, so that a step is never cut in two.

    Parameters
    ----------
    process
        This process: all of them end after the same step, whichever got the signal.
    """

    def __init__(self, process: Process) -> None:
        self._process = process
        self._is_noted = False
        self._steps = self._steps_between = 1
        self._asked = time.monotonic()

    def __enter__(self) -> Interruption:
        # Only the main thread may, and only it gets signals.
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGTERM, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._before)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._is_noted = True

    def is_agreed(self) -> bool:
        """Ask, after each step, whether to end here: the answer is the same in all processes."""
        if self._process.world_size == 1:
            return self._is_noted
        self._steps -= 1
        if self._steps > 0:
            return False
        passed = time.monotonic() - self._asked
        wanted = min(MOST_STEPS_BETWEEN, int(self._steps_between * SECONDS_BETWEEN / max(passed, 1e-6)))
        # The clocks differ: the first process says when to ask again.
        answer = torch.tensor(
            [int(self._is_noted), max(1, wanted) if self._process.rank == 0 else 0],
            device=self._process.device,
        )
        noted, self._steps_between = summed(answer, self._process).tolist()
        self._steps = self._steps_between
        self._asked = time.monotonic()
        return bool(noted)
