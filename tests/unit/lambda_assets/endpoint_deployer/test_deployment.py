"""The steps of a deployment: in their order, again, too late, and after whatever stopped one."""

import pytest

from .fakes import STACK, Setting, api_error, execution, lost_answer, version

TAKEN_BACK = "was taken back when its execution had ended: start a new execution instead of a redrive"
SAMPLE = {"body": "W10=", "content_type": "application/json", "accept": "application/json"}


# Announce


def test_a_version_is_announced_before_it_is_made(claimed: Setting) -> None:
    assert claimed.deployer.announce(claimed.wanted(1)) == {"state": "announced"}
    assert claimed.record.runs == {version(1): execution(1)}
    assert claimed.sagemaker.calls == [("describe_endpoint", {"EndpointName": "digits"})]  # by the claim


def test_announcing_it_again_changes_nothing(claimed: Setting) -> None:
    for _ in range(2):
        claimed.deployer.announce(claimed.wanted(1))
    assert claimed.record.runs == {version(1): execution(1)}


def test_fails_when_no_stack_has_claimed_the_endpoint(setting: Setting) -> None:
    with pytest.raises(setting.code.ledger.LedgerClosedError, match="not claimed by a stack"):
        setting.deployer.announce(setting.wanted(1))


def test_fails_when_the_endpoint_is_being_removed(claimed: Setting) -> None:
    claimed.note(closed=True)
    for step in (claimed.deployer.announce, claimed.bring):
        with pytest.raises(claimed.code.deployment.LedgerClosedError, match="being removed with its stack"):
            step(claimed.wanted(1))


def test_a_deployment_that_comes_after_a_newer_one_is_superseded(claimed: Setting) -> None:
    claimed.deploy(2)
    assert claimed.deployer.announce(claimed.wanted(1)) == {"state": "superseded", "by": version(2)}
    assert claimed.record.runs == {}


def test_a_rollback_announces_no_version(claimed: Setting) -> None:
    claimed.deploy(1)
    claimed.deploy(2)
    assert claimed.deployer.announce(claimed.wanted(3, rolls_back_to=version(1))) == {"state": "announced"}
    assert claimed.record.runs == {}


def test_fails_when_the_version_to_roll_back_to_is_not_kept(claimed: Setting) -> None:
    for number in (1, 2, 3):
        claimed.deploy(number)
    with pytest.raises(claimed.code.deployment.VersionNotRetainedError) as raised:
        claimed.deployer.announce(claimed.wanted(4, rolls_back_to=version(1)))
    assert str(raised.value) == (
        f"roll_back must be a version of digits that is kept, {version(2)}, {version(3)}; got {version(1)}"
    )


def test_fails_when_there_is_nothing_to_roll_back_to(claimed: Setting) -> None:
    with pytest.raises(claimed.code.deployment.VersionNotRetainedError, match="that is kept, none; got"):
        claimed.deployer.announce(claimed.wanted(1, rolls_back_to=version(9)))


# Bring into service


def test_the_first_version_becomes_the_endpoint(claimed: Setting) -> None:
    wanted = claimed.begin(1)
    assert claimed.sagemaker.versions == {version(1)}
    assert claimed.record.holder.version == version(1)
    assert claimed.bring(wanted) == {"state": "moving"}
    claimed.sagemaker.settle()
    assert claimed.bring(wanted) == {"state": "in_service"}


def test_one_deployment_waits_for_another(claimed: Setting) -> None:
    claimed.begin(1)
    second = claimed.wanted(2)
    claimed.deployer.announce(second)
    before = claimed.record
    assert claimed.bring(second) == {"state": "waiting", "for": "another execution"}
    assert claimed.sagemaker.versions == {version(1)}
    assert claimed.record == before


def test_the_turn_comes_after_a_commit(claimed: Setting) -> None:
    first, second = claimed.arrive(1), claimed.wanted(2)
    claimed.deployer.announce(second)
    assert claimed.bring(second)["state"] == "waiting"
    claimed.deployer.commit(first, 1)
    assert claimed.bring(second) == {"state": "moving"}
    assert claimed.record.holder.execution == execution(2)


