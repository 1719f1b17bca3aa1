"""Events of the state machine, of EventBridge and of CloudFormation, as they come in."""

import json
from types import SimpleNamespace
from typing import Any

import boto3
import pytest

from .fakes import MACHINE, STACK, Fake, Setting, api_error, execution, version

RESERVE_SECONDS = 35
SAMPLE = {"body": "W10=", "content_type": "application/json", "accept": "application/json"}


class Context:
    """An invocation of a minute."""

    function_name = "function"

    def __init__(self) -> None:
        self.seconds = 60.0

    def get_remaining_time_in_millis(self) -> int:
        return int(self.seconds * 1000)


class FakeLambda(Fake):
    def invoke(self, **arguments: Any) -> Any:
        return self._do("invoke", arguments, dict)


class Invocations:
    """The function, as AWS invokes it."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.lambda_ = FakeLambda()
        self.answers: list[dict[str, Any]] = []
        self.slept: list[float] = []
        self.context = Context()
        no_artifacts = SimpleNamespace(paginate=lambda **_: [])
        services = setting.code.index.Services(
            sagemaker=setting.sagemaker,
            runtime=setting.runtime,
            s3=SimpleNamespace(get_paginator=lambda _: no_artifacts),
            dynamodb=setting.dynamodb,
            states=setting.states,
            lambda_=self.lambda_,
            respond=lambda url, body: self.answers.append(json.loads(body)),
            now=setting.clock,
            sleep=self._sleep,
        )
        environment = {
            "ENDPOINT_NAME": "digits",
            "VERSION_PREFIX": "digits",
            "LEDGER": "ledger",
            "ARTIFACTS": "s3://artifacts/models/",
        }
        self._function = setting.code.index.Function(services, environment)

    def invoke(self, event: dict[str, Any]) -> dict[str, Any]:
        self.context = Context()
        found: dict[str, Any] = self._function.handle(json.loads(json.dumps(event)), self.context)
        return found

    def next_event(self) -> dict[str, Any]:
        """The event of the invocation that goes on."""
        call = self.lambda_.calls.pop()[1]
        assert (call["FunctionName"], call["InvocationType"]) == ("function", "Event")
        event: dict[str, Any] = json.loads(call["Payload"])
        return event

    def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.context.seconds -= seconds
        self.setting.sleep(seconds)


@pytest.fixture
def function(claimed: Setting) -> Invocations:
    return Invocations(claimed)


def step(action: str, number: int = 1, **more: Any) -> dict[str, Any]:
    order = f"2026-01-01T00:00:{number:02}.000Z run-{number}"
    deployment = {
        "execution": execution(number),
        "version": version(number),
        "order": order,
        "rolls_back": False,
    }
    return {"action": action, "deployment": deployment, **more}


def stack_change(request_type: str, kind: str = "PyTorchEndpoint", **more: Any) -> dict[str, Any]:
    return {
        "RequestType": request_type,
        "ResourceType": f"Custom::{kind}",
        "ResponseURL": "https://somewhere",
        "StackId": STACK,
        "RequestId": "request",
        "LogicalResourceId": "Claim",
        "ResourceProperties": {
            "EndpointName": "digits",
            "StateMachine": MACHINE,
            "Adopt": "false",
            "RemovalPolicy": "Delete",
        },
        **({} if request_type == "Create" else {"PhysicalResourceId": "digits"}),
        **more,
    }


# The state machine


def test_the_steps_of_a_deployment(function: Invocations) -> None:
    assert function.invoke(step("announce", training_job_name=None)) == {"state": "announced"}
    bring = step("bring_into_service", requests=Setting.requests)
    assert function.invoke(bring) == {"state": "moving"}
    function.setting.sagemaker.settle()
    assert function.invoke(bring) == {"state": "in_service"}
    assert function.invoke(step("verify", sample=SAMPLE)) == {"state": "verified"}
    assert function.invoke(step("commit", retain=1)) == {"state": "deployed", "warnings": []}
    assert function.setting.record.verified == version(1)


def test_a_deployment_is_taken_back(function: Invocations) -> None:
    function.invoke(step("announce"))
    assert function.invoke(step("take_back")) == {"state": "taken_back"}


def test_announcing_says_where_the_model_of_a_training_job_lies(function: Invocations) -> None:
    artifacts = {"S3ModelArtifacts": "s3://jobs/job-1/model.tar.gz"}
    function.setting.sagemaker.training_jobs["job-1"] = {
        "TrainingJobStatus": "Completed",
        "ModelArtifacts": artifacts,
    }
    found = function.invoke(step("announce", training_job_name="job-1"))
    assert found == {"state": "announced", "model_data": "s3://jobs/job-1/model.tar.gz"}


def test_fails_when_the_training_job_does_not_exist_before_anything_is_announced(
    function: Invocations,
) -> None:
    with pytest.raises(function.setting.code.training.TrainingJobNotCompletedError):
        function.invoke(step("announce", training_job_name="job-1"))
    assert function.setting.record.runs == {}


def test_fails_when_the_action_is_unknown(function: Invocations) -> None:
    with pytest.raises(ValueError, match="action is not known: destroy"):
        function.invoke(step("destroy"))


# EventBridge


def test_there_is_mostly_nothing_to_reconcile(function: Invocations) -> None:
    assert function.invoke({"action": "reconcile"}) == {"state": "settled"}
    assert function.slept == []


def test_reconciling_goes_on_until_the_endpoint_has_settled(function: Invocations) -> None:
    setting = function.setting
    setting.deploy(1)
    setting.stop(setting.arrive(2))
    function.setting.meanwhile = [lambda: None, setting.sagemaker.settle]
    assert function.invoke({"action": "reconcile"}) == {"state": "settled"}
    assert function.slept == [2, 2]
    assert setting.sagemaker.endpoint.config == version(1)


def test_reconciling_goes_on_in_another_invocation_when_time_runs_out(function: Invocations) -> None:
    setting = function.setting
    setting.deploy(1)
    setting.stop(setting.arrive(2))
    assert function.invoke({"action": "reconcile"}) == {"state": "moving"}
    assert RESERVE_SECONDS - 2 <= function.context.seconds <= RESERVE_SECONDS
    setting.sagemaker.settle()
    assert function.invoke(function.next_event()) == {"state": "settled"}
    assert function.lambda_.calls == []


# CloudFormation


@pytest.mark.parametrize("request_type", ["Create", "Update"])
def test_an_endpoint_is_claimed_when_the_stack_is_deployed(setting: Setting, request_type: str) -> None:
    function = Invocations(setting)
    found = function.invoke(stack_change(request_type))
    assert (found["Status"], found["PhysicalResourceId"]) == ("SUCCESS", "digits")
    assert function.answers == [found]
    assert setting.record.owner == STACK


def test_a_claim_that_is_refused_fails_the_stack_and_its_rollback_leaves_the_endpoint(
    setting: Setting,
) -> None:
    function = Invocations(setting)
    setting.sagemaker.serve("theirs", owner=None)
    refused = function.invoke(stack_change("Create"))
    assert refused["Status"] == "FAILED"
    assert refused["Reason"].startswith("EndpointOwnedError: endpoint digits exists, and this stack has not")
    deleted = function.invoke(stack_change("Delete", PhysicalResourceId=refused["PhysicalResourceId"]))
    assert deleted["Status"] == "SUCCESS"
    assert deleted["PhysicalResourceId"] == refused["PhysicalResourceId"]
    assert setting.sagemaker.endpoint.config == "theirs"


def test_the_endpoint_goes_with_its_stack(function: Invocations) -> None:
    setting = function.setting
    setting.deploy(1)
    function.setting.meanwhile = [lambda: None, setting.sagemaker.settle]
    found = function.invoke(stack_change("Delete"))
    assert (found["Status"], found["PhysicalResourceId"]) == ("SUCCESS", "digits")
    assert setting.sagemaker.endpoint is None
    assert setting.sagemaker.versions == set()
    assert setting.record.revision == 0


def test_a_removal_goes_on_in_another_invocation_and_answers_once(function: Invocations) -> None:
    setting = function.setting
    setting.deploy(1)
    assert function.invoke(stack_change("Delete")) == {}
    assert function.answers == []
    setting.sagemaker.settle()
    function.invoke(function.next_event())
    (answer,) = function.answers
    assert answer["Status"] == "SUCCESS"
    assert function.lambda_.calls == []


def test_fails_when_a_removal_takes_nearly_an_hour(function: Invocations) -> None:
    setting = function.setting
    setting.deploy(1)
    setting.sagemaker.serve(version(1), status="SystemUpdating")
    began = setting.clock()
    function.invoke(stack_change("Delete"))
    while not function.answers:
        function.invoke(function.next_event())
    (answer,) = function.answers
    assert answer["Status"] == "FAILED"
    assert answer["Reason"] == (
        "TimeoutError: waited for nearly an hour for endpoint digits, which is changing: delete the stack"
        " again when that has ended"
    )
    assert 54 * 60 < setting.clock() - began < 58 * 60


def test_a_removal_that_took_too_long_succeeds_when_the_stack_is_deleted_again(
    function: Invocations,
) -> None:
    setting = function.setting
    setting.deploy(1)
    setting.sagemaker.serve(version(1), status="SystemUpdating")
    function.invoke(stack_change("Delete", Since=0))
    assert function.answers.pop()["Status"] == "FAILED"
    setting.sagemaker.settle()
    function.setting.meanwhile = [setting.sagemaker.settle]
    assert function.invoke(stack_change("Delete"))["Status"] == "SUCCESS"


def test_a_removal_goes_on_after_calls_that_failed(function: Invocations) -> None:
    setting = function.setting
    setting.deploy(1)
    setting.sagemaker.fail("describe_endpoint", api_error("ThrottlingException"), times=5)
    function.setting.meanwhile = [lambda: None] * 6 + [setting.sagemaker.settle]
    assert function.invoke(stack_change("Delete"))["Status"] == "SUCCESS"


def test_fails_when_a_removal_cannot_go_on(function: Invocations) -> None:
    setting = function.setting
    setting.deploy(1)
    setting.sagemaker.fail("describe_endpoint", api_error("AccessDeniedException", "not yours"), times=99)
    function.invoke(stack_change("Delete"))
    while not function.answers:
        function.invoke(function.next_event())
    (answer,) = function.answers
    assert answer["Status"] == "FAILED"
    assert answer["Reason"].startswith("ClientError: ")
    assert "not yours" in answer["Reason"]


def test_cloudformation_hears_of_an_event_that_is_not_understood(function: Invocations) -> None:
    event = stack_change("Create", ResourceProperties={})
    assert function.invoke(event)["Reason"] == "KeyError: 'StateMachine'"
    assert function.answers[0]["Status"] == "FAILED"


def test_executions_are_stopped_before_their_state_machine_goes(function: Invocations) -> None:
    function.setting.states.running = {execution(1), execution(2)}
    found = function.invoke(stack_change("Delete", "PyTorchExecutions"))
    assert (found["Status"], found["PhysicalResourceId"]) == ("SUCCESS", MACHINE)
    assert function.setting.states.running == set()


@pytest.mark.parametrize("request_type", ["Create", "Update"])
def test_executions_run_on_while_their_state_machine_stays(function: Invocations, request_type: str) -> None:
    function.setting.states.running = {execution(1)}
    found = function.invoke(stack_change(request_type, "PyTorchExecutions"))
    assert (found["Status"], found["PhysicalResourceId"]) == ("SUCCESS", MACHINE)
    assert function.setting.states.running == {execution(1)}


# AWS


def test_the_handler_talks_to_aws(
    code: SimpleNamespace, ledger_table: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    boto3.client("s3").create_bucket(Bucket="artifacts")
    for name, value in (
        ("ENDPOINT_NAME", "digits"),
        ("VERSION_PREFIX", "digits"),
        ("LEDGER", "ledger"),
        ("ARTIFACTS", "s3://artifacts/models/"),
    ):
        monkeypatch.setenv(name, value)
    assert code.index.handler({"action": "reconcile"}, Context()) == {"state": "settled"}


@pytest.mark.parametrize("name", ["_CALLS", "_SAMPLE"])
def test_a_call_with_its_retries_ends_within_the_functions_timeout(code: SimpleNamespace, name: str) -> None:
    config = getattr(code.index, name)
    attempts = config.retries["total_max_attempts"]
    assert attempts * (config.connect_timeout + config.read_timeout) < 60
