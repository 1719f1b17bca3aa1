"""Checkpoints belong to one execution, survive its interruptions, and are what another one begins with."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App, CfnOutput, Stack
from aws_cdk import aws_stepfunctions as sfn

from cdk_sagemaker_pytorch import Compute, PyTorchTrainingJob, SourceCode
from cdk_sagemaker_pytorch.local import LocalAws
from waiting import end_of_execution, wait_for

pytestmark = pytest.mark.local

# Counts to the number that it is given, and writes each down as a checkpoint; it waits for gates in between.
COUNTS = """
import argparse, os, pathlib, time
parser = argparse.ArgumentParser()
parser.add_argument("--until", type=int)
parser.add_argument("--gates", default="")
arguments = parser.parse_args()
checkpoints = pathlib.Path(os.environ["SM_MODEL_DIR"]).parent / "checkpoints"
found = sorted(int(path.name) for path in checkpoints.iterdir() if path.name.isdigit())
first = found[-1] + 1 if found else 1
print(f"begins={first}", flush=True)
for number in range(first, arguments.until + 1):
    (checkpoints / str(number)).write_text(str(number))
    while arguments.gates and not pathlib.Path(arguments.gates, str(number)).exists():
        time.sleep(0.01)
pathlib.Path(os.environ["SM_MODEL_DIR"], "counted").write_text(str(arguments.until))
"""


class Counting:
    """The stack, its state machine, and what its jobs found and left."""

    def __init__(self, aws: LocalAws, machine: str) -> None:
        self.aws = aws
        self._machine = machine
        self._states = aws.client("stepfunctions")
        self._sagemaker = aws.client("sagemaker")

    def start(self, **given: Any) -> str:
        """Start an execution."""
        return str(
            self._states.start_execution(stateMachineArn=self._machine, input=json.dumps(given))[
                "executionArn"
            ]
        )

    def end(self, execution: str) -> dict[str, Any]:
        """Wait for its end, and describe it."""
        return end_of_execution(self._states, execution)

    def job(self, execution: str) -> str:
        """Wait for the name of the training job of an execution."""

        def named() -> str | None:
            for event in self._states.get_execution_history(executionArn=execution)["events"]:
                details = event.get("taskScheduledEventDetails", {})
                if details.get("resource") == "createTrainingJob.sync":
                    return str(json.loads(details["parameters"])["TrainingJobName"])
            return None

        return str(wait_for(named))

    def counted(self, execution: str) -> tuple[list[str], set[str]]:
        """Say where its job began, each time, and which checkpoints it left."""
        ended = self.end(execution)
        assert ended["status"] == "SUCCEEDED", ended
        name = json.loads(ended["output"])["training_job_name"]
        log = (self.aws.logs_directory / "training" / name / "algo-1.log").read_text()
        uri = self._sagemaker.describe_training_job(TrainingJobName=name)["CheckpointConfig"]["S3Uri"]
        assert uri.endswith("/")
        return [line for line in log.splitlines() if line.startswith("begins=")], self.checkpoints(uri)

    def checkpoints(self, uri: str) -> set[str]:
        """Names of the checkpoints below a prefix."""
        bucket, _, prefix = uri.removeprefix("s3://").partition("/")
        found = self.aws.client("s3").list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])
        return {each["Key"].removeprefix(prefix) for each in found}


@pytest.fixture(scope="module")
def counting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counting]:
    folder = tmp_path_factory.mktemp("counting")
    (folder / "count.py").write_text(COUNTS)
    app = App(outdir=str(folder / "cdk.out"))
    stack = Stack(app, "Counting")
    job = PyTorchTrainingJob(
        stack,
        "Job",
        framework_version="2.13",
        source_code=SourceCode.from_file(folder / "count.py"),
        hyperparameters={"until": 2},
        compute=Compute(use_spot_instances=True),
        checkpoints="checkpoints",
    )
    machine = sfn.StateMachine(stack, "Machine", definition_body=sfn.DefinitionBody.from_chainable(job))
    CfnOutput(stack, "MachineArn", value=machine.state_machine_arn)
    app.synth()
    with LocalAws(folder / "aws", wait_factor=0.1) as aws:
        outputs = aws.deploy(folder / "cdk.out")["Counting"]
        yield Counting(aws, outputs["MachineArn"])


def test_the_next_execution_begins_without_checkpoints_unless_it_names_a_job(counting: Counting) -> None:
    first, second = counting.start(), counting.start()
    for execution in (first, second):
        assert counting.counted(execution) == (["begins=1"], {"1", "2"})
    third = counting.start(resume_from=counting.job(first), hyperparameters={"until": 4})
    assert counting.counted(third) == (["begins=3"], {"1", "2", "3", "4"})
    fourth = counting.start(resume_from=counting.job(third), hyperparameters={"until": 5})
    assert counting.counted(fourth) == (["begins=5"], {"1", "2", "3", "4", "5"})
    assert counting.counted(first) == (["begins=1"], {"1", "2"}), "what is resumed stays as it is"


def test_an_interrupted_job_goes_on_by_itself_and_is_not_resumed_while_it_runs(
    counting: Counting, tmp_path: Path
) -> None:
    execution = counting.start(hyperparameters={"until": 3, "gates": str(tmp_path)})
    name = counting.job(execution)
    sagemaker = counting.aws.client("sagemaker")

    def has_saved(number: int) -> bool:
        uri = sagemaker.describe_training_job(TrainingJobName=name)["CheckpointConfig"]["S3Uri"]
        return str(number) in counting.checkpoints(uri)

    (tmp_path / "1").touch()
    wait_for(lambda: has_saved(2))
    refused = counting.end(counting.start(resume_from=name))
    assert (refused["status"], refused["error"]) == ("FAILED", "NotResumable")
    assert refused["cause"].startswith(f"resume_from {name} is InProgress and writes checkpoints still")
    counting.aws.interrupt(name, grace_seconds=0.1)
    (tmp_path / "3").touch()
    assert counting.counted(execution) == (["begins=1", "begins=3"], {"1", "2", "3"})


def test_fails_when_there_is_nothing_to_resume(counting: Counting) -> None:
    missing = counting.end(counting.start(resume_from="nobody"))
    assert missing["status"] == "FAILED"
    assert "nobody" in missing["cause"] or "not found" in missing["cause"]
    empty = counting.start(hyperparameters={"until": 0})
    assert counting.counted(empty) == (["begins=1"], set())
    nothing = counting.end(counting.start(resume_from=counting.job(empty)))
    assert (nothing["status"], nothing["error"]) == ("FAILED", "NoCheckpointsError")
    assert nothing["cause"].startswith(
        f"training job {counting.job(empty)} has written no checkpoints to s3://"
    )
