"""Checkpoints of one execution each, and the next one that begins with them."""

from collections.abc import Callable
from typing import Any

import pytest
from aws_cdk import Duration, Stack
from aws_cdk import aws_s3 as s3
from aws_cdk.assertions import Match, Template

from cdk_sagemaker_pytorch import (
    ArtifactsBucket,
    Checkpoints,
    ConfigurationError,
    OutputData,
    PyTorchTrainingJob,
)
from cdk_sagemaker_pytorch.local.step_functions import jsonata

CONTEXT = {
    "Execution": {
        "Id": "arn:aws:states:us-east-1:123456789012:execution:Machine:first",
        "StartTime": "2026-11-22T16:45:07.123Z",
        "RedriveCount": 0,
    },
    "State": {"EnteredTime": "2026-11-22T16:45:08.000Z"},
}
BASE = "s3://out/checkpoints/"


def evaluate(field: str, *, given: Any = None, **variables: Any) -> Any:
    expression = field.removeprefix("{%").removesuffix("%}")
    return jsonata.evaluate(expression, {"states": {"input": given, "context": CONTEXT}, **variables})


@pytest.fixture
def resumable(
    stack: Stack, run: Callable[[Any], Any], states: Callable[[], dict[str, Any]]
) -> dict[str, Any]:
    """The states of a training job with checkpoints in the bucket out."""
    output = OutputData(bucket=s3.Bucket.from_bucket_name(stack, "Out", "out"))
    run(
        PyTorchTrainingJob(
            stack, "Training", framework_version="2.13", checkpoints="checkpoints", output=output
        )
    )
    return states()


def test_each_entry_of_the_states_has_a_prefix_of_its_own(resumable: dict[str, Any]) -> None:
    first = resumable["Attach?"]
    assert first["Default"] == "Train"
    uri = evaluate(first["Assign"]["checkpoints_uri"])
    assert uri.startswith(f"{BASE}20261122164507-")
    assert uri.endswith("/")
    of_item = {**CONTEXT, "Map": {"Item": {"Index": 1}}}
    expression = first["Assign"]["checkpoints_uri"].removeprefix("{%").removesuffix("%}")
    assert jsonata.evaluate(expression, {"states": {"context": of_item}}) != uri


def test_a_new_job_begins_with_a_copy_of_the_checkpoints_of_the_one_that_is_named(
    resumable: dict[str, Any],
) -> None:
    attach, resume = resumable["Attach?"]["Choices"]
    assert attach["Next"] == "Describe training job"
    assert "checkpoints_uri" not in attach.get("Assign", {})
    assert resume["Next"] == "Describe job to resume"
    assert resume["Assign"] == resumable["Attach?"]["Assign"]
    assert evaluate(resume["Condition"], given={"resume_from": "job-1"})
    assert not evaluate(resume["Condition"], given={"hyperparameters": {}})
    copy = resumable["Copy checkpoints"]
    resumed = {"status": "Failed", "uri": f"{BASE}old/"}
    payload = {
        name: evaluate(value, given={"resume_from": "job-1"}, resumed=resumed, checkpoints_uri=f"{BASE}new/")
        for name, value in copy["Arguments"]["Payload"].items()
    }
    assert payload == {
        "training_job_name": "job-1",
        "source": f"{BASE}old/",
        "target": f"{BASE}new/",
    }
    assert copy["Next"] == "Train"
    given = {"resume_from": "job-1", "hyperparameters": {"epochs": 3}}
    for state in ("Describe job to resume", "Copy checkpoints"):
        assert evaluate(resumable[state]["Output"], given=given) == given


@pytest.mark.parametrize(
    ("resumed", "problem"),
    [
        ({"status": "Completed", "uri": f"{BASE}old/"}, None),
        ({"status": "Failed", "uri": f"{BASE}old"}, None),
        ({"status": "Stopped", "uri": f"{BASE}old/"}, None),
        (
            {"status": "InProgress", "uri": f"{BASE}old/"},
            "is InProgress and writes checkpoints still: stop it, or wait for its end",
        ),
        ({"status": "Stopping", "uri": f"{BASE}old/"}, "is Stopping and writes checkpoints still"),
        (
            {"status": "Completed", "uri": "nowhere"},
            f"must be a job with checkpoints below {BASE}, it has them nowhere",
        ),
        (
            {"status": "Completed", "uri": f"s3://other/{BASE}"},
            f"must be a job with checkpoints below {BASE}, it has them in s3://other/{BASE}",
        ),
        ({"status": "Completed", "uri": "s3://out/checkpoints-2/"}, "must be a job with checkpoints below"),
    ],
)
def test_a_job_is_resumed_when_it_has_ended_and_its_checkpoints_are_here(
    resumable: dict[str, Any], resumed: dict[str, str], problem: str | None
) -> None:
    choice = resumable["Resumable?"]
    (yes,) = choice["Choices"]
    assert evaluate(yes["Condition"], resumed=resumed) is (problem is None)
    assert (yes["Next"], choice["Default"]) == ("Copy checkpoints", "Not resumable")
    if problem is not None:
        cause = evaluate(resumable["Not resumable"]["Cause"], given={"resume_from": "job-1"}, resumed=resumed)
        assert cause.startswith("resume_from job-1 ")
        assert problem in cause


