"""A deployment is stopped in each of its states, and each of its calls fails, for real: `make exhaustive`."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from cdk_sagemaker_pytorch.local import LocalAws
from waiting import wait_for

from .test_deployments import BROKEN, REJECTS, Deployments

pytestmark = [pytest.mark.local, pytest.mark.exhaustive]

GOOD = "good"
# Which model leads to a state; the states of a version that serves come first.
STORIES = {
    GOOD: (
        "Input understood?",
        "Name version",
        "Announce",
        "Announced?",
        "Ask for model size",
        "Too large for the function?",
        "Package model",
        "Bring into service",
        "In service?",
        "Send sample request",
        "Commit",
        "Committed?",
        "Deployed",
    ),
    REJECTS: ("Deployment failed", "Take back", "Taken back?", "Wait for way back", "Not deployed"),
}
# What does not come about by itself; the simulation stops there.
UNUSUAL = {
    "Endpoint not settled",
    "Input refused",
    "Not taken back",
    "Package large model",
    "Packaging failed",
    "Superseded",
    "Wait for endpoint",
    "Wait for turn",
    "Wait to commit",
}
CALLS = (
    "dynamodb:GetItem",
    "dynamodb:PutItem",
    "lambda:InvokeFunction",
    "s3:HeadObject",
    "sagemaker:AddTags",
    "sagemaker:CreateEndpointConfig",
    "sagemaker:CreateModel",
    "sagemaker:DescribeEndpoint",
    "sagemaker:ListTags",
    "sagemaker:UpdateEndpoint",
    "sagemaker-runtime:InvokeEndpoint",
)


@pytest.fixture(scope="module")
def deployments(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployments]:
    folder = tmp_path_factory.mktemp("exhaustive")
    with LocalAws(folder / "aws") as aws:
        found = Deployments(aws, folder)
        found.deploy_stack()
        found.deploy("first")
        yield found


def test_no_state_is_left_out(deployments: Deployments) -> None:
    machine = deployments.states.describe_state_machine(stateMachineArn=deployments.outputs["MachineArn"])
    states = set(json.loads(machine["definition"])["States"])
    assert states == UNUSUAL | {state for story in STORIES.values() for state in story}


@pytest.mark.parametrize(
    ("model", "state"), [(model, state) for model, states in STORIES.items() for state in states]
)
def test_an_execution_is_stopped_in_a_state(deployments: Deployments, model: str, state: str) -> None:
    verified = deployments.record()["verified"]
    arn = deployments.start_with(model)
    wait_for(lambda: entered(deployments, arn, state))
    deployments.states.stop_execution(executionArn=arn)
    deployments.check_rest()
    stopped = deployments.states.describe_execution(executionArn=arn)["status"] == "ABORTED"
    # It may have gone on between the look and the stop.
    if stopped and not entered(deployments, arn, "Commit"):
        assert deployments.record()["verified"] == verified
    assert deployments.answer() in ("first", "next", GOOD)
    deployments.deploy("next")
    assert deployments.answer() == "next"
    deployments.check_rest()


def entered(deployments: Deployments, arn: str, state: str) -> bool:
    """Tell whether an execution has come to a state."""
    history = deployments.states.get_execution_history(executionArn=arn, maxResults=1000)["events"]
    return any(event.get("stateEnteredEventDetails", {}).get("name") == state for event in history)


@pytest.mark.parametrize("call", CALLS)
def test_a_call_is_throttled_and_an_answer_lost(deployments: Deployments, call: str) -> None:
    faults = deployments.aws.faults
    faults.throttle(call, nth=1)
    faults.lose_answer(call, nth=3)
    try:
        deployments.deploy("throttled")
        assert deployments.answer() == "throttled"
    finally:
        faults.clear()
    deployments.check_rest()


@pytest.mark.parametrize("status", ["InService", "Failed"])
def test_an_update_that_fails(deployments: Deployments, status: Any) -> None:
    deployments.deploy("first")
    verified = deployments.record()["verified"]
    deployments.aws.faults.fail_endpoint("deployed", status=status, reason="no capacity of ml.m5.large")
    execution = deployments.end_of(deployments.start_with(GOOD))
    assert execution["status"] == "FAILED"
    assert "no capacity of ml.m5.large" in execution["cause"]
    assert deployments.answer() == "first"
    deployments.check_rest()
    assert deployments.record()["verified"] == verified


def test_a_version_that_fails_and_cannot_be_taken_back_at_once(deployments: Deployments) -> None:
    deployments.deploy("first")
    deployments.aws.faults.throttle("sagemaker:UpdateEndpoint", nth=2, times=9)
    execution = deployments.end_of(deployments.start_with(REJECTS))
    deployments.aws.faults.clear()
    assert execution["error"] == "SampleRequestFailedError"
    assert deployments.answer() == "first"
    deployments.check_rest()


def test_a_redrive_after_it_was_taken_back_does_no_harm(deployments: Deployments) -> None:
    deployments.deploy("first")
    arn = deployments.start_with(BROKEN)
    deployments.end_of(arn)
    deployments.check_rest()
    deployments.states.redrive_execution(executionArn=arn)
    assert deployments.end_of(arn)["status"] == "FAILED"
    assert deployments.answer() == "first"
    deployments.check_rest()