def test_one_that_was_overtaken_while_it_waited_is_superseded_and_leaves_nothing(claimed: Setting) -> None:
    first = claimed.wanted(1)
    claimed.deployer.announce(first)
    claimed.deploy(2)
    assert claimed.bring(first) == {"state": "superseded", "by": version(2)}
    assert claimed.record.runs == {}
    assert claimed.record.removing == []
    assert claimed.superseded == [version(1)]


def test_another_invocation_is_waited_for(claimed: Setting) -> None:
    wanted = claimed.wanted(1)
    claimed.deployer.announce(wanted)
    with claimed.another_ledger().step(lambda record: None):
        assert claimed.bring(wanted) == {"state": "waiting", "for": "another invocation"}


def test_the_turn_of_an_execution_that_was_stopped_is_taken_back_first(claimed: Setting) -> None:
    claimed.deploy(1)
    claimed.stop(claimed.arrive(2))
    third = claimed.wanted(3)
    claimed.deployer.announce(third)
    assert claimed.bring(third) == {"state": "waiting", "for": execution(2)}
    assert claimed.sagemaker.endpoint.wanted == version(1)
    claimed.sagemaker.settle()
    assert claimed.bring(third) == {"state": "moving"}
    assert claimed.sagemaker.endpoint.wanted == version(3)
    assert claimed.sagemaker.versions == {version(1), version(3)}


def test_the_turn_of_one_that_was_stopped_after_it_was_verified_is_free(claimed: Setting) -> None:
    wanted = claimed.deploy(1)
    claimed.note(holder=claimed.code.ledger.Holder(wanted.execution, wanted.version, wanted.order))
    second = claimed.wanted(2)
    claimed.deployer.announce(second)
    assert claimed.bring(second) == {"state": "moving"}
    assert claimed.record.verified == version(1)


def test_the_next_version_may_come_where_the_verified_one_does_not(claimed: Setting) -> None:
    claimed.deploy(1)
    claimed.stop(claimed.arrive(2))
    third = claimed.wanted(3)
    claimed.deployer.announce(third)
    for _ in range(5):
        assert claimed.bring(third)["state"] == "waiting"
        claimed.sagemaker.settle(reason="no capacity")
    assert claimed.bring(third) == {"state": "moving"}
    assert claimed.sagemaker.endpoint.wanted == version(3)
    claimed.sagemaker.settle()
    assert claimed.bring(third) == {"state": "in_service"}


def test_fails_when_what_it_announced_was_taken_back(claimed: Setting) -> None:
    wanted = claimed.wanted(1)
    claimed.deployer.announce(wanted)
    claimed.stop(wanted)
    claimed.recovery.reconcile()
    with pytest.raises(claimed.code.deployment.NotHolderError) as raised:
        claimed.bring(wanted)
    assert str(raised.value) == f"{version(1)} {TAKEN_BACK}"
    assert claimed.sagemaker.versions == set()


def test_fails_when_its_version_is_being_taken_back(claimed: Setting) -> None:
    claimed.deploy(1)
    wanted = claimed.arrive(2)
    assert claimed.deployer.take_back(wanted) == {"state": "moving"}
    with pytest.raises(claimed.code.deployment.NotHolderError, match="is being taken back"):
        claimed.bring(wanted)


@pytest.mark.parametrize(
    ("owner", "whose"), [(None, "was not made by this stack"), ("another-stack", "belongs to the stack ano")]
)
def test_fails_when_somebody_else_has_made_the_endpoint(
    claimed: Setting, owner: str | None, whose: str
) -> None:
    wanted = claimed.wanted(1)
    claimed.deployer.announce(wanted)
    claimed.sagemaker.serve("theirs", owner=owner)
    with pytest.raises(
        claimed.code.deployment.EndpointNotOursError, match=f"endpoint digits exists, and {whose}"
    ):
        claimed.bring(wanted)
    assert claimed.record.holder is None
    assert claimed.sagemaker.versions == set()
    assert claimed.sagemaker.endpoint.config == "theirs"


