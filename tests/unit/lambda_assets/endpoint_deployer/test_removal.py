"""Claiming an endpoint for a stack, and letting it go."""

from typing import Any

import pytest

from .fakes import STACK, Setting, api_error, execution, version

OTHER_STACK = "arn:aws:cloudformation:us-east-1:123456789012:stack/Other/5678"
TAG = "cdk-sagemaker-pytorch:owner"


def finish(setting: Setting, claim: Any = None) -> list[str]:
    """Let the endpoint go, step after step; return what was waited for."""
    waited = []
    while (waits_for := setting.ownership.let_go(claim or setting.claim())) is not None:
        waited.append(waits_for)
        if setting.sagemaker.endpoint is not None and setting.sagemaker.endpoint.status != "InService":
            setting.sagemaker.settle()
    return waited


# Claim


def test_an_endpoint_that_does_not_exist_is_claimed(setting: Setting) -> None:
    setting.ownership.claim(setting.claim())
    record = setting.record
    assert (record.owner, record.closed, record.verified, record.made_here) == (STACK, False, None, False)


def test_claiming_it_again_changes_nothing(claimed: Setting) -> None:
    claimed.deploy(1)
    before = claimed.record
    claimed.ownership.claim(claimed.claim())
    assert {**vars(claimed.record), "revision": 0} == {**vars(before), "revision": 0}


def test_claiming_it_again_opens_what_was_closed(claimed: Setting) -> None:
    """The stack's deletion failed, and it was deployed again."""
    claimed.note(closed=True)
    claimed.ownership.claim(claimed.claim())
    assert claimed.record.closed is False


@pytest.mark.parametrize("adopt", [False, True])
def test_fails_when_the_endpoint_is_another_stacks(setting: Setting, adopt: bool) -> None:
    setting.sagemaker.serve("theirs", owner=OTHER_STACK)
    with pytest.raises(
        setting.code.removal.EndpointOwnedError, match=f"endpoint digits belongs to the stack {OTHER_STACK}"
    ):
        setting.ownership.claim(setting.claim(adopt=adopt))
    assert setting.record.owner is None


def test_fails_when_an_endpoint_of_nobodys_is_not_to_be_adopted(setting: Setting) -> None:
    setting.sagemaker.serve("theirs", owner=None)
    with pytest.raises(setting.code.removal.EndpointOwnedError, match=r"adopt it \(adopt=True\), or choose"):
        setting.ownership.claim(setting.claim())
    assert setting.record.owner is None


@pytest.mark.parametrize("status", ["Creating", "Failed", "OutOfService"])
def test_fails_when_an_endpoint_that_does_not_serve_is_to_be_adopted(setting: Setting, status: str) -> None:
    setting.sagemaker.serve("theirs", owner=None, status=status)
    with pytest.raises(setting.code.removal.EndpointOwnedError, match=f"must be InService.*it is {status}"):
        setting.ownership.claim(setting.claim(adopt=True))
    assert setting.record.owner is None


def test_what_an_adopted_endpoint_serves_counts_as_verified(setting: Setting) -> None:
    setting.sagemaker.serve("theirs", owner=None)
    setting.ownership.claim(setting.claim(adopt=True))
    assert (setting.record.verified, setting.record.made_here) == ("theirs", False)
    assert setting.sagemaker.endpoint.tags == {}


def test_an_endpoint_with_the_stacks_tag_is_the_stacks(setting: Setting) -> None:
    setting.sagemaker.serve(version(1))
    setting.ownership.claim(setting.claim())
    assert (setting.record.verified, setting.record.made_here) == (version(1), True)


def test_an_endpoint_that_was_adopted_and_has_no_version_yet_is_claimed_again(setting: Setting) -> None:
    """An update of the stack, by then without adopt=True, before the first deployment."""
    setting.sagemaker.serve("theirs", owner=None)
    setting.ownership.claim(setting.claim(adopt=True))
    setting.ownership.claim(setting.claim())
    assert setting.record.verified == "theirs"


def test_a_claim_is_read_from_its_event(setting: Setting) -> None:
    properties = {"StateMachine": "machine", "Adopt": "true", "RemovalPolicy": "Retain"}
    found = setting.code.removal.Claim.of({"StackId": STACK, "ResourceProperties": properties})
    assert found == setting.code.removal.Claim(STACK, "machine", adopt=True, retain=True)
    properties = {"StateMachine": "machine", "Adopt": "false", "RemovalPolicy": "Delete"}
    found = setting.code.removal.Claim.of({"StackId": STACK, "ResourceProperties": properties})
    assert found == setting.code.removal.Claim(STACK, "machine", adopt=False, retain=False)


# Let go


def test_the_endpoint_goes_with_its_versions_and_its_record(claimed: Setting) -> None:
    for number in (1, 2):
        claimed.deploy(number)
    assert finish(claimed) == ["endpoint digits, which is being deleted"]
    assert claimed.sagemaker.endpoint is None
    assert claimed.sagemaker.versions == set()
    assert claimed.record.revision == 0
    assert sorted(claimed.superseded) == [version(1), version(2)]


def test_letting_go_again_changes_nothing(claimed: Setting) -> None:
    claimed.deploy(1)
    finish(claimed)
    assert claimed.ownership.let_go(claimed.claim()) is None


def test_an_endpoint_that_was_never_deployed_goes_at_once(claimed: Setting) -> None:
    assert finish(claimed) == []
    assert claimed.record.revision == 0


def test_what_the_stack_never_claimed_stays(setting: Setting) -> None:
    """Its creation was refused, and CloudFormation deletes what it could not create."""
    setting.sagemaker.serve("theirs", owner=OTHER_STACK)
    assert finish(setting) == []
    assert setting.sagemaker.endpoint.config == "theirs"


