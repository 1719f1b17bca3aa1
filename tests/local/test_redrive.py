import json
from collections.abc import Callable
from typing import Any

import pytest

from cdk_sagemaker_pytorch.local import LocalAws
from waiting import end_of_execution, wait_for

pytestmark = pytest.mark.local


def states(name: str) -> dict[str, Any]:
    """Return a machine that counts its way in a variable, and needs a model that is not there."""
    describe = "arn:aws:states:::aws-sdk:sagemaker:describeModel"
    return {
        "First": {
            "Type": "Pass",
            "Assign": {"way": ["first"]},
            "Output": {"from": "first", "given": "{% $states.input.given %}"},
            "Next": "Describe",
        },
        "Describe": {
            "Type": "Task",
            "Resource": describe,
            "Arguments": {"ModelName": name},
            "Assign": {"way": "{% $append($way, 'second') %}"},
            "Output": {
                "model": "{% $states.result.ModelName %}",
                "input": "{% $states.input %}",
                "count": "{% $states.context.Execution.RedriveCount %}",
            },
            "Next": "Last",
        },
        "Last": {"Type": "Pass", "Output": {"way": "{% $way %}", "was": "{% $states.input %}"}, "End": True},
    }


@pytest.fixture
def redrive(aws: LocalAws) -> Callable[[str], dict[str, Any]]:
    """Redrive an execution, and return it when it has ended."""

    def run(arn: str) -> dict[str, Any]:
        machines = aws.client("stepfunctions")
        assert machines.redrive_execution(executionArn=arn)["redriveDate"]
        return end_of_execution(machines, arn)

    return run


ALLOWED = {"Effect": "Allow", "Action": "sagemaker:*", "Resource": "*"}


def test_an_execution_goes_on_where_it_failed(
    aws: LocalAws,
    execute: Callable[..., Any],
    redrive: Callable[[str], dict[str, Any]],
    name: str,
    sagemaker_role: str,
    inference_image: str,
) -> None:
    failed = execute(states(name), ALLOWED, execution_input={"given": 1})
    assert (failed["status"], failed["redriveCount"], failed["redriveStatus"]) == ("FAILED", 0, "REDRIVABLE")
    arn = failed["executionArn"]
    again = redrive(arn)
    assert (again["status"], again["redriveCount"], again["error"]) == ("FAILED", 1, failed["error"])
    aws.client("sagemaker").create_model(
        ModelName=name, ExecutionRoleArn=sagemaker_role, PrimaryContainer={"Image": inference_image}
    )
    done = redrive(arn)
    assert (done["status"], done["redriveCount"]) == ("SUCCEEDED", 2)
    assert "error" not in done
    assert (done["startDate"], done["input"]) == (failed["startDate"], failed["input"])
    assert failed["stopDate"] <= done["redriveDate"] <= done["stopDate"]
    assert json.loads(done["output"]) == {
        "way": ["first", "second"],
        "was": {"model": name, "input": {"from": "first", "given": 1}, "count": 2},
    }
    machines = aws.client("stepfunctions")
    events = machines.get_execution_history(executionArn=arn)["events"]
    entered = [event["stateEnteredEventDetails"]["name"] for event in events if "Entered" in event["type"]]
    assert entered == ["First", "Describe", "Describe", "Describe", "Last"]
    redriven = [event for event in events if event["type"] == "ExecutionRedriven"]
    assert [event["executionRedrivenEventDetails"]["redriveCount"] for event in redriven] == [1, 2]
    with pytest.raises(machines.exceptions.ExecutionNotRedrivable, match="Execution is SUCCEEDED"):
        machines.redrive_execution(executionArn=arn)


def test_an_execution_goes_on_where_it_was_stopped(
    aws: LocalAws, execute: Callable[..., Any], name: str
) -> None:
    machines = aws.client("stepfunctions")
    wait = {
        "Start": {"Type": "Pass", "Output": {"n": 1}, "Next": "Wait"},
        "Wait": {"Type": "Wait", "Seconds": "{% $states.context.Execution.RedriveCount = 0 ? 600 : 1 %}"}
        | {"Output": {"seen": "{% $states.input.n %}"}, "End": True},
    }
    arn = execute(wait, wait=False)["executionArn"]
    with pytest.raises(machines.exceptions.ExecutionNotRedrivable, match="Execution is RUNNING"):
        machines.redrive_execution(executionArn=arn)
    history = lambda: machines.get_execution_history(executionArn=arn)["events"]  # noqa: E731
    wait_for(lambda: any(event["type"] == "WaitStateEntered" for event in history()))
    machines.stop_execution(executionArn=arn)
    machines.redrive_execution(executionArn=arn)
    execution = end_of_execution(machines, arn)
    assert (execution["status"], json.loads(execution["output"])) == ("SUCCEEDED", {"seen": 1})


def test_fails_when_there_is_nothing_to_redrive(
    aws: LocalAws, execute: Callable[..., Any], name: str
) -> None:
    machines = aws.client("stepfunctions")
    with pytest.raises(machines.exceptions.ExecutionDoesNotExist):
        machines.redrive_execution(executionArn=f"arn:aws:states:us-east-1:123456789012:execution:{name}:x")
    failed = execute({"Fail": {"Type": "Fail"}})
    machines.delete_state_machine(stateMachineArn=failed["stateMachineArn"])
    with pytest.raises(machines.exceptions.ExecutionNotRedrivable, match="is deleted"):
        machines.redrive_execution(executionArn=failed["executionArn"])