def test_fails_when_a_version_cannot_be_created(claimed: Setting) -> None:
    wanted = claimed.wanted(1)
    claimed.deployer.announce(wanted)
    claimed.sagemaker.fail("create_model", api_error("ValidationException", "no such role"))
    with pytest.raises(claimed.code.versions.VersionNotCreatedError, match="no such role"):
        claimed.bring(wanted)
    assert claimed.record.step is None


def test_a_version_is_not_made_again_on_its_way(claimed: Setting) -> None:
    wanted = claimed.begin(1)
    claimed.sagemaker.settle()
    claimed.bring(wanted)
    assert len(claimed.sagemaker.called("create_model")) == 1


def test_a_deployment_goes_on_although_every_answer_is_lost(claimed: Setting) -> None:
    for call in ("create_model", "create_endpoint_config", "create_endpoint"):
        claimed.sagemaker.fail(call, lost_answer(), took_effect=True)
    wanted = claimed.begin(1)
    claimed.sagemaker.settle()
    assert claimed.bring(wanted) == {"state": "in_service"}
    assert len(claimed.sagemaker.called("create_endpoint")) == 1


def test_a_rollback_makes_no_version(claimed: Setting) -> None:
    claimed.deploy(1)
    claimed.deploy(2)
    wanted = claimed.wanted(3, rolls_back_to=version(1))
    claimed.deployer.announce(wanted)
    made = len(claimed.sagemaker.called("create_model"))
    assert claimed.bring(wanted) == {"state": "moving"}
    assert claimed.sagemaker.endpoint.wanted == version(1)
    assert len(claimed.sagemaker.called("create_model")) == made


def test_fails_when_the_version_to_roll_back_to_went_while_it_waited(claimed: Setting) -> None:
    claimed.deploy(1)
    claimed.deploy(2)
    third = claimed.arrive(3)
    wanted = claimed.wanted(4, rolls_back_to=version(1))
    claimed.deployer.announce(wanted)
    claimed.deployer.commit(third, 1)
    with pytest.raises(claimed.code.deployment.VersionNotRetainedError, match=f"got {version(1)}"):
        claimed.bring(wanted)
    assert claimed.record.holder is None


# Verify


def test_the_holder_sends_the_sample_request(claimed: Setting) -> None:
    assert claimed.deployer.verify(claimed.arrive(1), SAMPLE) == {"state": "verified"}
    (call,) = claimed.runtime.called("invoke_endpoint")
    assert call["EndpointName"] == "digits"


def test_fails_when_the_answer_is_not_the_expected_one(claimed: Setting) -> None:
    wanted = claimed.arrive(1)
    with pytest.raises(claimed.code.sample.SampleRequestFailedError):
        claimed.deployer.verify(wanted, {**SAMPLE, "expected": [2]})


def test_fails_when_somebody_else_holds_the_turn(claimed: Setting) -> None:
    claimed.arrive(1)
    for step in (
        lambda wanted: claimed.deployer.verify(wanted, SAMPLE),
        lambda wanted: claimed.deployer.commit(wanted, 1),
    ):
        with pytest.raises(claimed.code.deployment.NotHolderError, match=TAKEN_BACK):
            step(claimed.wanted(2))
    assert claimed.runtime.calls == []


def test_fails_when_a_version_that_is_being_taken_back_would_count(claimed: Setting) -> None:
    claimed.deploy(1)
    wanted = claimed.arrive(2)
    claimed.deployer.take_back(wanted)
    with pytest.raises(claimed.code.deployment.NotHolderError):
        claimed.deployer.verify(wanted, SAMPLE)
    with pytest.raises(claimed.code.deployment.NotHolderError):
        claimed.deployer.commit(wanted, 1)


# Commit


def test_a_commit_makes_the_version_the_verified_one(claimed: Setting) -> None:
    wanted = claimed.deploy(1)
    record = claimed.record
    assert (record.verified, record.newest, record.made_here) == (version(1), wanted.order, True)
    assert (record.holder, record.ask, record.runs, record.attempts) == (None, None, {}, 0)


