"""Metrics that are read from the log of a training job."""

import datetime as dt
import re
from typing import Any


class MetricReader:
    """Finds metrics in the log with the regular expressions of MetricDefinitions.

    Parameters
    ----------
    definitions
        As CreateTrainingJob has them.
    """

    def __init__(self, definitions: list[dict[str, str]]) -> None:
        self._patterns = [(item["Name"], re.compile(item["Regex"])) for item in definitions]
        self._last: dict[str, dict[str, Any]] = {}

    def read(self, line: str) -> None:
        """Look for metrics in one line."""
        for name, pattern in self._patterns:
            if (match := pattern.search(line)) and match.groups():
                try:
                    value = float(match[1])
                except ValueError:
                    continue
                self._last[name] = {
                    "MetricName": name,
                    "Value": value,
                    "Timestamp": dt.datetime.now(dt.UTC),
                }

    def final(self) -> list[dict[str, Any]]:
        """Return the last value of each metric, as FinalMetricDataList has them."""
        return list(self._last.values())
