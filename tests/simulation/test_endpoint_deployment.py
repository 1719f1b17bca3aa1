"""The states of a deployment in virtual time: no call that fails for a while ends or loses anything."""

from typing import Any

import pytest

from .endpoint_model import LOST, THROTTLED, Endpoint, SageMaker
from .interpreter import Clock, Execution, TaskError, run

OLD = "digits-20250101000000-00000000"
NEW = "digits-20260101000000-0a1b2c3d"
VARIABLES = {
    "version": NEW,
    "training": {"training_job_name": "job", "metrics": {}},
    "packaged": {"model_data_url": "s3://b/model.tar.gz", "submit_directory": "/opt/ml/model/code"},
}
NOT_AUTHORIZED = TaskError("SageMaker.SageMakerException", "User is not authorized to perform")

GOOD, BROKEN, MUTE = "comes into service", "does not come into service", "does not answer"
FIRST, NEXT = "a first endpoint", "an endpoint that serves"


def deploy(
    definition: dict[str, Any], version: str = GOOD, begin: str = NEXT, **options: Any
) -> tuple[SageMaker, Execution]:
    """Deploy a version that is good, broken or mute to an endpoint that serves, or to none."""
    clock = Clock()
    sagemaker = SageMaker(clock, **options)
    if begin == NEXT:
        sagemaker.endpoint = Endpoint(OLD, "InService")
        sagemaker.configs.add(OLD)
        sagemaker.models.add(OLD)
    (sagemaker.broken if version == BROKEN else sagemaker.mute if version == MUTE else set()).add(NEW)
    execution = run(definition, sagemaker.call, clock=clock, variables=VARIABLES)
    return sagemaker, execution


def calls(definition: dict[str, Any], version: str, begin: str, **options: Any) -> list[str]:
    sagemaker, _ = deploy(definition, version, begin, **options)
    return list(dict.fromkeys(sagemaker.calls))


def check_end(sagemaker: SageMaker, execution: Execution, version: str, begin: str) -> None:
    """Check what must hold at the end, whatever happened on the way."""
    sagemaker.rest()
    if version == GOOD:
        assert execution.status == "SUCCEEDED", execution
        assert sagemaker.serving == NEW
    else:
        assert execution.status == "FAILED"
        assert sagemaker.serving == (OLD if begin == NEXT else None)
        assert sagemaker.endpoint is None or begin == NEXT
        kept = {OLD} if begin == NEXT else set()
        assert (sagemaker.configs, sagemaker.models) == (kept, kept)
        expected = "no ping" if version == BROKEN else "Received server error"
        assert expected in execution.cause
        assert "left over" not in execution.cause


STORIES = [(version, begin) for version in (GOOD, BROKEN, MUTE) for begin in (FIRST, NEXT)]


@pytest.mark.parametrize(("version", "begin"), STORIES)
def test_a_version_serves_or_is_taken_back(definition: dict[str, Any], version: str, begin: str) -> None:
    sagemaker, execution = deploy(definition, version, begin)
    check_end(sagemaker, execution, version, begin)
    if begin == NEXT and version != MUTE:
        assert None not in sagemaker.served


@pytest.mark.parametrize(("version", "begin"), STORIES)
@pytest.mark.parametrize("times", [1, 4])
def test_a_throttled_call_ends_nothing(
    definition: dict[str, Any], version: str, begin: str, times: int
) -> None:
    for state in calls(definition, version, begin):
        sagemaker, execution = deploy(
            definition,
            version,
            begin,
            fault=lambda name, before, state=state: THROTTLED if name == state and before < times else None,
        )
        assert sagemaker.tries[state] > times, state
        check_end(sagemaker, execution, version, begin)


@pytest.mark.parametrize(("version", "begin"), STORIES)
def test_every_call_may_be_throttled_again_and_again(
    definition: dict[str, Any], version: str, begin: str
) -> None:
    def fault(name: str, before: int) -> TaskError | None:
        # A sample request that is throttled in the end tells nothing of the version.
        return THROTTLED if before % 3 and name != "Send sample request" else None

    sagemaker, execution = deploy(definition, version, begin, fault=fault)
    check_end(sagemaker, execution, version, begin)


@pytest.mark.parametrize(("version", "begin"), STORIES)
def test_an_answer_that_is_lost_is_read_back(definition: dict[str, Any], version: str, begin: str) -> None:
    for state in calls(definition, version, begin):
        if state in ("Create model", "Create endpoint configuration"):
            continue  # the version is taken back then: nothing serves it yet
        sagemaker, execution = deploy(
            definition,
            version,
            begin,
            fault=lambda name, before, state=state: LOST if name == state and not before else None,
        )
        check_end(sagemaker, execution, version, begin)


@pytest.mark.parametrize("version", [BROKEN, MUTE])
def test_the_way_back_is_tried_again(definition: dict[str, Any], version: str) -> None:
    """An update to the version before that is refused for minutes comes through in the end."""
    refused = range(1, 15)
    sagemaker, execution = deploy(
        definition,
        version,
        fault=lambda name, before: THROTTLED if name == "Update endpoint" and before in refused else None,
    )
    check_end(sagemaker, execution, version, NEXT)