def test_superseded_versions_are_kept_as_many_as_is_said(claimed: Setting) -> None:
    for number in (1, 2, 3, 4):
        claimed.deploy(number, retain=2)
    assert claimed.record.retained == [version(3), version(2)]
    assert claimed.sagemaker.versions == {version(2), version(3), version(4)}
    assert claimed.superseded == [version(1)]


def test_no_superseded_version_is_kept_where_none_is_to_be(claimed: Setting) -> None:
    claimed.deploy(1, retain=0)
    claimed.deploy(2, retain=0)
    assert claimed.record.retained == []
    assert claimed.sagemaker.versions == {version(2)}


def test_a_rollback_keeps_what_it_replaces(claimed: Setting) -> None:
    claimed.deploy(1)
    claimed.deploy(2)
    wanted = claimed.wanted(3, rolls_back_to=version(1))
    claimed.deployer.announce(wanted)
    claimed.bring(wanted)
    claimed.sagemaker.settle()
    assert claimed.bring(wanted) == {"state": "in_service"}
    assert claimed.deployer.commit(wanted, 1)["state"] == "deployed"
    assert (claimed.record.verified, claimed.record.retained) == (version(1), [version(2)])
    assert claimed.sagemaker.versions == {version(1), version(2)}


def test_a_rollback_to_what_serves_changes_nothing(claimed: Setting) -> None:
    claimed.deploy(1)
    claimed.deploy(2)
    wanted = claimed.wanted(3, rolls_back_to=version(2))
    claimed.deployer.announce(wanted)
    assert claimed.bring(wanted) == {"state": "in_service"}
    claimed.deployer.commit(wanted, 1)
    assert (claimed.record.verified, claimed.record.retained) == (version(2), [version(1)])


def test_a_commit_whose_answer_was_lost_is_repeated(claimed: Setting) -> None:
    wanted = claimed.arrive(1)
    first = claimed.deployer.commit(wanted, 1)
    assert claimed.deployer.commit(wanted, 1) == first == {"state": "deployed", "warnings": []}


def test_a_commit_that_was_stopped_before_it_had_tidied_up_is_repeated(claimed: Setting) -> None:
    claimed.deploy(1, retain=0)
    wanted = claimed.arrive(2)
    claimed.sagemaker.before["delete_endpoint_config"] = _stop
    with pytest.raises(KeyboardInterrupt):
        claimed.deployer.commit(wanted, 0)
    del claimed.sagemaker.before["delete_endpoint_config"]
    assert claimed.record.verified == version(2)
    assert claimed.deployer.commit(wanted, 0) == {"state": "deployed", "warnings": []}
    assert claimed.sagemaker.versions == {version(2)}
    assert claimed.record.retained == []


def _stop() -> None:
    raise KeyboardInterrupt


def test_a_commit_waits_while_the_endpoint_is_patched(claimed: Setting) -> None:
    wanted = claimed.arrive(1)
    claimed.sagemaker.endpoint.status = "SystemUpdating"
    assert claimed.deployer.commit(wanted, 1) == {"state": "waiting", "for": "endpoint digits"}
    claimed.sagemaker.settle()
    assert claimed.deployer.commit(wanted, 1)["state"] == "deployed"


def test_a_commit_waits_for_another_invocation(claimed: Setting) -> None:
    wanted = claimed.arrive(1)
    with claimed.another_ledger().step(lambda record: None):
        assert claimed.deployer.commit(wanted, 1) == {"state": "waiting", "for": "another invocation"}


def test_fails_when_somebody_else_has_changed_the_endpoint(claimed: Setting) -> None:
    wanted = claimed.arrive(1)
    claimed.sagemaker.serve("theirs")
    with pytest.raises(claimed.code.deployment.EndpointNotInServiceError, match="somebody else has changed"):
        claimed.deployer.commit(wanted, 1)
    assert claimed.record.verified is None


