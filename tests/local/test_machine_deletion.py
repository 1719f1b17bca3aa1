import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cdk_sagemaker_pytorch.local import LocalAws
from waiting import wait_for

pytestmark = pytest.mark.local

WAIT = {"Wait": {"Type": "Wait", "Seconds": 600, "End": True}}


@pytest.fixture
def delete(aws: LocalAws) -> Callable[[str], None]:
    """Delete a state machine, and wait until it is gone."""

    def run(arn: str) -> None:
        machines = aws.client("stepfunctions")
        machines.delete_state_machine(stateMachineArn=arn)

        def gone() -> bool:
            try:
                return machines.describe_state_machine(stateMachineArn=arn)["status"] != "DELETING"
            except machines.exceptions.StateMachineDoesNotExist:
                return True

        wait_for(gone)
        with pytest.raises(machines.exceptions.StateMachineDoesNotExist):
            machines.describe_state_machine(stateMachineArn=arn)

    return run


def test_deleting_a_machine_aborts_its_executions(
    aws: LocalAws, execute: Callable[..., Any], delete: Callable[[str], None]
) -> None:
    machines = aws.client("stepfunctions")
    execution = execute(WAIT, wait=False)
    delete(execution["stateMachineArn"])
    left = machines.describe_execution(executionArn=execution["executionArn"])
    assert left["status"] == "ABORTED"
    assert left["stopDate"] >= left["startDate"]
    assert machines.get_execution_history(executionArn=execution["executionArn"])["events"]
    with pytest.raises(machines.exceptions.StateMachineDoesNotExist):
        machines.list_executions(stateMachineArn=execution["stateMachineArn"])
    with pytest.raises(machines.exceptions.StateMachineDoesNotExist):
        machines.start_execution(stateMachineArn=execution["stateMachineArn"])


def test_deleting_a_machine_stops_the_job_that_it_waits_for(
    aws: LocalAws,
    execute: Callable[..., Any],
    delete: Callable[[str], None],
    put_archive: Callable[..., str],
    bucket: str,
    name: str,
    sagemaker_role: str,
    training_image: str,
) -> None:
    uri = put_archive("sourcedir.tar.gz", {"train.py": "import time\ntime.sleep(600)"})
    arguments = {
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
    resource = "arn:aws:states:::sagemaker:createTrainingJob.sync"
    states = {"Train": {"Type": "Task", "Resource": resource, "Arguments": arguments, "End": True}}
    allowed = {"Effect": "Allow", "Action": ["sagemaker:*", "iam:PassRole"], "Resource": "*"}
    execution = execute(states, allowed, wait=False)
    sagemaker = aws.client("sagemaker")
    wait_for(lambda: sagemaker.list_training_jobs(NameContains=name)["TrainingJobSummaries"])
    delete(execution["stateMachineArn"])
    status = lambda: sagemaker.describe_training_job(TrainingJobName=name)["TrainingJobStatus"]  # noqa: E731
    assert status() in ("Stopping", "Stopped")
    wait_for(lambda: status() == "Stopped")


def test_a_name_is_free_when_its_machine_is_gone(
    aws: LocalAws, name: str, execute: Callable[..., Any], delete: Callable[[str], None]
) -> None:
    machines = aws.client("stepfunctions")
    old = execute(WAIT, wait=False)
    delete(old["stateMachineArn"])
    definition = json.dumps({"StartAt": "End", "States": {"End": {"Type": "Succeed"}}})
    role = f"arn:aws:iam::123456789012:role/{name}-states"
    machines.create_state_machine(name=name, definition=definition, roleArn=role)
    assert machines.list_executions(stateMachineArn=old["stateMachineArn"])["executions"] == []
    assert machines.describe_execution(executionArn=old["executionArn"])["status"] == "ABORTED"


def test_fails_as_the_api_says_where_nothing_is(aws: LocalAws, name: str) -> None:
    machines = aws.client("stepfunctions")
    arn = f"arn:aws:states:us-east-1:123456789012:execution:{name}:{name}"
    for call in (machines.describe_execution, machines.stop_execution, machines.get_execution_history):
        with pytest.raises(machines.exceptions.ExecutionDoesNotExist):
            call(executionArn=arn)
    with pytest.raises(ClientError) as failure:
        machines.describe_execution(executionArn="arn:aws:states")
    assert failure.value.response["Error"]["Code"] == "InvalidArn"
    machines.delete_state_machine(stateMachineArn=arn.replace("execution", "stateMachine")[: -len(name) - 1])


def test_executions_are_listed_by_their_status(aws: LocalAws, execute: Callable[..., Any]) -> None:
    machines = aws.client("stepfunctions")
    machine = execute(WAIT, wait=False)["stateMachineArn"]
    arn = machines.start_execution(stateMachineArn=machine)["executionArn"]
    machines.stop_execution(executionArn=arn)
    names = lambda status: [  # noqa: E731
        execution["executionArn"]
        for execution in machines.list_executions(stateMachineArn=machine, statusFilter=status)["executions"]
    ]
    assert names("ABORTED") == [arn]
    assert len(names("RUNNING")) == 1
    assert names("SUCCEEDED") == []
