"""What an execution says of a training job that did not complete."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from aws_cdk import Stack

from cdk_sagemaker_pytorch import PyTorchTrainingJob
from cdk_sagemaker_pytorch.local.step_functions import jsonata
from cdk_sagemaker_pytorch.training.failure_explanation import EXPLANATIONS, explained_failure

JOB = {"TrainingJobName": "job-1", "TrainingJobStatus": "Failed", "SecondaryStatus": "Failed"}


def explained(region: str = "eu-west-1", *, has_checkpoints: bool = False, **job: Any) -> str:
    stack = Stack(env={"region": region})
    expression = explained_failure(stack, "$job", has_checkpoints=has_checkpoints)
    return str(jsonata.evaluate(expression, {"job": JOB | job}))


def test_reason_likely_cause_log_and_page() -> None:
    reason = (
        'AlgorithmError: ExecuteUserScriptError:\nExitCode -9\nErrorMessage ""\nCommand "python train.py"'
    )
    assert explained(FailureReason=reason) == (
        f"{reason}; likely: killed, for the memory of the instance was full: a smaller batch, fewer workers"
        " that load data, or a larger instance type; logs: /aws/sagemaker/TrainingJobs, stream job-1;"
        " https://eu-west-1.console.aws.amazon.com/sagemaker/home?region=eu-west-1#/jobs/job-1"
    )


def test_a_job_that_can_be_resumed_says_how() -> None:
    stopped = explained(
        has_checkpoints=True, TrainingJobStatus="Stopped", SecondaryStatus="MaxRuntimeExceeded"
    )
    assert stopped.startswith(
        "job-1 is Stopped, MaxRuntimeExceeded; likely: it was stopped after max_run: raise it, or train less;"
        ' to go on from its checkpoints start an execution with {"resume_from": "job-1"}; logs: '
    )


def test_a_reason_that_says_nothing_known_is_given_as_it_is() -> None:
    assert explained(FailureReason="AlgorithmError: the moon").startswith(
        "AlgorithmError: the moon; logs: /aws/sagemaker/TrainingJobs, stream job-1; https://"
    )


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("cn-north-1", "https://console.amazonaws.cn/"),
        ("us-gov-west-1", "https://console.amazonaws-us-gov.com/"),
    ],
)
def test_each_partition_has_a_console_of_its_own(region: str, host: str) -> None:
    assert f"; {host}sagemaker/home?region={region}#/jobs/job-1" in explained(region)


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("CapacityError: Unable to provision requested ML compute capacity", "no instances of this type"),
        ("ResourceLimitExceeded: The account-level service limit", "quota"),
        (
            "InternalServerError: We encountered an internal error. Please try again.",
            "maximum_retry_attempts",
        ),
        ("ClientError: Data download failed: No S3 objects found under S3 URL", "a channel"),
        ("ClientError: AccessDenied when calling GetObject", "role may not"),
        ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB", "memory of the GPU"),
        ("ExitCode -7 Unexpected bus error encountered in worker", "shared memory"),
        ("ExitCode -11", "a library crashed"),
        ("OSError: [Errno 28] No space left on device", "volume_size"),
        ("InstallRequirementsError: ... No matching distribution found for tensorfloww", "requirements.txt"),
        ("train.py: error: unrecognized arguments: --epoch 3", "parser of the script"),
        ("ModuleNotFoundError: No module named 'timm'", "dependencies=[...]"),
        ("RuntimeError: Connection closed by peer [10.0.0.2]:43113", "logs of all"),
        ("ValueError: the loss is nan in epoch 7", "learning rate"),
    ],
)
def test_likely_causes(reason: str, words: str) -> None:
    said = explained(FailureReason=f"AlgorithmError: {reason}")
    likely = said.partition("; likely: ")[2].partition("; logs: ")[0]
    assert words in likely
    assert likely in EXPLANATIONS.values()


def test_it_is_the_cause_of_both_ways_to_fail(
    stack: Stack, run: Callable[[Any], Any], states: Callable[[], dict[str, Any]]
) -> None:
    run(PyTorchTrainingJob(stack, "Training", framework_version="2.13"))
    found = states()
    failed = {"input": {"Error": "States.TaskFailed", "Cause": json.dumps(JOB | {"FailureReason": "no"})}}
    cause = found["Training failed"]["Cause"].removeprefix("{%").removesuffix("%}")
    assert jsonata.evaluate(cause, {"states": failed}).startswith("no; logs: ")
    other = {"input": {"Error": "States.TaskFailed", "Cause": "no JSON"}}
    assert jsonata.evaluate(cause, {"states": other}) == "no JSON"
    explanation = (
        found["Describe training job"]["Output"]["explanation"].removeprefix("{%").removesuffix("%}")
    )
    attached = {"result": JOB | {"FailureReason": "no"}}
    assert jsonata.evaluate(explanation, {"states": attached}).startswith("no; logs: ")
    assert found["Training job not completed"]["Cause"] == "{% $states.input.explanation %}"


@pytest.mark.parametrize(
    ("found", "warned"),
    [([], ["loss", "f1"]), (["loss"], ["f1"]), (["loss", "f1"], []), (["f1", "other"], ["loss"])],
)
def test_a_metric_that_the_log_does_not_have_is_warned_of(
    stack: Stack,
    run: Callable[[Any], Any],
    states: Callable[[], dict[str, Any]],
    found: list[str],
    warned: list[str],
) -> None:
    job = PyTorchTrainingJob(
        stack,
        "Training",
        framework_version="2.13",
        metric_definitions={"loss": "loss=([0-9.]+)", "f1": "f1=([0-9.]+)"},
    )
    run(job)
    result = JOB | {
        "AlgorithmSpecification": {"MetricDefinitions": [{"Name": "loss"}, {"Name": "f1"}]},
        "FinalMetricDataList": [{"MetricName": name, "Value": 1} for name in found],
    }
    expected = [
        (
            f"no line of the log gave a number for {', '.join(warned)}: compare the regular expressions in"
            " metric_definitions with what the script prints"
        )
    ]
    for state in ("Train", "Describe training job"):
        warnings = states()[state]["Output"]["warnings"].removeprefix("{%").removesuffix("%}")
        given = jsonata.evaluate(warnings, {"states": {"result": result}})
        assert given == (expected if warned else [])


def test_the_bundled_scripts_own_metrics_are_not_warned_of(
    stack: Stack, run: Callable[[Any], Any], states: Callable[[], dict[str, Any]]
) -> None:
    run(PyTorchTrainingJob(stack, "Training", framework_version="2.13"))
    assert states()["Train"]["Output"]["warnings"] == "{% [] %}"