def test_what_cannot_be_removed_is_a_warning_and_is_removed_later(claimed: Setting) -> None:
    claimed.deploy(1, retain=0)
    wanted = claimed.arrive(2)
    claimed.sagemaker.fail("delete_model", api_error("AccessDeniedException", "not now"))
    found = claimed.deployer.commit(wanted, 0)
    assert found["state"] == "deployed"
    (warning,) = found["warnings"]
    assert warning.startswith(f"{version(1)} is left over: ")
    assert claimed.record.removing == [version(1)]
    claimed.stop(wanted)
    assert claimed.recovery.reconcile() == {"state": "settled"}
    assert claimed.sagemaker.versions == {version(2)}
    assert claimed.record.removing == []


def test_an_adopted_endpoint_that_cannot_be_marked_is_a_warning(setting: Setting) -> None:
    setting.sagemaker.serve("theirs", owner=None)
    setting.ownership.claim(setting.claim(adopt=True))
    wanted = setting.arrive(1)
    setting.sagemaker.fail("add_tags", api_error("ThrottlingException"))
    (warning,) = setting.deployer.commit(wanted, 1)["warnings"]
    assert warning.startswith("endpoint not marked as the stack's: ")


# Take back


def test_a_candidate_is_taken_back_to_what_was_verified(claimed: Setting) -> None:
    claimed.deploy(1)
    wanted = claimed.arrive(2)
    assert claimed.deployer.take_back(wanted) == {"state": "moving"}
    claimed.sagemaker.settle()
    assert claimed.deployer.take_back(wanted) == {"state": "taken_back"}
    assert claimed.sagemaker.endpoint.config == version(1)
    assert claimed.sagemaker.versions == {version(1)}
    assert (claimed.record.holder, claimed.record.runs, claimed.record.removing) == (None, {}, [])


def test_taking_back_again_changes_nothing(claimed: Setting) -> None:
    claimed.deploy(1)
    wanted = claimed.begin(2)
    claimed.sagemaker.settle(reason="no ping")
    assert claimed.deployer.take_back(wanted) == {"state": "taken_back"}
    before = claimed.record
    assert claimed.deployer.take_back(wanted) == {"state": "taken_back"}
    assert claimed.record == before


def test_a_version_that_failed_takes_no_place_of_a_retained_one(claimed: Setting) -> None:
    claimed.deploy(1)
    claimed.deploy(2)
    wanted = claimed.begin(3)
    claimed.sagemaker.settle(reason="no ping")
    claimed.deployer.take_back(wanted)
    assert (claimed.record.verified, claimed.record.retained) == (version(2), [version(1)])
    assert claimed.sagemaker.versions == {version(1), version(2)}


def test_a_new_endpoint_that_does_not_come_into_service_goes(claimed: Setting) -> None:
    wanted = claimed.begin(1)
    claimed.sagemaker.settle("Failed", reason="no ping")
    assert claimed.deployer.take_back(wanted) == {"state": "moving"}
    claimed.sagemaker.settle()
    assert claimed.deployer.take_back(wanted) == {"state": "taken_back"}
    assert claimed.sagemaker.endpoint is None
    assert claimed.sagemaker.versions == set()


def test_a_rollback_that_fails_keeps_the_version(claimed: Setting) -> None:
    claimed.deploy(1)
    claimed.deploy(2)
    wanted = claimed.wanted(3, rolls_back_to=version(1))
    claimed.deployer.announce(wanted)
    claimed.bring(wanted)
    claimed.sagemaker.settle(reason="no capacity")
    assert claimed.deployer.take_back(wanted) == {"state": "taken_back"}
    assert (claimed.record.verified, claimed.record.retained) == (version(2), [version(1)])
    assert claimed.sagemaker.versions == {version(1), version(2)}


def test_one_that_never_had_its_turn_takes_its_announcement_back(claimed: Setting) -> None:
    claimed.begin(1)
    second = claimed.wanted(2)
    claimed.deployer.announce(second)
    claimed.sagemaker.jobs[version(2)] = "InProgress"
    assert claimed.deployer.take_back(second) == {"state": "taken_back"}
    assert claimed.record.runs == {version(1): execution(1)}
    assert claimed.sagemaker.jobs == {version(2): "Stopping"}
    assert claimed.record.holder.execution == execution(1)


