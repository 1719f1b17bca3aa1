import json
from collections.abc import Callable
from typing import Any

import pytest

from cdk_sagemaker_pytorch.local import LocalAws
from waiting import end_of_execution, wait_for

pytestmark = pytest.mark.local

# Tells what it got in its log.
SHOW = "import json\ndef handler(event, context):\n    print('GOT ' + json.dumps(event))"


def role(service: str, **statement: Any) -> dict[str, Any]:
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": service}}
    version = {"Version": "2012-10-17"}
    policy = version | {"Statement": [{"Effect": "Allow", **statement}]}
    return {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "AssumeRolePolicyDocument": version | {"Statement": [trust]},
            "Policies": [{"PolicyName": "p", "PolicyDocument": policy}],
        },
    }


def arn(logical_id: str) -> dict[str, Any]:
    return {"Fn::GetAtt": [logical_id, "Arn"]}


@pytest.fixture
def parts(name: str) -> dict[str, Any]:
    """A function that shows its event, and a machine that succeeds or fails as it is told."""
    choose = [{"Condition": "{% $states.input.how = 'fail' %}", "Next": "Fail"}]
    wait = [{"Condition": "{% $states.input.how = 'wait' %}", "Next": "Wait"}]
    definition = {
        "QueryLanguage": "JSONata",
        "StartAt": "Choose",
        "States": {
            "Choose": {"Type": "Choice", "Choices": choose + wait, "Default": "End"},
            "Fail": {"Type": "Fail", "Error": "Mine", "Cause": "told to"},
            "Wait": {"Type": "Wait", "Seconds": 600, "Next": "End"},
            "End": {"Type": "Pass", "Output": {"done": "{% $states.input.how %}"}, "End": True},
        },
    }
    function = {
        "Code": {"ZipFile": SHOW},
        "Handler": "index.handler",
        "Role": arn("FunctionRole"),
        "Runtime": "python3.13",
        "FunctionName": name,
        "Timeout": 60,
    }
    machine = {"DefinitionString": json.dumps(definition), "RoleArn": arn("MachineRole")}
    return {
        "FunctionRole": role("lambda.amazonaws.com", Action="logs:*", Resource="*"),
        "MachineRole": role("states.amazonaws.com", Action="logs:*", Resource="*"),
        "Function": {"Type": "AWS::Lambda::Function", "Properties": function},
        "Machine": {"Type": "AWS::StepFunctions::StateMachine", "Properties": machine},
    }


def permission(rule: str = "Rule") -> dict[str, Any]:
    properties = {
        "Action": "lambda:InvokeFunction",
        "FunctionName": arn("Function"),
        "Principal": "events.amazonaws.com",
        "SourceArn": arn(rule),
    }
    return {"Type": "AWS::Lambda::Permission", "Properties": properties}


def rule(*targets: dict[str, Any], state: str = "ENABLED", **detail: Any) -> dict[str, Any]:
    pattern = {
        "source": ["aws.states"],
        "detail-type": ["Step Functions Execution Status Change"],
        "detail": {"stateMachineArn": [{"Ref": "Machine"}], **detail},
    }
    named = [{"Id": f"Target{number}"} | target for number, target in enumerate(targets)]
    properties = {"EventPattern": pattern, "State": state, "Targets": named}
    return {"Type": "AWS::Events::Rule", "Properties": properties}


OUTPUTS = {
    "Outputs": {"Machine": {"Value": {"Ref": "Machine"}}, "Rule": {"Value": {"Fn::GetAtt": ["Rule", "Arn"]}}}
}


@pytest.fixture
def run(aws: LocalAws) -> Callable[..., dict[str, Any]]:
    """Execute the machine of a stack, to its end or until it is stopped; return the execution."""

    def start(stack: dict[str, Any], how: str) -> dict[str, Any]:
        assert stack["StackStatus"] in ("CREATE_COMPLETE", "UPDATE_COMPLETE"), stack.get("StackStatusReason")
        values = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
        machines = aws.client("stepfunctions")
        started = machines.start_execution(
            stateMachineArn=values["Machine"], input=json.dumps({"how": how}), name=f"run-{how}"
        )
        if how == "wait":
            machines.stop_execution(executionArn=started["executionArn"])
        return end_of_execution(machines, started["executionArn"])

    return start


@pytest.fixture
def got(aws: LocalAws, name: str) -> Callable[[], list[Any]]:
    """Return what the function of the stack got so far."""

    def look() -> list[Any]:
        logs = aws.client("logs")
        if not logs.describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{name}")["logGroups"]:
            return []
        events = logs.filter_log_events(logGroupName=f"/aws/lambda/{name}")["events"]
        messages = [event["message"] for event in events]
        return [json.loads(text.removeprefix("GOT ")) for text in messages if text.startswith("GOT ")]

    return look


