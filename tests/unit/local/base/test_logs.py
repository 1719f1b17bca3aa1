from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from cdk_sagemaker_pytorch.local.base import logs
from cdk_sagemaker_pytorch.local.base.logs import LogStream
from waiting import wait_for


class CloudWatchLogs:
    """Takes lines, or fails the next calls as told."""

    def __init__(self) -> None:
        self.failures: list[Exception] = []
        self.events: list[dict[str, Any]] = []
        self.calls = 0

    def create_log_group(self, **_: str) -> None:
        pass

    create_log_stream = create_log_group

    def put_log_events(self, *, logEvents: list[dict[str, Any]], **_: str) -> None:  # noqa: N803 - boto3's
        self.calls += 1
        if self.failures:
            raise self.failures.pop(0)
        self.events += logEvents


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> CloudWatchLogs:
    service = CloudWatchLogs()
    monkeypatch.setattr(logs, "client", lambda _: service)
    return service


def test_times_of_lines_never_go_back(service: CloudWatchLogs, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([2_000_000, 1_000_000, 5_000_000])
    with LogStream("group", "stream") as stream, monkeypatch.context() as patch:
        patch.setattr(logs.time, "time_ns", lambda: next(clock))
        for line in ("first", "the clock was put back", ""):
            stream.write(line)
    assert [(event["timestamp"], event["message"]) for event in service.events] == [
        (2, "first"),
        (2, "the clock was put back"),
        (5, " "),
    ]


@pytest.mark.parametrize(
    "failure",
    [
        ClientError({"Error": {"Code": "ThrottlingException"}}, "PutLogEvents"),
        ClientError({"Error": {"Code": "ResourceNotFoundException"}}, "PutLogEvents"),
        EndpointConnectionError(endpoint_url="http://localhost"),
    ],
)
def test_lines_go_on_after_a_call_that_fails(service: CloudWatchLogs, failure: Exception) -> None:
    service.failures = [failure]
    with LogStream("group", "stream") as stream:
        stream.write("lost")
        wait_for(lambda: service.calls == 1)
        stream.write("kept")
        wait_for(lambda: [event["message"] for event in service.events] == ["kept"])