def test_a_failed_copy_says_what_the_function_said(resumable: dict[str, Any]) -> None:
    (catch,) = resumable["Copy checkpoints"]["Catch"]
    assert catch["Next"] == "Checkpoints not copied"
    cause = resumable["Checkpoints not copied"]["Cause"]
    failed = {"Error": "NoCheckpointsError", "Cause": '{"errorMessage": "none there", "stackTrace": []}'}
    assert evaluate(cause, given=failed) == "none there"
    assert evaluate(cause, given={"Error": "Lambda.Unknown", "Cause": "no JSON"}) == "no JSON"


def test_the_function_reaches_the_checkpoints_alone(
    stack: Stack, resumable: dict[str, Any], statements: Callable[[str], list[dict[str, Any]]]
) -> None:
    allowed = [each for each in statements("TrainingCheckpointsServiceRole") if "s3:" in str(each["Action"])]
    resources = [resource for each in allowed for resource in each["Resource"]]
    ends = {part for each in resources for part in each["Fn::Join"][1] if isinstance(part, str)}
    assert ends == {"arn:", ":s3:::out", ":s3:::out/checkpoints/*"}


def test_without_checkpoints_there_is_nothing_of_it(
    stack: Stack, run: Callable[[Any], Any], states: Callable[[], dict[str, Any]]
) -> None:
    run(PyTorchTrainingJob(stack, "Training", framework_version="2.13"))
    assert "Assign" not in states()["Attach?"]
    assert not {"Copy checkpoints", "Resumable?"} & set(states())
    Template.from_stack(stack).resource_count_is("AWS::Lambda::Function", 0)


def _rules(stack: Stack, prefix: str) -> list[dict[str, Any]]:
    buckets = Template.from_stack(stack).find_resources("AWS::S3::Bucket")
    (bucket,) = (each for name, each in buckets.items() if name.startswith(prefix))
    rules: list[dict[str, Any]] = bucket["Properties"]["LifecycleConfiguration"]["Rules"]
    return [rule for rule in rules if "ExpirationInDays" in rule]


def test_checkpoints_go_after_90_days_from_the_jobs_own_bucket(stack: Stack) -> None:
    PyTorchTrainingJob(stack, "Training", framework_version="2.13", checkpoints="team/checkpoints")
    assert _rules(stack, "TrainingArtifacts") == [
        {"ExpirationInDays": 90, "Prefix": "team/checkpoints/", "Status": "Enabled"}
    ]


def test_checkpoints_go_from_another_bucket_when_it_is_said(stack: Stack) -> None:
    bucket = ArtifactsBucket(stack, "Mine")
    checkpoints = Checkpoints(bucket=bucket, expiration=Duration.days(7))
    PyTorchTrainingJob(stack, "Training", framework_version="2.13", checkpoints=checkpoints)
    PyTorchTrainingJob(
        stack, "Other", framework_version="2.13", checkpoints=Checkpoints(bucket=bucket, prefix="kept")
    )
    assert _rules(stack, "Mine") == [{"ExpirationInDays": 7, "Prefix": "checkpoints/", "Status": "Enabled"}]
    Template.from_stack(stack).has_resource_properties(
        "AWS::Lambda::Function", Match.object_like({"Timeout": 900})
    )


@pytest.mark.parametrize(
    ("expiration", "problem"),
    [
        (Duration.hours(1), "checkpoints.expiration in seconds must be at least 86400, got 3600"),
        (Duration.hours(36), "checkpoints.expiration must be whole days, got 129600 seconds"),
        (Duration.days(7), "checkpoints.expiration needs a bucket that this app makes"),
    ],
)
def test_fails_when_checkpoints_cannot_expire(stack: Stack, expiration: Duration, problem: str) -> None:
    bucket = s3.Bucket.from_bucket_name(stack, "Out", "out")
    with pytest.raises(ConfigurationError, match=problem):
        PyTorchTrainingJob(
            stack,
            "Training",
            framework_version="2.13",
            checkpoints=Checkpoints(bucket=bucket, expiration=expiration),
        )