def test_a_function_gets_each_change_of_status(
    deploy: Callable[..., Any],
    delete: Callable[[], None],
    parts: dict[str, Any],
    run: Callable[..., Any],
    got: Callable[[], list[Any]],
) -> None:
    resources = {"Rule": rule({"Arn": arn("Function")}), "Permission": permission()}
    stack = deploy(parts | resources, **OUTPUTS)
    executions = {how: run(stack, how) for how in ("succeed", "fail", "wait")}
    wait_for(lambda: len(got()) == 6)
    details = {(event["detail"]["name"], event["detail"]["status"]): event for event in got()}
    assert sorted(details) == [
        ("run-fail", "FAILED"),
        ("run-fail", "RUNNING"),
        ("run-succeed", "RUNNING"),
        ("run-succeed", "SUCCEEDED"),
        ("run-wait", "ABORTED"),
        ("run-wait", "RUNNING"),
    ]
    event, execution = details["run-succeed", "SUCCEEDED"], executions["succeed"]
    assert (event["source"], event["account"], event["region"]) == ("aws.states", "123456789012", "us-east-1")
    assert event["resources"] == [execution["executionArn"]]
    detail = event["detail"]
    assert detail["executionArn"] == execution["executionArn"]
    assert detail["stateMachineArn"] == execution["stateMachineArn"]
    assert detail["startDate"] == int(execution["startDate"].timestamp() * 1000)
    assert detail["stopDate"] == int(execution["stopDate"].timestamp() * 1000)
    assert json.loads(detail["input"]) == {"how": "succeed"}
    assert json.loads(detail["output"]) == {"done": "succeed"}
    running = details["run-succeed", "RUNNING"]["detail"]
    assert (running["stopDate"], running["output"]) == (None, None)
    failed = details["run-fail", "FAILED"]["detail"]
    assert (failed["error"], failed["cause"]) == ("Mine", "told to")
    delete()


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ({"status": ["FAILED", "ABORTED"]}, ["run-fail", "run-wait"]),
        ({"status": [{"anything-but": ["RUNNING", "FAILED"]}]}, ["run-succeed", "run-wait"]),
        ({"status": [{"prefix": "SUCC"}]}, ["run-succeed"]),
        ({"status": ["RUNNING"], "name": [{"wildcard": "*-f*l"}]}, ["run-fail"]),
    ],
)
def test_patterns_choose_events(
    deploy: Callable[..., Any],
    delete: Callable[[], None],
    parts: dict[str, Any],
    run: Callable[..., Any],
    got: Callable[[], list[Any]],
    pattern: dict[str, Any],
    expected: list[str],
) -> None:
    last = {"InputTransformer": {"InputPathsMap": {"n": "$.detail.name"}, "InputTemplate": "<n>"}}
    resources = {
        "Rule": rule({"Arn": arn("Function")} | last, **pattern),
        "Permission": permission(),
        # The last of all is not chosen by the pattern: when it is there, so are the others.
        "All": rule({"Arn": arn("Function"), "Input": '"all"'}),
        "AllPermission": permission("All"),
    }
    stack = deploy(parts | resources, **OUTPUTS)
    for how in ("succeed", "fail", "wait"):
        run(stack, how)
    wait_for(lambda: got().count("all") == 6 and len(got()) >= 6 + len(expected))
    assert sorted(event for event in got() if event != "all") == expected
    delete()


def test_a_state_machine_is_started_with_a_template_under_its_role(
    aws: LocalAws,
    deploy: Callable[..., Any],
    delete: Callable[[], None],
    parts: dict[str, Any],
    run: Callable[..., Any],
    name: str,
) -> None:
    transformer = {
        "InputPathsMap": {"detail-name": "$.detail.name", "detail-status": "$.detail.status"},
        "InputTemplate": (
            '{"how":"after","text":"<detail-name> is <detail-status>","x":{"y":[<detail-name>]}}'
        ),
    }
    second = json.loads(json.dumps(parts["Machine"]))
    second["Properties"]["StateMachineName"] = f"{name}-second"
    chosen = {"status": ["SUCCEEDED"]}
    target = {"Arn": {"Ref": "Second"}, "RoleArn": arn("TargetRole"), "InputTransformer": transformer}
    forbidden = target | {"RoleArn": arn("MachineRole")}
    resources = {
        "Second": second,
        "TargetRole": role(
            "events.amazonaws.com", Action="states:StartExecution", Resource={"Ref": "Second"}
        ),
        "Rule": rule(target, forbidden, **chosen),
    }
    run(deploy(parts | resources, **OUTPUTS), "succeed")
    machines = aws.client("stepfunctions")
    machine = f"arn:aws:states:us-east-1:123456789012:stateMachine:{name}-second"
    executions = lambda: machines.list_executions(stateMachineArn=machine)["executions"]  # noqa: E731
    [started] = wait_for(executions)
    given = machines.describe_execution(executionArn=started["executionArn"])["input"]
    text = "run-succeed is SUCCEEDED"
    assert json.loads(given) == {"how": "after", "text": text, "x": {"y": ["run-succeed"]}}
    log = aws.logs_directory / "server.log"
    wait_for(lambda: f"did not reach {machine}" in log.read_text())
    assert len(executions()) == 1
    delete()


