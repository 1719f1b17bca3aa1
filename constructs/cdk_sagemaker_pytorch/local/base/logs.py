"""Logs of what runs on the local AWS: a file for the eye, and CloudWatch Logs for programs."""

import logging
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from botocore.exceptions import BotoCoreError, ClientError

from .server_state import client, settings

_FLUSH_SECONDS = 0.2

_logger = logging.getLogger(__name__)


class LogStream:
    """A log stream in CloudWatch Logs of the local AWS; lines arrive there within a moment.

    Parameters
    ----------
    group, stream
        Names in CloudWatch Logs; both are created when they are missing.
    file
        Where the lines also go, one per line; None when something else writes the file.
    """

    def __init__(self, group: str, stream: str, *, file: Path | None = None) -> None:
        self.group = group
        self.stream = stream
        self._file = None
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            self._file = file.open("a", encoding="utf-8", buffering=1)
        self._events: list[dict[str, str | int]] = []
        self._newest = 0  # of the timestamps: they never go back, though the clock may
        self._lock = threading.Lock()
        self._sending = threading.Lock()  # lines keep their order, and a flush waits for those on their way
        self._closed = threading.Event()
        self._create()
        self._flusher = threading.Thread(target=self._flush_until_closed, daemon=True)
        self._flusher.start()

    @property
    def arn(self) -> str:
        """ARN of the stream."""
        place = f"{settings().region}:{settings().account}"
        return f"arn:aws:logs:{place}:log-group:{self.group}:log-stream:{self.stream}"

    def write(self, line: str) -> None:
        """Add one line."""
        with self._lock:
            self._newest = max(self._newest, time.time_ns() // 1_000_000)
            # CloudWatch Logs refuses empty messages, and lines that are not in the order of their times.
            self._events.append({"timestamp": self._newest, "message": line or " "})
            if self._file is not None and not self._file.closed:
                self._file.write(line + "\n")

    def flush(self) -> None:
        """Send what was written, for a reader who comes now."""
        with self._sending:
            with self._lock:
                events, self._events = self._events, []
            self._send(events)

    def close(self) -> None:
        """Send what is left and close the file."""
        self._closed.set()
        self._flusher.join()
        self.flush()
        if self._file is not None:
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _create(self) -> None:
        logs = client("logs")
        for create, names in (
            (logs.create_log_group, {"logGroupName": self.group}),
            (logs.create_log_stream, {"logGroupName": self.group, "logStreamName": self.stream}),
        ):
            try:
                create(**names)
            except ClientError as error:
                if error.response["Error"]["Code"] != "ResourceAlreadyExistsException":
                    raise

    def _flush_until_closed(self) -> None:
        while not self._closed.wait(_FLUSH_SECONDS):
            self.flush()

    def _send(self, events: list[dict[str, str | int]]) -> None:
        for start in range(0, len(events), 10_000):  # the limit of PutLogEvents
            try:
                client("logs").put_log_events(
                    logGroupName=self.group,
                    logStreamName=self.stream,
                    logEvents=events[start : start + 10_000],
                )
            except (ClientError, BotoCoreError) as error:
                # A log that was deleted, or cannot be written, must not end what is being logged.
                if getattr(error, "response", {}).get("Error", {}).get("Code") != "ResourceNotFoundException":
                    _logger.warning("lines of %s, stream %s, are lost: %s", self.group, self.stream, error)
