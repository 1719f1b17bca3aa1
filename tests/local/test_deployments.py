"""Deployments on the local AWS: versions come into service, go back, wait for each other, and end well."""

import io
import json
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App, CfnOutput, Stack
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_stepfunctions as sfn

from cdk_sagemaker_pytorch import PyTorchDeployment, SampleRequest, SourceCode
from cdk_sagemaker_pytorch.local import LocalAws
from waiting import end_of_execution, wait_for

pytestmark = [pytest.mark.local]

SCRIPTS = Path(__file__).parent / "apps" / "scripts"
CONTEXT = json.loads((Path(__file__).parents[2] / "cdk.json").read_text())["context"]
ENDPOINT = "deployed"
SCHEDULE_SECONDS = 20.0
BROKEN, REJECTS = "broken", "rejects"  # what `serve_answer.py` makes of these


class Deployments:
    """A stack with one deployment of small models, each of which answers with a word of its own."""

    def __init__(self, aws: LocalAws, folder: Path) -> None:
        self.aws = aws
        self.folder = folder
        self.states = aws.client("stepfunctions")
        self.sagemaker = aws.client("sagemaker")
        self.outputs: dict[str, str] = {}

    def deploy_stack(self) -> None:
        """Deploy the stack with the CDK CLI."""
        out = self.folder / "cdk.out"
        app = App(context={**CONTEXT, "cdk-sagemaker-pytorch:skip-wheels": True}, outdir=str(out))
        stack = Stack(app, "Deployments")
        models = s3.Bucket(stack, "Models")
        deployment = PyTorchDeployment(
            stack,
            "Deployment",
            framework_version="2.6",
            model_data_bucket=models,
            source_code=SourceCode.from_file(SCRIPTS / "serve_answer.py"),
            endpoint_name=ENDPOINT,
            sample_request=SampleRequest(body=[[1]]),
            retain_versions=2,
        )
        CfnOutput(stack, "ModelsName", value=models.bucket_name)
        CfnOutput(stack, "MachineArn", value=deployment.state_machine_arn)
        CfnOutput(stack, "ForEachArn", value=_for_each(stack, deployment).state_machine_arn)
        CfnOutput(stack, "LedgerName", value=stack.node.find_child("PyTorchLedger").table_name)
        app.synth()
        self.outputs = self.aws.deploy(out)["Deployments"]

    def put_model(self, answer: str) -> str:
        """Put a model that answers so into its bucket; return its URI."""
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w:gz") as tar:
            member = tarfile.TarInfo("answer.txt")
            member.size = len(answer)
            tar.addfile(member, io.BytesIO(answer.encode()))
        key = f"{answer}/model.tar.gz"
        self.aws.client("s3").put_object(Bucket=self.outputs["ModelsName"], Key=key, Body=archive.getvalue())
        return f"s3://{self.outputs['ModelsName']}/{key}"

    def start(self, execution_input: Any, machine: str = "MachineArn") -> str:
        """Start an execution; return its ARN."""
        started = self.states.start_execution(
            stateMachineArn=self.outputs[machine], input=json.dumps(execution_input)
        )
        return str(started["executionArn"])

    def start_with(self, answer: str) -> str:
        """Start the deployment of a model that answers so."""
        return self.start({"model_data": self.put_model(answer)})

    def end_of(self, arn: str) -> dict[str, Any]:
        """Wait for an execution to end."""
        return end_of_execution(self.states, arn)

    def deployed(self, execution_input: Any) -> dict[str, Any]:
        """Run an execution that must succeed; return its output."""
        execution = self.end_of(self.start(execution_input))
        assert execution["status"] == "SUCCEEDED", execution.get("cause")
        output: dict[str, Any] = json.loads(execution["output"])
        return output

    def deploy(self, answer: str) -> str:
        """Deploy a model that answers so; return its version."""
        output = self.deployed({"model_data": self.put_model(answer)})
        assert output["outcome"] == "deployed"
        return str(output["model_name"])

    def answer(self) -> str:
        """What the endpoint answers."""
        response = self.aws.client("sagemaker-runtime").invoke_endpoint(
            EndpointName=ENDPOINT, Body=b"[[1]]", ContentType="application/json"
        )
        return str(response["Body"].read().decode())

    def record(self) -> dict[str, Any]:
        """What the ledger says."""
        table = self.outputs["LedgerName"]
        key = {"endpoint": {"S": ENDPOINT}}
        found = self.aws.client("dynamodb").get_item(TableName=table, Key=key)
        record: dict[str, Any] = json.loads(found["Item"]["record"]["S"])
        return record

    def versions(self) -> set[str]:
        """All versions: models and configurations are the same."""
        models = {m["ModelName"] for m in self.sagemaker.list_models()["Models"]}
        configs = self.sagemaker.list_endpoint_configs()["EndpointConfigs"]
        assert models == {c["EndpointConfigName"] for c in configs}
        return models

    def tick(self) -> None:
        """Do what the schedule does every quarter of an hour."""
        events, functions = self.aws.client("events"), self.aws.client("lambda")
        for rule in events.list_rules()["Rules"]:
            if "ScheduleExpression" in rule:
                for target in events.list_targets_by_rule(Rule=rule["Name"])["Targets"]:
                    answer = functions.invoke(FunctionName=target["Arn"], Payload=target["Input"])
                    assert "FunctionError" not in answer, answer["Payload"].read()

    def check_rest(self) -> None:
        """Wait until nothing is left to be done, and check that ledger and endpoint agree.

        A function goes on when its execution is stopped, and may write what it does when the event of the end
        was dealt with. Then the schedule finishes it, which comes more often here.
        """
        open_ends = ("holder", "runs", "removing", "step")
        next_tick = time.monotonic() + SCHEDULE_SECONDS

        def at_rest() -> dict[str, Any] | None:
            nonlocal next_tick
            record = self.record()
            if not any(record[end] for end in open_ends):
                return record
            if time.monotonic() > next_tick:
                self.tick()
                next_tick = time.monotonic() + SCHEDULE_SECONDS
            return None

        record = wait_for(at_rest)
        endpoint = self.sagemaker.describe_endpoint(EndpointName=ENDPOINT)
        assert (endpoint["EndpointStatus"], endpoint["EndpointConfigName"]) == (
            "InService",
            record["verified"],
        )
        assert self.versions() == {record["verified"], *record["retained"]}


