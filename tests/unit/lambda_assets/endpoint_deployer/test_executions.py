"""Executions as Step Functions knows them; in moto, so that its errors are not our own."""

from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from .fakes import MACHINE, api_error, execution


@pytest.fixture
def states(aws: None) -> Any:
    return boto3.client("stepfunctions")


@pytest.fixture
def machine(states: Any) -> str:
    arn: str = states.create_state_machine(
        name="Deployments",
        definition='{"StartAt": "End", "States": {"End": {"Type": "Succeed"}}}',
        roleArn="arn:aws:iam::123456789012:role/any",
    )["stateMachineArn"]
    return arn


@pytest.fixture
def executions(states: Any, code: SimpleNamespace) -> Any:
    return code.executions.Executions(states)


def start(states: Any, machine: str, name: str) -> str:
    arn: str = states.start_execution(stateMachineArn=machine, name=name)["executionArn"]
    return arn


def test_an_execution_runs_until_it_is_stopped(states: Any, machine: str, executions: Any) -> None:
    arn = start(states, machine, "run-1")
    assert executions.is_running(arn)
    executions.stop(arn, "the endpoint leaves its stack")
    assert not executions.is_running(arn)


@pytest.mark.parametrize(
    ("status", "running"),
    [
        ("RUNNING", True),
        ("PENDING_REDRIVE", True),
        ("SUCCEEDED", False),
        ("FAILED", False),
        ("TIMED_OUT", False),
        ("ABORTED", False),
    ],
)
def test_an_execution_that_waits_for_its_redrive_runs(
    code: SimpleNamespace, status: str, running: bool
) -> None:
    states = SimpleNamespace(describe_execution=lambda executionArn: {"status": status})  # noqa: N803
    assert code.executions.Executions(states).is_running("arn") is running


def test_all_running_executions_are_listed(states: Any, machine: str, executions: Any) -> None:
    started = [start(states, machine, f"run-{number}") for number in range(3)]
    executions.stop(started[0], "no")
    assert sorted(executions.running(machine)) == started[1:]


def test_what_is_gone_with_its_state_machine_runs_no_more(executions: Any) -> None:
    assert not executions.is_running(execution(1))
    executions.stop(execution(1), "no")
    assert executions.running(MACHINE) == []


@pytest.mark.parametrize(
    ("call", "use"),
    [
        ("describe_execution", lambda executions: executions.is_running("arn")),
        ("stop_execution", lambda executions: executions.stop("arn", "no")),
        ("get_paginator", lambda executions: executions.running("arn")),
    ],
)
def test_fails_when_step_functions_refuses(code: SimpleNamespace, call: str, use: Any) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise api_error("AccessDeniedException")

    with pytest.raises(ClientError, match="AccessDenied"):
        use(code.executions.Executions(SimpleNamespace(**{call: refuse})))