def test_an_endpoint_that_failed_is_made_again_with_the_version_before(definition: dict[str, Any]) -> None:
    sagemaker, execution = deploy(definition, BROKEN, update_fails_as="Failed")
    assert execution.path.count("Delete failed endpoint") == 1
    check_end(sagemaker, execution, BROKEN, NEXT)


@pytest.mark.parametrize(
    ("state", "version", "left"),
    [
        ("Update endpoint", MUTE, f"endpoint digits is InService with {NEW} instead of InService with {OLD}"),
        ("Remove version", BROKEN, f"the model and the endpoint configuration {NEW}, whose removal failed"),
        ("Look at endpoint", GOOD, f"the endpoint may have {NEW}, which is not verified, instead of {OLD}"),
    ],
)
def test_what_cannot_be_done_is_said(definition: dict[str, Any], state: str, version: str, left: str) -> None:
    def fault(name: str, before: int) -> TaskError | None:
        # The first update and look work: they bring the version in.
        return NOT_AUTHORIZED if name == state and (before or state == "Remove version") else None

    sagemaker, execution = deploy(definition, version, fault=fault)
    assert execution.status == "FAILED"
    assert f"left over: {left}" in execution.cause
    assert "not authorized" in execution.cause or state == "Update endpoint"
    assert NEW in sagemaker.configs  # it may be in service
    assert sagemaker.clock.now < 3600


@pytest.mark.parametrize(
    ("state", "left"),
    [("Mark endpoint", "not marked as the stack's"), ("Remove superseded versions", "superseded versions")],
)
def test_a_version_that_serves_is_not_taken_back_for_what_comes_after(
    definition: dict[str, Any], state: str, left: str
) -> None:
    sagemaker, execution = deploy(
        definition, fault=lambda name, before: NOT_AUTHORIZED if name == state else None
    )
    check_end(sagemaker, execution, GOOD, NEXT)
    (warning,) = execution.output["warnings"]
    assert left in warning
    assert "not authorized" in warning


@pytest.mark.parametrize("state", ["Create model", "Create endpoint configuration", "Update endpoint"])
def test_a_call_that_is_refused_for_good_changes_nothing(definition: dict[str, Any], state: str) -> None:
    sagemaker, execution = deploy(
        definition, fault=lambda name, before: NOT_AUTHORIZED if name == state else None
    )
    assert execution.status == "FAILED"
    assert execution.cause == NOT_AUTHORIZED.cause
    assert sagemaker.serving == OLD
    assert sagemaker.configs == sagemaker.models == {OLD}


def test_an_endpoint_that_another_hand_changed_is_left_alone(definition: dict[str, Any]) -> None:
    other = "by-hand"

    def fault(name: str, before: int) -> TaskError | None:
        if name == "Send sample request":
            sagemaker.configs.add(other)
            sagemaker.endpoint = Endpoint(other, "InService")
            return TaskError("SageMakerRuntime.ModelErrorException", "Received server error (500)")
        return None

    clock = Clock()
    sagemaker = SageMaker(clock, Endpoint(OLD, "InService"), {OLD}, {OLD}, fault=fault)
    execution = run(definition, sagemaker.call, clock=clock, variables=VARIABLES)
    assert execution.status == "FAILED"
    assert sagemaker.serving == other
    assert sagemaker.configs == {OLD, other}


def test_an_answer_too_long_for_step_functions_is_an_answer(definition: dict[str, Any]) -> None:
    too_long = TaskError("States.DataLimitExceeded", "The state/task returned a result with a size exceeding")
    sagemaker, execution = deploy(
        definition, fault=lambda name, before: too_long if name == "Send sample request" else None
    )
    check_end(sagemaker, execution, GOOD, NEXT)


def test_a_first_endpoint_carries_the_stack_from_the_beginning(definition: dict[str, Any]) -> None:
    sagemaker, _ = deploy(definition, GOOD, FIRST)
    assert sagemaker.endpoint is not None
    assert sagemaker.endpoint.tags == {"cdk-sagemaker-pytorch:owner": "token"}


def test_an_endpoint_that_never_settles_is_given_up_in_time_and_said(definition: dict[str, Any]) -> None:
    clock = Clock()
    sagemaker = SageMaker(clock)
    forever = (float("inf"), "InService", NEW, None)
    sagemaker.endpoint = Endpoint(OLD, "Updating", settles=forever)
    execution = run(definition, sagemaker.call, clock=clock, variables=VARIABLES)
    assert execution.error == "EndpointNotSettled"
    assert "is still Updating after an hour and a half" in execution.cause
    assert (
        f"left over: it may come to have {NEW}, which is not verified, instead of nothing" in execution.cause
    )
    assert 85 * 60 < clock.now < 100 * 60
    assert execution.events < 5_000
    assert sagemaker.serving == OLD
