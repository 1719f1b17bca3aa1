"""Data points on their way to CloudWatch of the local AWS."""

import datetime as dt
import logging
import threading
import time
from collections import deque
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from .server_state import client

_PAUSE_SECONDS = 1.0
_MOST_IN_A_CALL = 1000  # of PutMetricData

_logger = logging.getLogger(__name__)
_pending: deque[tuple[str, dict[str, Any]]] = deque(maxlen=100_000)
_lock = threading.Lock()
_sender: threading.Thread | None = None
_wake = threading.Event()


def send_metric(
    namespace: str, name: str, value: float, dimensions: Mapping[str, str], unit: str = "None"
) -> None:
    """Send a data point; it is in CloudWatch within a moment.

    Parameters
    ----------
    namespace, name
        The metric.
    value
        A finite number: CloudWatch takes no others.
    dimensions
        Values by name.
    unit
        As CloudWatch has it. Defaults to none.
    """
    point = {
        "MetricName": name,
        "Dimensions": [{"Name": key, "Value": text} for key, text in dimensions.items()],
        "Timestamp": dt.datetime.now(dt.UTC),
        "Value": value,
        "Unit": unit,
    }
    _pending.append((namespace, point))
    _start_sender()
    _wake.set()


def _start_sender() -> None:
    global _sender
    with _lock:
        if _sender is None:
            _sender = threading.Thread(target=_send_forever, name="metrics", daemon=True)
            _sender.start()


def _send_forever() -> None:
    while True:
        _wake.wait()
        _wake.clear()
        points: dict[str, list[dict[str, Any]]] = {}
        for _ in range(min(len(_pending), _MOST_IN_A_CALL)):
            namespace, point = _pending.popleft()
            points.setdefault(namespace, []).append(point)
        for namespace, data in points.items():
            try:
                client("cloudwatch").put_metric_data(Namespace=namespace, MetricData=data)
            except (ClientError, BotoCoreError):
                _logger.exception("metrics of %s are lost", namespace)
        if _pending:
            _wake.set()
        time.sleep(_PAUSE_SECONDS)  # points of a moment go together
