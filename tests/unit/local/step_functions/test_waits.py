import datetime as dt
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import FailureEventException
from moto.stepfunctions.parser.asl.component.common.retry.jitter_strategy_decl import JitterStrategyDecl
from moto.stepfunctions.parser.asl.component.state.wait.wait_function.seconds import Seconds
from moto.stepfunctions.parser.asl.component.state.wait.wait_function.timestamp import Timestamp

from cdk_sagemaker_pytorch.local.base import server_state
from cdk_sagemaker_pytorch.local.base.server_state import Credentials, ServerSettings
from cdk_sagemaker_pytorch.local.step_functions import waits


class Program:
    """Runs for a number of looks; notes what is waited for."""

    def __init__(self, looks: int) -> None:
        self.looks = looks
        self.waited: list[float] = []
        self.program_state_event = SimpleNamespace(wait=self.waited.append)

    def is_running(self) -> bool:
        self.looks -= 1
        return self.looks >= 0


@pytest.fixture(autouse=True)
def never_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = ServerSettings("", "", "", Path(), True, Credentials("", ""), wait_factor=0)
    monkeypatch.setattr(server_state, "_settings", settings)


@pytest.fixture
def in_tokyo() -> Iterator[None]:
    before = os.environ.get("TZ")
    os.environ["TZ"] = "Asia/Tokyo"
    time.tzset()
    yield
    os.environ.pop("TZ")
    if before is not None:
        os.environ["TZ"] = before
    time.tzset()


def test_seconds_are_shortened() -> None:
    program: Any = Program(looks=2)
    waits._wait(Seconds(10**6), program, 10**6)
    assert program.waited == []


def test_a_pause_before_a_retry_is_shortened() -> None:
    program: Any = Program(looks=2)
    program.stack = [10**6]
    waits._pause_before_retry(lambda jitter, env: None, JitterStrategyDecl(), program)
    assert (program.waited, program.stack) == ([], [0])


def test_an_execution_that_ends_pauses_no_longer_before_a_retry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_state, "_settings", replace(server_state.settings(), wait_factor=1.0))
    program: Any = Program(looks=2)
    program.stack = [10**6]
    waits._pause_before_retry(lambda jitter, env: None, JitterStrategyDecl(), program)
    assert (len(program.waited), program.stack) == (2, [0])


def test_an_instant_is_not_shortened_and_an_execution_that_ends_waits_no_longer() -> None:
    program: Any = Program(looks=2)
    waits._wait(object.__new__(Timestamp), program, 10**6)
    assert len(program.waited) == 2


@pytest.mark.parametrize("offset", [0, 2])
def test_an_instant_is_the_same_everywhere(in_tokyo: None, offset: int) -> None:
    zone = dt.timezone(dt.timedelta(hours=offset))
    instant = dt.datetime.now(zone) + dt.timedelta(hours=1)
    seconds = waits._seconds_until(wait_for(), environment(instant.isoformat()))
    assert seconds == pytest.approx(3600, abs=60)


@pytest.mark.parametrize("text", ["soon", "2026-01-01T00:00:00", 7])
def test_what_is_no_instant_fails(text: Any) -> None:
    with pytest.raises(FailureEventException):
        waits._seconds_until(wait_for(), environment(text))


def wait_for() -> Any:
    failure = SimpleNamespace(event_details=None, error_name=None)
    return SimpleNamespace(
        string=SimpleNamespace(eval=lambda env: None), _create_failure_event=lambda env, text: failure
    )


def environment(text: Any) -> Any:
    return SimpleNamespace(stack=[text], event=threading.Event())