def test_an_announcement_that_is_taken_back_marks_its_artifacts(claimed: Setting) -> None:
    claimed.deploy(1)
    second = claimed.wanted(2)
    claimed.deployer.announce(second)
    assert claimed.deployer.take_back(second) == {"state": "taken_back"}
    assert claimed.superseded == [version(2)]
    assert claimed.record.removing == []


def test_one_that_was_refused_has_nothing_to_take_back(claimed: Setting) -> None:
    assert claimed.deployer.take_back(claimed.wanted(1)) == {"state": "taken_back"}
    assert claimed.sagemaker.versions == set()


def test_a_version_that_was_verified_after_all_stays(claimed: Setting) -> None:
    """The answer of the commit was lost too often, and the state machine takes it for a failure."""
    wanted = claimed.deploy(1)
    assert claimed.deployer.take_back(wanted) == {"state": "deployed", "warnings": []}
    assert claimed.sagemaker.endpoint.config == version(1)


def test_a_version_that_was_verified_stays_although_the_next_one_has_its_turn(claimed: Setting) -> None:
    wanted = claimed.deploy(1)
    claimed.begin(2)
    assert claimed.deployer.commit(wanted, 1) == {"state": "deployed", "warnings": []}
    assert claimed.deployer.take_back(wanted) == {"state": "deployed", "warnings": []}
    assert claimed.record.holder.execution == execution(2)


def test_a_version_that_was_verified_stays_although_its_turn_had_not_ended(claimed: Setting) -> None:
    wanted = claimed.deploy(1)
    claimed.note(holder=claimed.code.ledger.Holder(wanted.execution, wanted.version, wanted.order))
    assert claimed.deployer.take_back(wanted) == {"state": "deployed", "warnings": []}
    assert claimed.record.holder is None


def test_taking_back_waits_for_another_invocation(claimed: Setting) -> None:
    claimed.deploy(1)
    wanted = claimed.begin(2)
    with claimed.another_ledger().step(lambda record: None):
        assert claimed.deployer.take_back(wanted) == {"state": "moving"}


def test_taking_an_announcement_back_waits_for_another_invocation(claimed: Setting) -> None:
    wanted = claimed.wanted(1)
    claimed.deployer.announce(wanted)
    with claimed.another_ledger().step(lambda record: None):
        assert claimed.deployer.take_back(wanted) == {"state": "moving"}


def test_fails_when_the_verified_version_does_not_come_back(claimed: Setting) -> None:
    claimed.deploy(1)
    wanted = claimed.arrive(2)
    for _ in range(5):
        assert claimed.deployer.take_back(wanted) == {"state": "moving"}
        claimed.sagemaker.settle(reason="no capacity")
    with pytest.raises(claimed.code.deployment.EndpointNotInServiceError, match="no capacity"):
        claimed.deployer.take_back(wanted)
    assert claimed.record.holder.execution == wanted.execution


def test_an_adopted_endpoint_goes_back_to_what_it_served(setting: Setting) -> None:
    setting.sagemaker.serve("theirs", owner=None)
    setting.ownership.claim(setting.claim(adopt=True))
    wanted = setting.begin(1)
    setting.sagemaker.settle(reason="no ping")
    assert setting.deployer.take_back(wanted) == {"state": "taken_back"}
    assert setting.sagemaker.endpoint.config == "theirs"
    assert setting.sagemaker.endpoint.tags == {}
    assert setting.record.made_here is False


def test_an_adopted_endpoint_becomes_the_stacks_with_its_first_version(setting: Setting) -> None:
    setting.sagemaker.serve("theirs", owner=None)
    setting.sagemaker.have("theirs")
    setting.ownership.claim(setting.claim(adopt=True))
    setting.deploy(1, retain=0)
    assert setting.sagemaker.endpoint.tags == {"cdk-sagemaker-pytorch:owner": STACK}
    assert setting.record.made_here is True
    assert setting.sagemaker.versions == {"theirs", version(1)}  # theirs is not ours to remove


