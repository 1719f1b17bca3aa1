"""Metrics of endpoints, as CloudWatch has them: namespace AWS/SageMaker, by endpoint and variant."""

import datetime as dt
import logging
import threading
import time
from collections import deque
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from cdk_sagemaker_pytorch.local.base.server_state import client

_NAMESPACE = "AWS/SageMaker"
_PAUSE_SECONDS = 1.0
_MOST_IN_A_CALL = 1000  # of PutMetricData

_logger = logging.getLogger(__name__)
_pending: deque[dict[str, Any]] = deque(maxlen=100_000)
_sender_lock = threading.Lock()
_sender: threading.Thread | None = None
_wake = threading.Event()


def record_invocation(endpoint: str, variant: str, status: int, seconds: float) -> None:
    """Note an invocation; its data points are in CloudWatch within a moment.

    Parameters
    ----------
    endpoint, variant
        What answered.
    status
        HTTP status of the container's answer, 0 where it gave none in time.
    seconds
        How long the container took.
    """
    now = dt.datetime.now(dt.UTC)
    dimensions = [{"Name": "EndpointName", "Value": endpoint}, {"Name": "VariantName", "Value": variant}]
    values = {
        "Invocations": (1.0, "None"),
        "Invocation4XXErrors": (float(400 <= status < 500), "None"),
        "Invocation5XXErrors": (float(status == 0 or status >= 500), "None"),
        "InvocationModelErrors": (float(status == 0 or status >= 400), "None"),
        "ModelLatency": (seconds * 1e6, "Microseconds"),
    }
    _pending.extend(
        {"MetricName": name, "Dimensions": dimensions, "Timestamp": now, "Value": value, "Unit": unit}
        for name, (value, unit) in values.items()
    )
    _start_sender()
    _wake.set()


def _start_sender() -> None:
    global _sender
    with _sender_lock:
        if _sender is None:
            _sender = threading.Thread(target=_send_forever, name="endpoint-metrics", daemon=True)
            _sender.start()


def _send_forever() -> None:
    while True:
        _wake.wait()
        _wake.clear()
        points: list[dict[str, Any]] = []
        while _pending and len(points) < _MOST_IN_A_CALL:
            points.append(_pending.popleft())
        try:
            if points:
                client("cloudwatch").put_metric_data(Namespace=_NAMESPACE, MetricData=points)
        except (ClientError, BotoCoreError):
            _logger.exception("metrics of endpoints are lost")
        if _pending:
            _wake.set()
        time.sleep(_PAUSE_SECONDS)  # invocations of a moment go together
