import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cdk_sagemaker_pytorch.local import LocalAws
from waiting import wait_for

pytestmark = pytest.mark.local

ARN = "arn:aws:states:us-east-1:123456789012"
WAIT = {"Type": "Wait", "Seconds": 600, "End": True}


@pytest.fixture
def machine(aws: LocalAws, name: str, create_role: Callable[..., str]) -> Callable[..., str]:
    """Create a state machine with these states, to be the child of another; return its ARN."""

    def create(states: dict[str, Any], *statements: dict[str, Any]) -> str:
        definition = {"QueryLanguage": "JSONata", "StartAt": next(iter(states)), "States": states}
        arn: str = aws.client("stepfunctions").create_state_machine(
            name=f"{name}-child",
            definition=json.dumps(definition),
            roleArn=create_role("states.amazonaws.com", *statements, suffix="-child"),
        )["stateMachineArn"]
        return arn

    return create


def call(child: str, condition: str = ".sync:2", **more: Any) -> dict[str, Any]:
    """Return a state that starts the child and ends the machine."""
    arguments = {"StateMachineArn": child, "Input": {"a": "{% $states.input.a %}"}} | more.pop(
        "Arguments", {}
    )
    resource = f"arn:aws:states:::states:startExecution{condition}"
    return {"Type": "Task", "Resource": resource, "Arguments": arguments, "End": True} | more


@pytest.fixture
def may_run(name: str) -> list[dict[str, Any]]:
    """What the CDK grants a parent that waits for its child."""
    return [
        {
            "Effect": "Allow",
            "Action": "states:StartExecution",
            "Resource": f"{ARN}:stateMachine:{name}-child",
        },
        {
            "Effect": "Allow",
            "Action": ["states:DescribeExecution", "states:StopExecution"],
            "Resource": f"{ARN}:execution:{name}-child:*",
        },
    ]


@pytest.mark.parametrize("condition", [".sync", ".sync:2"])
def test_a_parent_gets_the_result_of_its_child(
    execute: Callable[..., Any],
    machine: Callable[..., str],
    may_run: list[dict[str, Any]],
    name: str,
    condition: str,
) -> None:
    child = machine({"Double": {"Type": "Pass", "Output": {"b": "{% $states.input.a * 2 %}"}, "End": True}})
    state = call(child, condition, Arguments={"Name": "{% $states.context.Execution.Name & '-c' %}"})
    execution = execute({"Run": state}, *may_run, execution_input={"a": 4})
    assert execution["status"] == "SUCCEEDED", execution
    result = json.loads(execution["output"])
    content: Callable[[Any], Any] = json.dumps if condition == ".sync" else lambda value: value
    assert json.loads(result["Output"]) == {"b": 8} if condition == ".sync" else result["Output"] == {"b": 8}
    assert result["Input"] in (content({"a": 4}), '{"a":4}')
    assert result["Name"] == f"{execution['name']}-c"
    assert result["ExecutionArn"] == f"{ARN}:execution:{name}-child:{result['Name']}"
    assert (result["StateMachineArn"], result["Status"]) == (child, "SUCCEEDED")
    assert result["StartDate"] <= result["StopDate"]


def test_a_parent_that_does_not_wait_gets_the_name_of_its_child(
    execute: Callable[..., Any], machine: Callable[..., str], may_run: list[dict[str, Any]], aws: LocalAws
) -> None:
    child = machine({"Wait": WAIT})
    result = json.loads(execute({"Run": call(child, "")}, *may_run, execution_input={"a": 1})["output"])
    assert sorted(result) == ["ExecutionArn", "StartDate"]
    machines = aws.client("stepfunctions")
    assert machines.describe_execution(executionArn=result["ExecutionArn"])["status"] == "RUNNING"
    machines.stop_execution(executionArn=result["ExecutionArn"])


def test_fails_with_the_child_when_the_child_fails(
    execute: Callable[..., Any], machine: Callable[..., str], may_run: list[dict[str, Any]]
) -> None:
    child = machine({"Fail": {"Type": "Fail", "Error": "Child.Wrong", "Cause": "no such luck"}})
    execution = execute({"Run": call(child)}, *may_run, execution_input={"a": 1})
    assert (execution["status"], execution["error"]) == ("FAILED", "States.TaskFailed")
    cause = json.loads(execution["cause"])
    assert (cause["Status"], cause["Error"], cause["Cause"]) == ("FAILED", "Child.Wrong", "no such luck")
    assert cause["Input"] == {"a": 1}