# Reconcile


def test_there_is_nothing_to_do_while_an_execution_runs(claimed: Setting) -> None:
    claimed.deploy(1)
    claimed.begin(2)
    before = claimed.record
    assert claimed.recovery.reconcile() == {"state": "settled"}
    assert claimed.record == before


@pytest.mark.parametrize("closed", [False, True])
def test_there_is_nothing_to_do_where_no_stack_keeps_the_endpoint(setting: Setting, closed: bool) -> None:
    if closed:
        setting.note(owner=STACK, closed=True, runs={version(1): execution(1)})
    before = setting.record
    assert setting.recovery.reconcile() == {"state": "settled"}
    assert setting.record == before


def test_what_a_stopped_execution_left_is_taken_back(claimed: Setting) -> None:
    claimed.deploy(1)
    claimed.stop(claimed.arrive(2))
    assert claimed.recovery.reconcile() == {"state": "moving"}
    claimed.sagemaker.settle()
    assert claimed.recovery.reconcile() == {"state": "settled"}
    assert claimed.sagemaker.endpoint.config == version(1)
    assert claimed.sagemaker.versions == {version(1)}
    assert claimed.record.holder is None


def test_the_endpoint_is_waited_for_before_it_is_taken_back(claimed: Setting) -> None:
    claimed.deploy(1)
    claimed.stop(claimed.begin(2))
    assert claimed.recovery.reconcile() == {"state": "moving"}
    assert claimed.sagemaker.endpoint.wanted == version(2)


def test_what_was_announced_and_stopped_is_removed(claimed: Setting) -> None:
    claimed.deploy(1)
    wanted = claimed.wanted(2)
    claimed.deployer.announce(wanted)
    claimed.sagemaker.jobs[version(2)] = "InProgress"
    claimed.stop(wanted)
    assert claimed.recovery.reconcile() == {"state": "settled"}
    assert claimed.record.runs == {}
    assert claimed.sagemaker.jobs == {version(2): "Stopping"}
    assert claimed.superseded == [version(2)]


def test_what_was_announced_and_stopped_is_removed_beside_one_that_holds_the_turn(claimed: Setting) -> None:
    claimed.begin(1)
    wanted = claimed.wanted(2)
    claimed.deployer.announce(wanted)
    claimed.stop(wanted)
    assert claimed.recovery.reconcile() == {"state": "settled"}
    assert claimed.record.runs == {version(1): execution(1)}
    assert claimed.record.removing == [version(2)]
    assert claimed.record.holder.execution == execution(1)


def test_a_version_that_was_verified_before_its_execution_was_stopped_stays(claimed: Setting) -> None:
    wanted = claimed.deploy(1)
    claimed.note(holder=claimed.code.ledger.Holder(wanted.execution, wanted.version, wanted.order))
    assert claimed.recovery.reconcile() == {"state": "settled"}
    assert claimed.record.holder is None
    assert claimed.sagemaker.endpoint.config == version(1)


def test_reconciling_leaves_another_invocation_alone(claimed: Setting) -> None:
    claimed.deploy(1)
    claimed.stop(claimed.arrive(2))
    with claimed.another_ledger().step(lambda record: None):
        assert claimed.recovery.reconcile() == {"state": "moving"}
    assert claimed.sagemaker.endpoint.wanted == version(2)


def test_an_execution_that_was_redriven_in_between_keeps_its_turn(claimed: Setting) -> None:
    claimed.deploy(1)
    wanted = claimed.arrive(2)
    claimed.stop(wanted)
    claimed.dynamodb.before["put_item"] = lambda: claimed.states.running.add(wanted.execution)
    assert claimed.recovery.reconcile() == {"state": "moving"}
    assert claimed.record.holder.taking_back is False
    assert claimed.deployer.commit(wanted, 1)["state"] == "deployed"