def test_what_runs_is_stopped_first_and_nothing_begins_any_more(claimed: Setting) -> None:
    claimed.deploy(1)
    claimed.begin(2)
    claimed.deployer.announce(claimed.wanted(3))
    claimed.sagemaker.jobs[version(3)] = "InProgress"
    claimed.ownership.let_go(claimed.claim())
    assert claimed.record.closed is True
    assert claimed.states.running == set()
    stopped = {call["executionArn"] for call in claimed.states.called("stop_execution")}
    assert stopped == {execution(2), execution(3)}
    assert claimed.sagemaker.jobs == {version(3): "Stopping"}


def test_an_execution_that_has_announced_nothing_yet_is_stopped_too(claimed: Setting) -> None:
    claimed.wanted(7)
    claimed.ownership.let_go(claimed.claim())
    assert claimed.states.running == set()


def test_the_candidate_of_a_deployment_that_is_stopped_goes_too(claimed: Setting) -> None:
    claimed.deploy(1)
    claimed.begin(2)
    claimed.deployer.announce(claimed.wanted(3))
    claimed.sagemaker.have(version(3))
    waited = finish(claimed)
    assert waited[0] == "endpoint digits, which is changing"
    assert claimed.sagemaker.versions == set()


def test_an_invocation_that_is_at_work_is_waited_for(claimed: Setting) -> None:
    claimed.deploy(1)
    with claimed.another_ledger().step(lambda record: None):
        assert claimed.ownership.let_go(claimed.claim()) == "an invocation that is changing it"
    assert claimed.sagemaker.called("delete_endpoint") == []


def test_an_endpoint_that_cannot_be_deleted_yet_is_asked_again(claimed: Setting) -> None:
    claimed.deploy(1)
    claimed.sagemaker.fail("delete_endpoint", api_error("ThrottlingException"), times=7)
    for _ in range(8):
        assert claimed.ownership.let_go(claimed.claim()) == "endpoint digits, which is being deleted"
        claimed.clock.advance(30)
    claimed.sagemaker.settle()
    assert claimed.ownership.let_go(claimed.claim()) is None


def test_a_retained_endpoint_stays_with_what_it_serves_and_belongs_to_nobody(claimed: Setting) -> None:
    for number in (1, 2):
        claimed.deploy(number)
    assert finish(claimed, claimed.claim(retain=True)) == []
    assert claimed.sagemaker.endpoint.config == version(2)
    assert claimed.sagemaker.endpoint.tags == {}
    assert claimed.sagemaker.versions == {version(1), version(2)}
    assert claimed.record.revision == 0


def test_a_retained_endpoint_goes_back_to_what_was_verified_before_it_is_left(claimed: Setting) -> None:
    claimed.deploy(1)
    claimed.begin(2)
    waited = finish(claimed, claimed.claim(retain=True))
    assert set(waited) == {"endpoint digits, which is changing"}
    assert claimed.sagemaker.endpoint.config == version(1)
    assert claimed.sagemaker.versions == {version(1)}


def test_an_adopted_endpoint_stays_where_no_deployment_came(setting: Setting) -> None:
    setting.sagemaker.serve("theirs", owner=None)
    setting.ownership.claim(setting.claim(adopt=True))
    assert finish(setting, setting.claim(adopt=True)) == []
    assert setting.sagemaker.endpoint.config == "theirs"
    assert setting.record.revision == 0


def test_an_adopted_endpoint_goes_after_a_deployment(setting: Setting) -> None:
    setting.sagemaker.serve("theirs", owner=None)
    setting.ownership.claim(setting.claim(adopt=True))
    setting.deploy(1)
    finish(setting, setting.claim(adopt=True))
    assert setting.sagemaker.endpoint is None


def test_an_adopted_endpoint_is_given_back_as_it_was(setting: Setting) -> None:
    setting.sagemaker.serve("theirs", owner=None)
    setting.ownership.claim(setting.claim(adopt=True))
    setting.begin(1)
    finish(setting, setting.claim(adopt=True))
    assert setting.sagemaker.endpoint.config == "theirs"
    assert setting.sagemaker.versions == set()


def test_an_endpoint_that_was_made_anew_by_others_stays(claimed: Setting) -> None:
    claimed.deploy(1)
    claimed.sagemaker.serve("theirs", owner=OTHER_STACK)
    finish(claimed)
    assert claimed.sagemaker.called("delete_endpoint") == []
    assert claimed.sagemaker.endpoint.tags == {TAG: OTHER_STACK}


def test_a_new_endpoint_may_be_claimed_after_the_old_one_was_let_go(claimed: Setting) -> None:
    claimed.deploy(1)
    finish(claimed)
    claimed.ownership.claim(claimed.claim())
    claimed.deploy(2)
    assert claimed.record.verified == version(2)


def test_a_way_back_that_has_failed_again_and_again_is_begun_again(setting: Setting) -> None:
    setting.sagemaker.serve("theirs", owner=None)
    setting.ownership.claim(setting.claim(adopt=True))
    wanted = setting.arrive(1)
    setting.note(attempts=5)
    claim = setting.claim(adopt=True, retain=True)
    waits_for = setting.ownership.let_go(claim)
    assert "what was verified, which does not come back" in waits_for
    assert setting.record.attempts == 0
    assert setting.ownership.let_go(claim) is not None
    setting.sagemaker.settle()
    assert setting.ownership.let_go(claim) is None
    assert setting.sagemaker.endpoint.config == "theirs"
    assert wanted.version not in setting.sagemaker.versions