def test_fails_when_the_role_may_not_start_the_child(
    execute: Callable[..., Any], machine: Callable[..., str], name: str
) -> None:
    other = {"Effect": "Allow", "Action": "states:*", "Resource": f"{ARN}:stateMachine:{name}-other"}
    execution = execute({"Run": call(machine({"Wait": WAIT}))}, other, execution_input={"a": 1})
    assert (execution["status"], execution["error"]) == ("FAILED", "StepFunctions.AWSStepFunctionsException")
    assert f"states:StartExecution on resource: {ARN}:stateMachine:{name}-child" in execution["cause"]


def test_fails_when_the_role_may_not_look_at_the_child(
    execute: Callable[..., Any], machine: Callable[..., str], may_run: list[dict[str, Any]], name: str
) -> None:
    execution = execute({"Run": call(machine({"Wait": WAIT}))}, may_run[0], execution_input={"a": 1})
    assert f"states:DescribeExecution on resource: {ARN}:execution:{name}-child:" in execution["cause"]


@pytest.fixture
def children(aws: LocalAws) -> Callable[..., list[str]]:
    """Return the status of all executions of a machine."""

    def look(arn: str) -> list[str]:
        executions = aws.client("stepfunctions").list_executions(stateMachineArn=arn)["executions"]
        return [execution["status"] for execution in executions]

    return look


def test_stopping_the_parent_stops_the_child(
    aws: LocalAws,
    execute: Callable[..., Any],
    machine: Callable[..., str],
    may_run: list[dict[str, Any]],
    children: Callable[..., list[str]],
) -> None:
    child = machine({"Wait": WAIT})
    parent = execute({"Run": call(child)}, *may_run, execution_input={"a": 1}, wait=False)
    wait_for(lambda: children(child) == ["RUNNING"])
    machines = aws.client("stepfunctions")
    machines.stop_execution(executionArn=parent["executionArn"], error="Mine", cause="enough")
    wait_for(lambda: children(child) == ["ABORTED"])
    stopped = machines.describe_execution(executionArn=parent["executionArn"])
    assert (stopped["status"], stopped["error"], stopped["cause"]) == ("ABORTED", "Mine", "enough")


def test_a_task_that_times_out_stops_the_child(
    execute: Callable[..., Any],
    machine: Callable[..., str],
    may_run: list[dict[str, Any]],
    children: Callable[..., list[str]],
) -> None:
    child = machine({"Wait": WAIT})
    execution = execute({"Run": call(child, TimeoutSeconds=3)}, *may_run, execution_input={"a": 1})
    assert (execution["status"], execution["error"]) == ("FAILED", "States.Timeout")
    wait_for(lambda: set(children(child)) <= {"ABORTED"})


def test_an_execution_is_started_once_by_its_name(aws: LocalAws, machine: Callable[..., str]) -> None:
    machines, child = aws.client("stepfunctions"), machine({"Wait": WAIT})
    start = lambda text: machines.start_execution(stateMachineArn=child, name="one", input=text)  # noqa: E731
    first = start('{"a": 1}')
    again = start('{"a": 1}')
    assert (first["executionArn"], first["startDate"]) == (again["executionArn"], again["startDate"])
    with pytest.raises(machines.exceptions.ExecutionAlreadyExists):
        start('{"a": 2}')
    machines.stop_execution(executionArn=first["executionArn"])
    with pytest.raises(machines.exceptions.ExecutionAlreadyExists):
        start('{"a": 1}')
    stopped = machines.describe_execution(executionArn=first["executionArn"])["stopDate"]
    assert machines.stop_execution(executionArn=first["executionArn"])["stopDate"] == stopped


@pytest.mark.parametrize(
    ("name_of_execution", "text", "code"),
    [("one/two", "{}", "InvalidName"), ("one", "{", "InvalidExecutionInput")],
)
def test_fails_when_an_execution_is_not_started_as_the_api_has_it(
    aws: LocalAws, machine: Callable[..., str], name_of_execution: str, text: str, code: str
) -> None:
    child = machine({"Wait": WAIT})
    with pytest.raises(ClientError) as failure:
        aws.client("stepfunctions").start_execution(stateMachineArn=child, name=name_of_execution, input=text)
    assert failure.value.response["Error"]["Code"] == code


def test_a_parent_that_starts_a_name_twice_fails(
    execute: Callable[..., Any], machine: Callable[..., str], may_run: list[dict[str, Any]], aws: LocalAws
) -> None:
    child = machine({"End": {"Type": "Succeed"}})
    aws.client("stepfunctions").start_execution(stateMachineArn=child, name="one", input='{"b": 1}')
    execution = execute({"Run": call(child, Arguments={"Name": "one"})}, *may_run, execution_input={"a": 1})
    assert execution["error"] == "StepFunctions.ExecutionAlreadyExistsException"
