"""Which part packages a model in a state machine, and what it is told."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from aws_cdk import Duration, Size, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk.assertions import Template

from cdk_sagemaker_pytorch import ModelPackager, Networking, Processing, PyTorchImage
from cdk_sagemaker_pytorch.local.step_functions import jsonata
from cdk_sagemaker_pytorch.states import jsonata as asl

States = Callable[[], dict[str, Any]]
Statements = Callable[[str], list[dict[str, Any]]]
Run = Callable[[sfn.IChainable], sfn.StateMachine]

EVENT = {
    "model_data": asl.evaluate("$training.model_data"),
    "source_code": "s3://assets/code.gz",
    "output": asl.evaluate("'s3://models/' & $version & '/model.tar.gz'"),
    "framework_version": "2.6.0",
    "entry_point": "inference.py",
}
VARIABLES = {"version": "v-1", "training": {"model_data": "s3://jobs/training/job-1/output/model.tar.gz"}}


def evaluate(text: str, state_input: Any = None, **variables: Any) -> Any:
    """The value of a string of the state machine."""
    assignments = {"states": {"input": state_input}, **VARIABLES, **variables}
    return jsonata.evaluate(text.removeprefix("{%").removesuffix("%}"), assignments)


@pytest.fixture
def packaging(stack: Stack, run: Run) -> Callable[..., ModelPackager]:
    def make(event: dict[str, str] = EVENT, *, compressed: bool = True, **options: Any) -> ModelPackager:
        packager = ModelPackager(stack, "Packager", **options)
        run(
            packager.package_states(
                stack,
                "Packaging",
                event=event,
                job_name="$version",
                job_name_prefix="stack-pipeline",
                model_arns=["arn:aws:s3:::jobs/training/*"] if compressed else None,
                submit_directory="'/opt/ml/model/code'",
            )
        )
        return packager

    return make


def test_the_size_of_the_model_decides(packaging: Callable[..., Any], states: States) -> None:
    packaging(function_limit=Size.gibibytes(2))
    found = states()
    size = found["Ask for model size"]
    assert evaluate(size["Arguments"]["Bucket"]) == "jobs"
    assert evaluate(size["Arguments"]["Key"]) == "training/job-1/output/model.tar.gz"
    assert size["Next"] == "Too large for the function?"
    choice = found["Too large for the function?"]
    assert choice["Choices"][0]["Next"] == "Package large model"
    assert choice["Default"] == "Package model"
    condition = choice["Choices"][0]["Condition"]
    assert evaluate(condition, {"bytes": 2 * 1024**3 + 1}) is True
    assert evaluate(condition, {"bytes": 2 * 1024**3}) is False


def test_the_function_gets_up_to_64_gib_by_default(packaging: Callable[..., Any], states: States) -> None:
    packaging()
    condition = states()["Too large for the function?"]["Choices"][0]["Condition"]
    assert evaluate(condition, {"bytes": 64 * 1024**3}) is False
    assert evaluate(condition, {"bytes": 64 * 1024**3 + 1}) is True


def test_a_model_whose_size_is_unknown_goes_to_the_function(
    packaging: Callable[..., Any], states: States
) -> None:
    packaging()
    assert states()["Ask for model size"]["Catch"] == [
        {"ErrorEquals": ["States.ALL"], "Next": "Package model"}
    ]


def test_uncompressed_models_have_no_size_to_ask_for(packaging: Callable[..., Any], states: States) -> None:
    packaging(compressed=False)
    assert "Ask for model size" not in states()
    assert states()["Package model"]["Catch"][0]["Next"] == "Package large model"


def test_a_function_that_runs_out_of_time_is_followed_by_a_job(
    packaging: Callable[..., Any], states: States
) -> None:
    packaging()
    found = states()["Package model"]
    assert found["Catch"][0] == {"ErrorEquals": ["DeadlineError"], "Next": "Package large model"}
    assert found["Arguments"]["Payload"] == EVENT
    assert "Lambda.TooManyRequestsException" in found["Retry"][0]["ErrorEquals"]


def test_the_job_gets_the_functions_event(packaging: Callable[..., Any], states: States) -> None:
    packaging()
    found = states()["Package large model"]
    assert found["Resource"].endswith(":states:::sagemaker:createProcessingJob.sync")
    arguments = found["Arguments"]
    assert evaluate(arguments["ProcessingJobName"]) == "v-1"
    pieces = evaluate(arguments["AppSpecification"]["ContainerArguments"])
    assert json.loads("".join(pieces)) == {
        **EVENT,
        "model_data": VARIABLES["training"]["model_data"],  # type: ignore[index]
        "output": "s3://models/v-1/model.tar.gz",
    }
    assert all(0 < len(piece) <= 256 for piece in pieces)
    assert evaluate(found["Assign"]["packaged"]["model_data_url"]) == "s3://models/v-1/model.tar.gz"
    assert evaluate(found["Assign"]["packaged"]["submit_directory"]) == "/opt/ml/model/code"


@pytest.mark.parametrize(
    ("state", "result", "etag"),
    [
        ("Package model", {"Payload": {"model_data_etag": '"0a"'}}, '"0a"'),
        ("Package model", {"Payload": {"model_data_etag": None}}, None),
        ("Package model", {"Payload": {}}, None),
        ("Package large model", {"ExitMessage": '{"model_data_etag": "\\"0a\\""}'}, '"0a"'),
        ("Package large model", {}, None),
    ],
)
def test_the_entity_tag_of_what_was_packaged_is_known(
    packaging: Callable[..., Any], states: States, state: str, result: Any, etag: str | None
) -> None:
    packaging()
    assigned = states()[state]["Assign"]["packaged"]["model_data_etag"]
    assert evaluate(assigned, states={"input": None, "result": result}) == etag


@pytest.mark.parametrize("length", [1, 150, 900])
def test_the_event_of_the_job_is_cut_into_pieces_that_the_api_takes(
    packaging: Callable[..., Any], states: States, length: int
) -> None:
    packaging()
    pieces = evaluate(
        states()["Package large model"]["Arguments"]["AppSpecification"]["ContainerArguments"],
        training={"model_data": "s3://jobs/" + "\u00e9" * length},
    )
    assert isinstance(pieces, list)
    assert all(0 < len(piece) <= 256 for piece in pieces)
    assert json.loads("".join(pieces))["model_data"] == "s3://jobs/" + "\u00e9" * length


def test_the_job_runs_the_same_code_under_the_same_role(
    packaging: Callable[..., Any], stack: Stack, states: States, statements: Statements
) -> None:
    packager = packaging()
    arguments = states()["Package large model"]["Arguments"]
    assert arguments["RoleArn"] == "${" + stack.resolve(packager.role.role_arn)["Fn::GetAtt"][0] + ".Arn}"
    (code,) = arguments["ProcessingInputs"]
    assert code["S3Input"]["LocalPath"] == "/opt/ml/processing/input/packager"
    assert code["S3Input"]["S3Uri"].endswith(".zip}")
    entry_point = arguments["AppSpecification"]["ContainerEntrypoint"]
    assert "python3 -m packager" in entry_point[2]
    assert all(len(part) <= 256 for part in entry_point)
    assert "/pytorch:2.13-cpu" in arguments["AppSpecification"]["ImageUri"]
    actions = str([s["Action"] for s in statements("PackagerServiceRole")])
    assert "ecr:BatchGetImage" in actions
    assert "logs:CreateLogGroup" in actions


def test_options_of_the_job(packaging: Callable[..., Any], stack: Stack, states: States) -> None:
    packaging(
        processing=Processing(
            instance_type="ml.c5.xlarge",
            image=PyTorchImage.training("2.6"),
            max_run=Duration.hours(2),
        ),
    )
    arguments = states()["Package large model"]["Arguments"]
    cluster = arguments["ProcessingResources"]["ClusterConfig"]
    assert cluster == {"InstanceCount": 1, "InstanceType": "ml.c5.xlarge", "VolumeSizeInGB": 10}
    assert "pytorch-training:2.6-cpu" in arguments["AppSpecification"]["ImageUri"]
    assert arguments["StoppingCondition"] == {"MaxRuntimeInSeconds": 7200}
    assert "NetworkConfig" not in arguments


def test_the_job_runs_in_the_functions_vpc(
    packaging: Callable[..., Any], stack: Stack, states: States, statements: Statements
) -> None:
    packaging(networking=Networking(vpc=ec2.Vpc(stack, "Vpc", max_azs=2)))
    network = states()["Package large model"]["Arguments"]["NetworkConfig"]["VpcConfig"]
    assert len(network["Subnets"]) == 2
    assert len(network["SecurityGroupIds"]) == 1
    assert "ec2:CreateNetworkInterfacePermission" in str(statements("PackagerServiceRole"))


def test_what_the_state_machine_may_do(packaging: Callable[..., Any], statements: Statements) -> None:
    packaging()
    by_action = {str(s["Action"]): s for s in statements("MachineRole")}
    head = by_action["s3:GetObject"]
    assert head["Resource"] == "arn:aws:s3:::jobs/training/*"
    job = next(s for action, s in by_action.items() if "CreateProcessingJob" in action)
    assert "processing-job/stack-pipeline-*" in str(job["Resource"])
    assert "sagemaker:AddTags" in job["Action"]
    passed = by_action["iam:PassRole"]
    assert passed["Condition"] == {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
    rule = next(s for action, s in by_action.items() if "events:PutRule" in action)
    assert "StepFunctionsGetEventsForSageMakerProcessingJobsRule" in str(rule["Resource"])


@pytest.mark.parametrize(
    ("job", "cause"),
    [
        (
            {"ProcessingJobStatus": "Failed", "ExitMessage": "NotGzipError: x", "ProcessingJobName": "v-1"},
            "NotGzipError: x; logs: /aws/sagemaker/ProcessingJobs, stream v-1",
        ),
        (
            {"ProcessingJobStatus": "Failed", "FailureReason": "no capacity", "ProcessingJobName": "v-1"},
            "no capacity; logs: /aws/sagemaker/ProcessingJobs, stream v-1",
        ),
    ],
)
def test_a_job_that_fails_says_why(
    packaging: Callable[..., Any], states: States, job: dict[str, str], cause: str
) -> None:
    packaging()
    failed = states()["Packaging failed"]
    given = {"Error": "States.TaskFailed", "Cause": json.dumps(job, separators=(",", ":"))}
    assert evaluate(failed["Output"], given) == {"Error": "PackagingJobFailed", "Cause": cause}


def test_any_other_failure_is_handed_on_as_it_is(packaging: Callable[..., Any], states: States) -> None:
    packaging()
    given = {"Error": "NotGzipError", "Cause": "AccessDenied"}
    assert evaluate(states()["Packaging failed"]["Output"], given) == given


@pytest.mark.parametrize("name", ["Package model", "Package large model"])
def test_whatever_fails_leads_to_one_state(packaging: Callable[..., Any], states: States, name: str) -> None:
    packaging()
    found = states()
    assert found[name]["Catch"][-1] == {"ErrorEquals": ["States.ALL"], "Next": "Packaging failed"}
    assert found["Packaging failed"]["End"] is True


def test_what_comes_after_a_failure_is_the_users_choice(stack: Stack, run: Run, states: States) -> None:
    packaging = ModelPackager(stack, "Packager").package_states(
        stack,
        "Packaging",
        event=EVENT,
        job_name="$version",
        job_name_prefix="stack-pipeline",
        model_arns=None,
        submit_directory="'/opt/ml/model/code'",
    )
    packaging.failed.next(sfn.Fail.jsonata(stack, "Sorry"))
    run(packaging)
    assert states()["Packaging failed"]["Next"] == "Sorry"


def test_a_packager_of_models_alone_has_no_job(stack: Stack) -> None:
    ModelPackager(stack, "Packager")
    roles = Template.from_stack(stack).find_resources("AWS::IAM::Policy")
    assert "ecr:" not in str(roles)