def _for_each(stack: Stack, deployment: PyTorchDeployment) -> sfn.StateMachine:
    """Make a state machine of somebody's, with a Map over one deployment."""
    start = sfn.CustomState(
        stack,
        "Start",
        state_json={
            "Type": "Task",
            "QueryLanguage": "JSONata",
            "Resource": f"arn:{stack.partition}:states:::states:startExecution.sync:2",
            "Arguments": {
                "StateMachineArn": deployment.state_machine_arn,
                "Input": {"model_data": "{% $states.input %}"},
            },
            "Output": "{% $states.result.Output.outcome %}",
        },
    )
    each = sfn.Map.jsonata(stack, "Each", items=sfn.ProvideItems.jsonata("{% $states.input.models %}"))
    each.item_processor(start)
    machine = sfn.StateMachine(stack, "ForEach", definition_body=sfn.DefinitionBody.from_chainable(each))
    deployment.grant_start(machine)
    deployment.state_machine.grant_execution(machine, "states:DescribeExecution", "states:StopExecution")
    return machine


@pytest.fixture(scope="module")
def deployments(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployments]:
    folder = tmp_path_factory.mktemp("deployments")
    with LocalAws(folder / "aws", wait_factor=0.1) as aws:
        found = Deployments(aws, folder)
        found.deploy_stack()
        yield found


@pytest.fixture
def serving(deployments: Deployments) -> str:
    """The version that serves and answers "first"."""
    if (
        not any(e["EndpointName"] == ENDPOINT for e in deployments.sagemaker.list_endpoints()["Endpoints"])
        or deployments.answer() != "first"
    ):
        deployments.deploy("first")
    return str(deployments.record()["verified"])


def test_a_first_version_that_does_not_load_leaves_nothing(deployments: Deployments) -> None:
    execution = deployments.end_of(deployments.start_with(BROKEN))
    assert execution["status"] == "FAILED"
    assert execution["error"] == "EndpointNotInServiceError"
    assert "did not pass the ping health check" in execution["cause"]
    assert deployments.sagemaker.list_endpoints()["Endpoints"] == []
    assert deployments.versions() == set()


@pytest.mark.parametrize(
    ("answer", "error"), [(BROKEN, "EndpointNotInServiceError"), (REJECTS, "SampleRequestFailedError")]
)
def test_a_version_that_does_not_serve_is_taken_back(
    deployments: Deployments, serving: str, answer: str, error: str
) -> None:
    execution = deployments.end_of(deployments.start_with(answer))
    assert (execution["status"], execution["error"]) == ("FAILED", error)
    assert deployments.answer() == "first"
    deployments.check_rest()
    assert deployments.record()["verified"] == serving


def test_the_schedule_finishes_what_was_announced_too_late(deployments: Deployments, serving: str) -> None:
    """By a function that goes on when its execution is stopped, and writes when the end was dealt with."""
    execution = deployments.start({"model_data": "s3://none/none.tar.gz"})
    deployments.end_of(execution)
    deployments.check_rest()
    table, key = deployments.outputs["LedgerName"], {"endpoint": {"S": ENDPOINT}}
    database = deployments.aws.client("dynamodb")
    item = database.get_item(TableName=table, Key=key)["Item"]
    record = json.loads(item["record"]["S"]) | {"runs": {f"{ENDPOINT}-20260101000000-00000000": execution}}
    database.put_item(TableName=table, Item=item | {"record": {"S": json.dumps(record)}})
    deployments.tick()
    assert deployments.record()["runs"] == {}
    deployments.check_rest()


def test_rolls_back_to_each_version_that_is_kept(deployments: Deployments, serving: str) -> None:
    second, third = deployments.deploy("second"), deployments.deploy("third")
    assert deployments.record()["retained"] == [second, serving]
    for version, answer in ((serving, "first"), (second, "second"), (third, "third")):
        output = deployments.deployed({"roll_back": version})
        assert (output["outcome"], output["model_name"]) == ("deployed", version)
        assert deployments.answer() == answer
        deployments.check_rest()


