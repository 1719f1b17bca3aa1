"""Metrics that are read from the log of a training job."""

import datetime as dt
import math
import re
from typing import Any

from cdk_sagemaker_pytorch.local.base.json_number import json_number
from cdk_sagemaker_pytorch.local.base.metric_points import send_metric

_NAMESPACE = "/aws/sagemaker/TrainingJobs"


class MetricReader:
    """Finds metrics in the log with the regular expressions of MetricDefinitions.

    They go to CloudWatch as well, unless they are no finite numbers: it takes none.

    Parameters
    ----------
    job_name
        The job, by which CloudWatch keeps the metrics apart.
    definitions
        As CreateTrainingJob has them.
    """

    def __init__(self, job_name: str, definitions: list[dict[str, str]]) -> None:
        self._dimensions = {"TrainingJobName": job_name}
        self._patterns = [(item["Name"], re.compile(item["Regex"])) for item in definitions]
        self._last: dict[str, dict[str, Any]] = {}

    def read(self, line: str) -> None:
        """Look for metrics in one line."""
        for name, pattern in self._patterns:
            if (match := pattern.search(line)) and match.groups():
                try:
                    value = float(match[1])
                except (TypeError, ValueError):
                    continue
                self._last[name] = {
                    "MetricName": name,
                    "Value": json_number(value),
                    "Timestamp": dt.datetime.now(dt.UTC),
                }
                if math.isfinite(value):
                    send_metric(_NAMESPACE, name, value, self._dimensions)

    def final(self) -> list[dict[str, Any]]:
        """Return the last value of each metric, as FinalMetricDataList has them."""
        return list(self._last.values())
