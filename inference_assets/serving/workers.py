"""The threads that run handler functions, and a watch over those that do not come back.

Nothing ends a thread that a script keeps busy for ever, or that waits for ever in C code: it is lost, and so
is what it holds of the memory and the GPU. Only a new process helps.
"""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable

#: How much longer than its limit a call may take: a late one is cheaper to await than a new process.
GRACE_SECONDS = 5.0
_WATCH_SECONDS = 1.0

logger = logging.getLogger(__name__)


class Workers:
    """Threads that call functions for an event loop.

    Parameters
    ----------
    threads
        How many calls run at once.
    limit
        Seconds that a call may take. One that takes longer by more than `GRACE_SECONDS` is stuck.

    Attributes
    ----------
    fault
        Why no call can succeed any more, see `condemn`, or None.
    """

    def __init__(self, threads: int, limit: float) -> None:
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads)
        self._longest = limit + GRACE_SECONDS
        # The thread of each call, and when it began.
        self._started: dict[object, tuple[int, float]] = {}
        self._condemned: float | None = None
        self.fault: str | None = None

    async def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function in the next free thread and return what it returns."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._call, function, arguments)

    def _call(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        call = object()
        self._started[call] = (threading.get_ident(), time.monotonic())
        try:
            return function(*arguments)
        finally:
            del self._started[call]

    @property
    def stuck(self) -> int:
        """How many threads are stuck."""
        now = time.monotonic()
        return sum(now - started > self._longest for _, started in list(self._started.values()))

    def condemn(self, fault: str) -> None:
        """Have this process replaced once its calls are over, for none can succeed any more.

        Parameters
        ----------
        fault
            Why, for `fault` and the log.
        """
        if self.fault is None:
            self.fault, self._condemned = fault, time.monotonic()

    def where(self) -> str:
        """Say where each call is, as a traceback of its thread."""
        frames = sys._current_frames()
        running = [frames[thread] for thread, _ in list(self._started.values()) if thread in frames]
        return "\n".join("".join(traceback.format_stack(frame)) for frame in running)

    def watch(self, replace: Callable[[], object]) -> None:
        """From now on replace this process once all threads are stuck, or it is condemned.

        Parameters
        ----------
        replace
            Called from a thread of its own then; does not return. Where C code keeps Python from running in
            any thread, the process ends without it.
        """
        threading.Thread(target=self._watch, args=(replace,), name="watch", daemon=True).start()

    def _watch(self, replace: Callable[[], object]) -> None:
        while True:
            # This alarm needs no Python to go off, and is set anew each time round.
            faulthandler.dump_traceback_later(self._longest, exit=True)
            time.sleep(_WATCH_SECONDS)
            if self._condemned is not None and self._is_over(self._condemned):
                logger.error("%s: this process is replaced", self.fault)
                replace()
            if self.stuck == self._threads:
                logger.error("no thread came back after %g s: this process is replaced", self._longest)
                faulthandler.dump_traceback()
                replace()

    def _is_over(self, condemned: float) -> bool:
        """Whether the calls of a process that is condemned are over, and their answers on the way."""
        waited = time.monotonic() - condemned
        return waited > GRACE_SECONDS or (waited > _WATCH_SECONDS and not self._started)
