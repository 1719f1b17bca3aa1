"""Rules of EventBridge with a schedule: a thread of the server sends their events when they are due."""

import datetime as dt
import logging
import threading
import time
from typing import Any

from .bus import default_rules, new_event, send
from .schedule_expressions import ScheduleError, next_time

_POLL_SECONDS = 0.5

_logger = logging.getLogger(__name__)


class Schedules:
    """Knows when the rules with a schedule are due; a rule begins to count when it is first seen."""

    def __init__(self) -> None:
        self._due: dict[tuple[str, str], dt.datetime | None] = {}

    def due_rules(self, rules: list[Any], now: dt.datetime) -> list[Any]:
        """Return the rules that are due, each once however late it is.

        Parameters
        ----------
        rules
            The rules that are enabled: one that is not among them begins anew when it is again.
        now
            The time.
        """
        scheduled = {
            (rule.arn, rule.scheduled_expression): rule for rule in rules if rule.scheduled_expression
        }
        self._due = {key: due for key, due in self._due.items() if key in scheduled}
        for key in scheduled:
            if key not in self._due:
                self._due[key] = self._next(key, now)
        found = []
        for key, due in self._due.items():
            if due is not None and due <= now:
                found.append(scheduled[key])
                self._due[key] = self._next(key, now)
        return found

    @staticmethod
    def _next(key: tuple[str, str], now: dt.datetime) -> dt.datetime | None:
        try:
            return next_time(key[1], now)
        except ScheduleError as error:
            _logger.warning("%s never fires: %s", key[0], error)
            return None


def start() -> None:
    """Begin to send events of schedules; the thread ends with the process."""
    threading.Thread(target=_run, name="schedules", daemon=True).start()


def _run() -> None:
    schedules = Schedules()
    while True:
        try:
            for rule in schedules.due_rules(default_rules(), dt.datetime.now(dt.UTC)):
                send(rule, new_event("aws.events", "Scheduled Event", [rule.arn], {}))
        except Exception:
            _logger.exception("schedules")
        time.sleep(_POLL_SECONDS)
