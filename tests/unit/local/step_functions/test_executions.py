from types import SimpleNamespace
from typing import Any

import pytest
from moto.stepfunctions.parser.api import ExecutionStatus

from cdk_sagemaker_pytorch.local.step_functions import executions


@pytest.fixture
def execution(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(executions, "emit_status", lambda *_: None)
    return SimpleNamespace(exec_arn="arn", exec_status=ExecutionStatus.RUNNING)


def test_a_program_that_cannot_be_run_fails_its_execution(execution: Any) -> None:
    def program() -> None:
        raise ValueError("no such state")

    executions.run(execution, program)
    assert execution.exec_status == ExecutionStatus.FAILED
    assert (execution.error, execution.cause) == ("States.Runtime", "the local AWS: no such state")
    assert not executions.has_program(execution)


def test_a_program_ends_its_execution_itself(execution: Any) -> None:
    executions.run(execution, lambda: None)
    assert execution.exec_status == ExecutionStatus.RUNNING
