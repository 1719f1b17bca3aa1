import datetime as dt
import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cdk_sagemaker_pytorch.local import LocalAws
from waiting import wait_for

pytestmark = pytest.mark.local

ALL_OF_SAGEMAKER = {"Effect": "Allow", "Action": "sagemaker:*", "Resource": "*"}


def sdk(action: str, arguments: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return a task state of an AWS SDK integration that ends the machine."""
    resource = f"arn:aws:states:::aws-sdk:{action}"
    return {"Type": "Task", "Resource": resource, "Arguments": arguments, "End": True} | more


def test_jsonata_assigns_chooses_and_outputs(execute: Callable[..., Any]) -> None:
    states = {
        "Start": {
            "Type": "Pass",
            "Assign": {"version": "{% 'v-' & $states.input.number %}", "text": '"quoted" \\ {% $nothing %}'},
            "Output": "{% {'numbers': $range(1, 3, 1), 'none': null} %}",
            "Next": "Choose",
        },
        "Choose": {
            "Type": "Choice",
            "Choices": [
                {"Condition": "{% $states.input.none = null and $version = 'v-7' %}", "Next": "Each"}
            ],
            "Default": "Wrong",
        },
        "Each": {
            "Type": "Map",
            "Items": "{% $states.input.numbers %}",
            "ItemProcessor": {
                "StartAt": "Square",
                "States": {
                    "Square": {"Type": "Pass", "Output": "{% $states.input * $states.input %}", "End": True}
                },
            },
            "Output": "{% {'squares': $states.result, 'version': $version, 'text': $text} %}",
            "End": True,
        },
        "Wrong": {"Type": "Fail"},
    }
    execution = execute(states, execution_input={"number": 7})
    assert execution["status"] == "SUCCEEDED"
    assert json.loads(execution["output"]) == {
        "squares": [1, 4, 9],
        "version": "v-7",
        "text": '"quoted" \\ {% $nothing %}',
    }


def test_the_context_object_is_complete(execute: Callable[..., Any], name: str) -> None:
    states = {"Show": {"Type": "Pass", "Output": "{% $states.context %}", "End": True}}
    execution = execute(states, execution_input={"a": 1})
    context = json.loads(execution["output"])
    assert context["Execution"] == {
        "Id": execution["executionArn"],
        "Name": execution["name"],
        "Input": {"a": 1},
        "RoleArn": f"arn:aws:iam::123456789012:role/{name}-states",
        "StartTime": context["Execution"]["StartTime"],
        "RedriveCount": 0,
    }
    assert context["StateMachine"] == {"Id": execution["stateMachineArn"], "Name": name}
    assert (context["State"]["Name"], context["State"]["RetryCount"]) == ("Show", 0)
    for time in (context["Execution"]["StartTime"], context["State"]["EnteredTime"]):
        assert time.endswith("Z")
        assert abs(dt.datetime.fromisoformat(time) - execution["startDate"]) < dt.timedelta(seconds=60)


def test_fails_when_an_expression_has_no_value(execute: Callable[..., Any]) -> None:
    execution = execute({"Ask": {"Type": "Pass", "Output": "{% $states.input.missing %}", "End": True}})
    assert (execution["status"], execution["error"]) == ("FAILED", "States.QueryEvaluationError")
    assert "'$states.input.missing' returned nothing (undefined)" in execution["cause"]


def test_jsonpath_machines_run_too(execute: Callable[..., Any]) -> None:
    states = {"Make": {"Type": "Pass", "Parameters": {"name.$": "States.Format('x-{}', $.n)"}, "End": True}}
    execution = execute(states, execution_input={"n": 3}, language="JSONPath")
    assert json.loads(execution["output"]) == {"name": "x-3"}


def test_errors_of_sdk_integrations_have_their_names_on_aws(execute: Callable[..., Any]) -> None:
    caught = {"Type": "Pass", "Output": "{% $states.input %}", "End": True}
    catch = [{"ErrorEquals": ["SageMaker.SageMakerException"], "Next": "Caught"}]
    find = sdk("sagemaker:describeEndpoint", {"EndpointName": "missing"}, Catch=catch)
    execution = execute({"Find": find, "Caught": caught}, ALL_OF_SAGEMAKER)
    error = json.loads(execution["output"])
    assert error["Error"] == "SageMaker.SageMakerException"
    assert error["Cause"].startswith('Could not find endpoint "arn:aws:sagemaker:us-east-1:123456789012:')
    assert "Service: SageMaker, Status Code: 400" in error["Cause"]


@pytest.mark.parametrize(
    ("caught", "status"), [("States.ALL", "FAILED"), ("States.DataLimitExceeded", "SUCCEEDED")]
)
def test_a_result_of_more_than_256_kib_is_caught_by_its_own_name_alone(
    aws: LocalAws, execute: Callable[..., Any], bucket: str, caught: str, status: str
) -> None:
    aws.client("s3").put_object(Bucket=bucket, Key="large", Body=b"x" * 256 * 1024)
    get = sdk(
        "s3:getObject",
        {"Bucket": bucket, "Key": "large"},
        Retry=[{"ErrorEquals": [caught], "MaxAttempts": 1, "IntervalSeconds": 1}],
        Catch=[{"ErrorEquals": [caught], "Next": "Caught"}],
    )
    states = {"Get": get, "Caught": {"Type": "Pass", "Output": "{% $states.input.Error %}", "End": True}}
    execution = execute(states, {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"})
    assert execution["status"] == status
    assert execution.get("error", json.loads(execution.get("output", "0"))) == "States.DataLimitExceeded"


def test_nothing_catches_what_the_interpreter_cannot_do(execute: Callable[..., Any]) -> None:
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::aws-sdk:sagemaker:listModels",
        "InputPath": "$.missing",
        "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Caught"}],
        "End": True,
    }
    caught = {"Type": "Pass", "End": True}
    execution = execute({"List": task, "Caught": caught}, ALL_OF_SAGEMAKER, language="JSONPath")
    assert (execution["status"], execution["error"]) == ("FAILED", "States.Runtime")


def test_an_execution_takes_256_kib_of_input(aws: LocalAws, execute: Callable[..., Any], name: str) -> None:
    most = 256 * 1024 - len('{"text": ""}') - 1  # a state takes less than that
    states = {"Count": {"Type": "Pass", "Output": "{% $length($states.input.text) %}", "End": True}}
    execution = execute(states, execution_input={"text": "x" * most})
    assert json.loads(execution["output"]) == most
    with pytest.raises(ClientError, match="length less than or equal to 262144") as failure:
        aws.client("stepfunctions").start_execution(
            stateMachineArn=execution["stateMachineArn"], input=json.dumps({"text": "x" * (most + 2)})
        )
    assert failure.value.response["Error"]["Code"] == "ValidationException"


def test_sdk_results_are_json(
    aws: LocalAws, execute: Callable[..., Any], train: Callable[..., Any], name: str
) -> None:
    train("pass")
    task = sdk(
        "sagemaker:describeTrainingJob",
        {"TrainingJobName": name},
        Output={
            "epochs": "{% $states.result.HyperParameters.epochs %}",
            "created": "{% $states.result.CreationTime %}",
        },
    )
    output = json.loads(execute({"Describe": task}, ALL_OF_SAGEMAKER)["output"])
    assert output["epochs"] == "2"
    assert dt.datetime.fromisoformat(output["created"]).tzinfo is not None


def test_names_of_parameters_and_results_are_capitalised(execute: Callable[..., Any], name: str) -> None:
    states = {
        "Make": sdk("cloudwatchlogs:createLogGroup", {"LogGroupName": name}) | {"Next": "List"},
        "List": sdk("cloudwatchlogs:describeLogGroups", {"LogGroupNamePrefix": name})
        | {"Output": "{% $states.result.LogGroups[0].LogGroupName %}"},
    }
    del states["Make"]["End"]
    execution = execute(states, {"Effect": "Allow", "Action": "logs:*", "Resource": "*"})
    assert execution["output"] in (name, json.dumps(name))


@pytest.fixture
def training_arguments(
    put_archive: Callable[..., str], bucket: str, name: str, sagemaker_role: str, training_image: str
) -> Callable[[str], dict[str, Any]]:
    def build(script: str) -> dict[str, Any]:
        uri = put_archive("sourcedir.tar.gz", {"train.py": script})
        return {
            "TrainingJobName": name,
            "AlgorithmSpecification": {"TrainingImage": training_image, "TrainingInputMode": "File"},
            "RoleArn": sagemaker_role,
            "HyperParameters": {
                "sagemaker_program": json.dumps("train.py"),
                "sagemaker_submit_directory": json.dumps(uri),
            },
            "OutputDataConfig": {"S3OutputPath": f"s3://{bucket}/out"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
            "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        }

    return build


def training_state(arguments: dict[str, Any], **more: Any) -> dict[str, Any]:
    resource = "arn:aws:states:::sagemaker:createTrainingJob.sync"
    return {"Type": "Task", "Resource": resource, "Arguments": arguments, "End": True} | more


TRAINING_STATEMENTS = [
    ALL_OF_SAGEMAKER,
    {"Effect": "Allow", "Action": "iam:PassRole", "Resource": "*"},
]


def test_create_training_job_sync_waits_for_the_job(
    aws: LocalAws,
    execute: Callable[..., Any],
    training_arguments: Callable[[str], Any],
    name: str,
    bucket: str,
) -> None:
    execution = execute({"Train": training_state(training_arguments("pass"))}, *TRAINING_STATEMENTS)
    assert execution["status"] == "SUCCEEDED", execution
    job = json.loads(execution["output"])
    assert (job["TrainingJobName"], job["TrainingJobStatus"]) == (name, "Completed")
    assert job["ModelArtifacts"]["S3ModelArtifacts"] == f"s3://{bucket}/out/{name}/output/model.tar.gz"
    assert isinstance(job["CreationTime"], int)
    tags = aws.client("sagemaker").list_tags(ResourceArn=job["TrainingJobArn"])["Tags"]
    assert tags == [{"Key": "MANAGED_BY_AWS", "Value": "STARTED_BY_STEP_FUNCTIONS"}]


def test_a_metric_that_json_has_no_number_for_stays_a_text(
    aws: LocalAws, execute: Callable[..., Any], training_arguments: Callable[[str], Any], name: str
) -> None:
    arguments = training_arguments("print('loss=nan best=-inf')")
    arguments["AlgorithmSpecification"] |= {
        "MetricDefinitions": [
            {"Name": "loss", "Regex": r"loss=(\S+)"},
            {"Name": "best", "Regex": r"best=(\S+)"},
        ]
    }
    described = {
        "Type": "Task",
        "Resource": "arn:aws:states:::aws-sdk:sagemaker:describeTrainingJob",
        "Arguments": {"TrainingJobName": name},
        "Output": "{% [$train, $states.result].FinalMetricDataList.{MetricName: Value} %}",
        "End": True,
    }
    train = training_state(arguments, Assign={"train": "{% $states.result %}"}, Next="Describe")
    del train["End"]
    execution = execute({"Train": train, "Describe": described}, *TRAINING_STATEMENTS)
    assert execution["status"] == "SUCCEEDED", execution
    metrics = {"loss": "NaN", "best": "-Infinity"}
    found = {name: value for each in json.loads(execution["output"]) for name, value in each.items()}
    assert found == metrics
    job = aws.client("sagemaker").describe_training_job(TrainingJobName=name)
    values = {str(each["Value"]) for each in job["FinalMetricDataList"]}
    assert values == {"nan", "-inf"}


def test_fails_with_the_job_when_the_job_fails(
    execute: Callable[..., Any], training_arguments: Callable[[str], Any]
) -> None:
    state = training_state(training_arguments("raise SystemExit('no data left')"))
    execution = execute({"Train": state}, *TRAINING_STATEMENTS)
    assert (execution["status"], execution["error"]) == ("FAILED", "States.TaskFailed")
    cause = json.loads(execution["cause"])
    assert cause["TrainingJobStatus"] == "Failed"
    first, *_ = cause["FailureReason"].splitlines()
    assert first == "AlgorithmError: the script ended with exit code 1: no data left"


def test_fails_when_the_role_may_not_create_the_job(
    execute: Callable[..., Any], training_arguments: Callable[[str], Any]
) -> None:
    statements = [ALL_OF_SAGEMAKER]  # no iam:PassRole
    execution = execute({"Train": training_state(training_arguments("pass"))}, *statements)
    assert (execution["status"], execution["error"]) == ("FAILED", "SageMaker.AmazonSageMakerException")
    assert "is not authorized to perform: iam:PassRole" in execution["cause"]


def test_fails_when_the_role_may_not_mark_the_job_that_it_waits_for(
    execute: Callable[..., Any], training_arguments: Callable[[str], Any]
) -> None:
    forbidden = {"Effect": "Deny", "Action": "sagemaker:AddTags", "Resource": "*"}
    execution = execute(
        {"Train": training_state(training_arguments("pass"))}, *TRAINING_STATEMENTS, forbidden
    )
    assert execution["status"] == "FAILED"
    assert "is not authorized to perform: sagemaker:AddTags" in execution["cause"]


def test_stopping_an_execution_stops_its_job(
    aws: LocalAws,
    execute: Callable[..., Any],
    training_arguments: Callable[[str], Any],
    name: str,
) -> None:
    state = training_state(training_arguments("import time\ntime.sleep(600)"))
    execution = execute({"Train": state}, *TRAINING_STATEMENTS, wait=False)
    sagemaker, machines = aws.client("sagemaker"), aws.client("stepfunctions")
    wait_for(lambda: sagemaker.list_training_jobs(NameContains=name)["TrainingJobSummaries"])
    machines.stop_execution(executionArn=execution["executionArn"])
    status = lambda: sagemaker.describe_training_job(TrainingJobName=name)["TrainingJobStatus"]  # noqa: E731
    wait_for(lambda: status() == "Stopped")
    assert machines.describe_execution(executionArn=execution["executionArn"])["status"] == "ABORTED"


def test_a_task_that_times_out_stops_its_job(
    aws: LocalAws,
    execute: Callable[..., Any],
    training_arguments: Callable[[str], Any],
    name: str,
) -> None:
    state = training_state(training_arguments("import time\ntime.sleep(600)"), TimeoutSeconds=5)
    execution = execute({"Train": state}, *TRAINING_STATEMENTS)
    assert (execution["status"], execution["error"]) == ("FAILED", "States.Timeout")

    def stopped() -> bool:
        # On a busy machine the time may be over before the job begins.
        jobs = aws.client("sagemaker").list_training_jobs(NameContains=name)["TrainingJobSummaries"]
        return [job["TrainingJobStatus"] for job in jobs] == ["Stopped"]

    wait_for(stopped)


def test_fails_when_an_integration_does_not_exist(execute: Callable[..., Any]) -> None:
    state = {"Type": "Task", "Resource": "arn:aws:states:::sagemaker:createWish", "End": True}
    with pytest.raises(Exception, match="not recognized"):
        execute({"Wish": state})


def test_a_definition_that_is_refused_leaves_no_trace_in_others(
    aws: LocalAws, create_role: Callable[..., str], name: str, execute: Callable[..., Any]
) -> None:
    wrong = {"S": {"Type": "Pass", "QueryLanguage": "JSONPath", "End": True}}
    with pytest.raises(Exception, match="Cannot downgrade"):
        aws.client("stepfunctions").create_state_machine(
            name=f"{name}-wrong",
            definition=json.dumps({"QueryLanguage": "JSONata", "StartAt": "S", "States": wrong}),
            roleArn=create_role("states.amazonaws.com", suffix="-wrong"),
        )
    right = {"S": {"Type": "Pass", "InputPath": "$.value", "End": True}}
    execution = execute(right, execution_input={"value": 1}, language="JSONPath")
    assert (execution["status"], execution.get("output")) == ("SUCCEEDED", "1"), execution


MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:none"


@pytest.mark.parametrize(
    ("operation", "parameters", "code"),
    [
        ("create_state_machine", {"name": "wrong", "definition": "{"}, "InvalidDefinition"),
        ("create_state_machine", {"name": "wrong", "definition": '{"StartAt": "A"}'}, "InvalidDefinition"),
        ("list_executions", {}, "ValidationException"),
        ("list_executions", {"stateMachineArn": MACHINE}, "StateMachineDoesNotExist"),
        ("describe_execution", {"executionArn": "x"}, "InvalidArn"),
        ("get_execution_history", {"executionArn": "arn:aws:states"}, "InvalidArn"),
        ("describe_state_machine_alias", {"stateMachineAliasArn": "x"}, "InvalidArn"),
        ("delete_state_machine_alias", {"stateMachineAliasArn": "x"}, "InvalidArn"),
        ("describe_map_run", {"mapRunArn": MACHINE}, "ResourceNotFound"),
        ("send_task_success", {"taskToken": "x", "output": "{}"}, "InvalidToken"),
        ("send_task_failure", {"taskToken": "x"}, "InvalidToken"),
        ("send_task_heartbeat", {"taskToken": "x"}, "InvalidToken"),
        # Not simulated, and said by the local AWS, not by a host of another name that is not there.
        ("start_sync_execution", {"stateMachineArn": MACHINE}, "NotImplemented"),
        ("list_executions", {"mapRunArn": MACHINE}, "NotImplemented"),
    ],
)
def test_what_the_api_refuses_has_the_code_of_aws(
    aws: LocalAws, create_role: Callable[..., str], operation: str, parameters: dict[str, Any], code: str
) -> None:
    if "definition" in parameters:
        parameters = parameters | {"roleArn": create_role("states.amazonaws.com")}
    with pytest.raises(ClientError) as failure:
        getattr(aws.client("stepfunctions"), operation)(**parameters)
    assert failure.value.response["Error"]["Code"] == code


def test_an_update_that_changes_nothing_is_refused_by_name(
    aws: LocalAws, execute: Callable[..., Any]
) -> None:
    execution = execute({"Pass": {"Type": "Pass", "End": True}})
    with pytest.raises(ClientError) as failure:
        aws.client("stepfunctions").update_state_machine(stateMachineArn=execution["stateMachineArn"])
    assert failure.value.response["Error"]["Code"] == "MissingRequiredParameter"


def test_a_machine_that_aws_refuses_is_not_made(
    aws: LocalAws, create_role: Callable[..., str], name: str
) -> None:
    states, role = aws.client("stepfunctions"), create_role("states.amazonaws.com")
    others = create_role("lambda.amazonaws.com", suffix="-other")
    right = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}})
    lost = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "B"}}})

    def refused(definition: str, role_arn: str) -> str:
        with pytest.raises(ClientError) as failure:
            states.create_state_machine(name=name, definition=definition, roleArn=role_arn)
        return str(failure.value.response["Error"]["Code"])

    assert refused(lost, role) == "InvalidDefinition"
    assert refused(right, others) == "AccessDeniedException"
    arn = states.create_state_machine(name=name, definition=right, roleArn=role)["stateMachineArn"]
    assert states.create_state_machine(name=name, definition=right, roleArn=role)["stateMachineArn"] == arn
    assert refused(right.replace("Pass", "Wait").replace('"End"', '"Seconds": 0, "End"'), role) == (
        "StateMachineAlreadyExists"
    )
    for arguments in ({"definition": lost}, {"roleArn": others}):
        with pytest.raises(ClientError, match=r"InvalidDefinition|AccessDenied"):
            states.update_state_machine(stateMachineArn=arn, **arguments)
    assert states.describe_state_machine(stateMachineArn=arn)["definition"] == right