@pytest.mark.parametrize(
    ("execution_input", "error", "text"),
    [
        ({"model": "s3://b/k"}, "InputRefused", "unknown model"),
        ({}, "InputRefused", "one of model_data, training_job_name, roll_back must be given, got 0"),
        ({"model_data": "s3://b/model.tar.gz", "roll_back": "x"}, "InputRefused", "got 2"),
        ({"training_job_name": "nobody-s"}, "TrainingJobNotCompletedError", "that exists, got nobody-s"),
        (
            {"roll_back": f"{ENDPOINT}-20260101000000-0a1b2c3d"},
            "VersionNotRetainedError",
            "must be a version of deployed that is kept",
        ),
    ],
)
def test_fails_before_anything_starts(
    deployments: Deployments, serving: str, execution_input: Any, error: str, text: str
) -> None:
    execution = deployments.end_of(deployments.start(execution_input))
    assert (execution["status"], execution["error"]) == ("FAILED", error)
    assert text in execution["cause"]
    deployments.check_rest()
    assert deployments.record()["verified"] == serving


def test_fails_with_model_data_that_does_not_exist(deployments: Deployments, serving: str) -> None:
    execution = deployments.end_of(
        deployments.start({"model_data": f"s3://{deployments.outputs['ModelsName']}/nothing/model.tar.gz"})
    )
    assert execution["status"] == "FAILED"
    assert "nothing/model.tar.gz" in execution["cause"]
    deployments.check_rest()
    assert deployments.record()["verified"] == serving


def test_of_five_at_once_the_newest_serves(deployments: Deployments, serving: str) -> None:
    answers = [f"number {number}" for number in range(5)]
    uris = [deployments.put_model(answer) for answer in answers]
    arns = []
    for uri in uris:
        arns.append(deployments.start({"model_data": uri}))
        started = deployments.states.describe_execution(executionArn=arns[-1])["startDate"]
        while time.time() <= started.timestamp() + 0.002:  # an order in time, to the millisecond
            time.sleep(0.001)
    executions = [deployments.end_of(arn) for arn in arns]
    assert [e["status"] for e in executions] == ["SUCCEEDED"] * 5, executions
    assert json.loads(executions[-1]["output"])["outcome"] == "deployed"
    assert deployments.answer() == "number 4"
    deployments.check_rest()
    assert len(deployments.versions()) == 3


def test_one_that_comes_too_late_is_superseded(deployments: Deployments, serving: str) -> None:
    late = {"model_data": deployments.put_model("late"), "requested_at": "2026-01-01T00:00:00.000Z"}
    output = deployments.deployed(late)
    assert (output["outcome"], output["model_name"]) == ("superseded", serving)
    assert deployments.answer() == "first"
    deployments.check_rest()


def test_one_whose_turn_comes_too_late_is_superseded(deployments: Deployments, serving: str) -> None:
    deployments.aws.faults.delay_endpoint(ENDPOINT, 5)
    newer = deployments.start_with("newer")
    wait_for(lambda: deployments.record()["holder"])
    asked_before = deployments.record()["newest"].split(" ")[0]
    output = deployments.deployed(
        {"model_data": deployments.put_model("before"), "requested_at": asked_before}
    )
    assert output["outcome"] == "superseded"
    assert deployments.end_of(newer)["status"] == "SUCCEEDED"
    assert deployments.answer() == "newer"
    deployments.check_rest()


def test_a_map_over_one_deployment(deployments: Deployments, serving: str) -> None:
    models = [deployments.put_model(f"mapped {number}") for number in range(3)]
    execution = deployments.end_of(deployments.start({"models": models}, "ForEachArn"))
    assert execution["status"] == "SUCCEEDED", execution.get("cause")
    assert set(json.loads(execution["output"])) <= {"deployed", "superseded"}
    assert deployments.answer().startswith("mapped")
    deployments.check_rest()


def test_an_execution_that_is_stopped_is_taken_back(deployments: Deployments, serving: str) -> None:
    arn = deployments.start_with("stopped")
    wait_for(lambda: (deployments.record()["ask"] or {}).get("config", serving) != serving)
    deployments.states.stop_execution(executionArn=arn)
    deployments.check_rest()
    assert deployments.record()["verified"] == serving
    assert deployments.answer() == "first"


def test_everything_goes_with_the_stack_in_the_middle_of_a_deployment(
    deployments: Deployments, serving: str
) -> None:
    deployments.aws.faults.delay_endpoint(ENDPOINT, 20)  # longer than the CDK CLI needs
    arn = deployments.start_with("late")
    wait_for(lambda: deployments.record()["holder"])
    deployments.aws.destroy(deployments.folder / "cdk.out")
    assert deployments.states.describe_execution(executionArn=arn)["status"] == "ABORTED"
    assert deployments.sagemaker.list_endpoints()["Endpoints"] == []
    assert deployments.versions() == set()
