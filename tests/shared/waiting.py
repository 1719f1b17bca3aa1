"""How tests wait for what must come.

Tests of the assets do so on every Python that a container has, 3.8 among them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

# A limit against hangs, below pytest's own: how long a thing takes says nothing where cores are shared.
HANG_SECONDS = 600
# What is soon there is soon seen; looking costs what is looked at its processor, too.
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.01, 0.25


def wait_for(look: Callable[[], Any]) -> Any:
    """Call a function until what it returns is true, and return that."""
    deadline = time.monotonic() + HANG_SECONDS
    pause = _FIRST_PAUSE_SECONDS
    while not (result := look()):
        assert time.monotonic() < deadline, f"not true after {HANG_SECONDS} seconds: {look}"
        time.sleep(pause)
        pause = min(1.5 * pause, _LONGEST_PAUSE_SECONDS)
    return result


def end_of_execution(states: Any, arn: str) -> dict[str, Any]:
    """Wait until an execution of a state machine has ended, and describe it; `states` is the client."""

    def ended() -> dict[str, Any] | None:
        execution: dict[str, Any] = states.describe_execution(executionArn=arn)
        return execution if execution["status"] != "RUNNING" else None

    return dict(wait_for(ended))