def test_an_endpoint_that_does_not_come_back_is_tried_again_the_next_time(
    claimed: Setting, capsys: pytest.CaptureFixture[str]
) -> None:
    claimed.deploy(1)
    claimed.stop(claimed.arrive(2))
    for _ in range(5):
        assert claimed.recovery.reconcile() == {"state": "moving"}
        claimed.sagemaker.settle(reason="no capacity")
    assert claimed.recovery.reconcile() == {"state": "stuck"}
    assert "stuck: endpoint digits is InService with" in capsys.readouterr().out
    assert claimed.recovery.reconcile() == {"state": "moving"}
    claimed.sagemaker.settle()
    assert claimed.recovery.reconcile() == {"state": "settled"}
    assert claimed.sagemaker.endpoint.config == version(1)


def test_a_failed_endpoint_is_made_again_with_the_verified_version(claimed: Setting) -> None:
    claimed.deploy(1)
    claimed.stop(claimed.begin(2))
    claimed.sagemaker.settle("Failed", reason="no ping")
    for _ in range(2):
        assert claimed.recovery.reconcile() == {"state": "moving"}
        claimed.sagemaker.settle()
    assert claimed.recovery.reconcile() == {"state": "settled"}
    assert claimed.sagemaker.endpoint.config == version(1)
    assert claimed.sagemaker.endpoint.tags == {"cdk-sagemaker-pytorch:owner": STACK}


def give_up(claimed: Setting) -> None:
    """Let the next version have the turn of one that failed, and whose way back failed too."""
    claimed.deploy(1)
    stopped = claimed.begin(2)
    claimed.stop(stopped)
    claimed.sagemaker.settle("Failed", reason="no ping")
    holder = claimed.code.ledger.Holder(stopped.execution, stopped.version, stopped.order, taking_back=True)
    claimed.note(holder=holder, attempts=5)
    assert claimed.recovery.take_turn_of(holder) is True
    assert (claimed.record.holder, claimed.record.owed) == (None, True)


def test_what_was_given_up_for_the_next_version_is_owed_until_it_is_back(claimed: Setting) -> None:
    give_up(claimed)
    claimed.note(removing=[])  # nothing else is left to do
    for _ in range(2):
        assert claimed.recovery.reconcile() == {"state": "moving"}
        claimed.sagemaker.settle()
    assert claimed.recovery.reconcile() == {"state": "settled"}
    assert claimed.sagemaker.endpoint.config == version(1)
    assert claimed.record.owed is False


def test_what_does_not_come_back_stays_owed(claimed: Setting) -> None:
    give_up(claimed)
    claimed.note(attempts=5)
    assert claimed.recovery.reconcile() == {"state": "stuck"}
    assert claimed.record.owed is True


def test_nothing_is_owed_when_the_next_version_serves(claimed: Setting) -> None:
    give_up(claimed)
    wanted = claimed.begin(3)
    claimed.sagemaker.settle()  # the failed one is gone
    assert claimed.bring(wanted)["state"] == "moving"
    claimed.sagemaker.settle()
    assert claimed.bring(wanted) == {"state": "in_service"}
    assert claimed.deployer.commit(wanted, 1)["state"] == "deployed"
    assert claimed.record.owed is False
    assert claimed.sagemaker.endpoint.config == version(3)


def test_an_endpoint_that_another_stack_has_made_anew_is_not_marked(claimed: Setting) -> None:
    claimed.deploy(1)
    stopped = claimed.wanted(2)
    claimed.deployer.announce(stopped)
    claimed.stop(stopped)
    claimed.sagemaker.serve("theirs", owner="another-stack")
    claimed.recovery.reconcile()
    assert claimed.sagemaker.endpoint.tags == {"cdk-sagemaker-pytorch:owner": "another-stack"}


def test_a_deployment_is_read_from_its_event(claimed: Setting) -> None:
    event = {"execution": "arn", "version": "v", "order": "2026", "rolls_back": True}
    found = claimed.code.deployment.Deployment.of(event)
    assert found == claimed.code.deployment.Deployment("arn", "v", "2026", rolls_back=True)