def test_a_function_without_a_permission_for_the_rule_is_not_invoked(
    aws: LocalAws,
    deploy: Callable[..., Any],
    delete: Callable[[], None],
    parts: dict[str, Any],
    run: Callable[..., Any],
    got: Callable[[], list[Any]],
    name: str,
) -> None:
    other = rule({"Arn": arn("Function"), "Input": '"other"'}, status=["NEVER"])
    resources = {"Rule": rule({"Arn": arn("Function")}), "Other": other, "Permission": permission("Other")}
    run(deploy(parts | resources, **OUTPUTS), "succeed")
    log = aws.logs_directory / "server.log"
    wait_for(lambda: f"function:{name}: no permission of the function" in log.read_text())
    assert got() == []
    delete()


def test_a_rule_is_disabled_changed_and_removed(
    aws: LocalAws,
    deploy: Callable[..., Any],
    delete: Callable[[], None],
    parts: dict[str, Any],
    run: Callable[..., Any],
    got: Callable[[], list[Any]],
) -> None:
    function = {"Arn": arn("Function"), "Input": '"old"'}
    resources = {"Rule": rule(function, function, state="DISABLED"), "Permission": permission()}
    stack = deploy(parts | resources, **OUTPUTS)
    [old] = [output["OutputValue"] for output in stack["Outputs"] if output["OutputKey"] == "Rule"]
    run(stack, "succeed")
    resources["Rule"] = rule(function | {"Input": '"new"'}, status=["FAILED"])
    stack = deploy(parts | resources, update=True, **OUTPUTS)
    assert [output["OutputValue"] for output in stack["Outputs"] if output["OutputKey"] == "Rule"] == [old]
    run(stack, "fail")
    wait_for(got)
    assert got() == ["new"]
    events = aws.client("events")
    rule_name = old.split("/")[-1]
    assert len(events.list_targets_by_rule(Rule=rule_name)["Targets"]) == 1
    delete()
    with pytest.raises(events.exceptions.ResourceNotFoundException):
        events.describe_rule(Name=rule_name)


def test_events_that_are_put_reach_functions_too(
    aws: LocalAws,
    deploy: Callable[..., Any],
    delete: Callable[[], None],
    parts: dict[str, Any],
    got: Callable[[], list[Any]],
    name: str,
) -> None:
    own = rule({"Arn": arn("Function")})
    own["Properties"]["EventPattern"] = {"source": [name]}
    deploy(parts | {"Rule": own, "Permission": permission()}, **OUTPUTS)
    entry = {"Source": name, "DetailType": "Thing", "Detail": '{"a": 1}'}
    assert aws.client("events").put_events(Entries=[entry])["FailedEntryCount"] == 0
    [event] = wait_for(got)
    assert (event["source"], event["detail-type"], event["detail"]) == (name, "Thing", {"a": 1})
    assert event["time"].endswith("Z")
    delete()


def test_a_schedule_fires_and_a_disabled_one_does_not(
    deploy: Callable[..., Any],
    delete: Callable[[], None],
    parts: dict[str, Any],
    got: Callable[[], list[Any]],
) -> None:
    def scheduled(state: str, text: str) -> dict[str, Any]:
        target = {"Id": "Target0", "Arn": arn("Function"), "Input": json.dumps(text)}
        properties = {"ScheduleExpression": "rate(1 minute)", "State": state, "Targets": [target]}
        return {"Type": "AWS::Events::Rule", "Properties": properties}

    resources = {
        "Disabled": scheduled("DISABLED", "disabled"),
        "DisabledPermission": permission("Disabled"),
        "Rule": scheduled("ENABLED", "enabled"),
        "Permission": permission(),
    }
    deploy(parts | resources, **OUTPUTS)
    wait_for(got)
    assert set(got()) == {"enabled"}
    delete()
