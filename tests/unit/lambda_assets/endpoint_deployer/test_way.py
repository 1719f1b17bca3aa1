"""The way of an endpoint to a configuration: what is asked, and what a look says of what came of it."""

from types import SimpleNamespace

import pytest

from .fakes import STACK, Setting, api_error, lost_answer, version

OLD, NEW = version(1), version(2)
LONG_ENOUGH = 30


@pytest.fixture
def serving(setting: Setting) -> Setting:
    """An endpoint of the stack that serves what was verified."""
    setting.sagemaker.serve(OLD)
    setting.note(owner=STACK, made_here=True, verified=OLD)
    return setting


def asked(setting: Setting) -> list[str]:
    """What SageMaker was asked for, in order."""
    names = {"create_endpoint", "update_endpoint", "delete_endpoint"}
    return [
        arguments.get("EndpointConfigName", "nothing")
        for name, arguments in setting.sagemaker.calls
        if name in names
    ]


def test_an_endpoint_that_is_missing_is_made_with_the_stacks_tag(claimed: Setting) -> None:
    assert claimed.way.forward(NEW) is False
    (call,) = claimed.sagemaker.called("create_endpoint")
    assert call["EndpointConfigName"] == NEW
    assert call["Tags"] == [{"Key": "cdk-sagemaker-pytorch:owner", "Value": STACK}]
    assert claimed.record.made_here is True


def test_an_endpoint_that_serves_is_updated(serving: Setting) -> None:
    assert serving.way.forward(NEW) is False
    assert [call["EndpointConfigName"] for call in serving.sagemaker.called("update_endpoint")] == [NEW]


def test_what_is_asked_for_is_written_down_before(serving: Setting) -> None:
    found = []
    serving.sagemaker.before["update_endpoint"] = lambda: found.append(serving.record.ask)
    serving.way.forward(NEW)
    assert [(ask.config, ask.seen) for ask in found] == [(NEW, False)]


def test_a_version_that_serves_already_is_asked_for_by_nobody(serving: Setting) -> None:
    assert serving.way.forward(OLD) is True
    assert asked(serving) == []


def test_the_way_ends_when_the_version_is_in_service(serving: Setting) -> None:
    serving.way.forward(NEW)
    assert serving.way.forward(NEW) is False  # it is Updating
    serving.sagemaker.settle()
    assert serving.way.forward(NEW) is True
    assert asked(serving) == [NEW]


def test_an_endpoint_that_changes_is_waited_for_before_it_is_asked(serving: Setting) -> None:
    serving.sagemaker.serve(OLD, status="SystemUpdating")
    assert serving.way.forward(NEW) is False
    assert asked(serving) == []


def test_a_look_that_shows_what_was_before_says_nothing(serving: Setting) -> None:
    before = SimpleNamespace(**vars(serving.sagemaker.endpoint))
    serving.way.forward(NEW)
    serving.sagemaker.settle()
    serving.sagemaker.stale = [before]
    assert serving.way.forward(NEW) is False
    assert serving.way.forward(NEW) is True
    assert asked(serving) == [NEW]


def test_a_look_at_what_was_before_the_endpoint_was_made_says_nothing(claimed: Setting) -> None:
    claimed.way.forward(NEW)
    claimed.sagemaker.stale = [None]
    assert claimed.way.forward(NEW) is False
    assert asked(claimed) == [NEW]


def test_a_call_that_was_lost_on_its_way_is_made_again_after_a_while(serving: Setting) -> None:
    serving.sagemaker.fail("update_endpoint", lost_answer())
    serving.way.forward(NEW)
    serving.clock.advance(LONG_ENOUGH - 1)
    assert serving.way.forward(NEW) is False
    assert asked(serving) == [NEW]
    serving.clock.advance(1)
    assert serving.way.forward(NEW) is False
    assert asked(serving) == [NEW, NEW]


def test_a_call_whose_answer_was_lost_is_not_made_again(serving: Setting) -> None:
    serving.sagemaker.fail("update_endpoint", lost_answer(), took_effect=True)
    serving.way.forward(NEW)
    serving.clock.advance(10 * LONG_ENOUGH)
    assert serving.way.forward(NEW) is False
    serving.sagemaker.settle()
    assert serving.way.forward(NEW) is True
    assert asked(serving) == [NEW]


def test_a_call_that_was_seen_to_work_is_not_made_again_when_a_look_is_stale(serving: Setting) -> None:
    before = SimpleNamespace(**vars(serving.sagemaker.endpoint))
    serving.way.forward(NEW)
    serving.way.forward(NEW)  # sees it Updating
    serving.sagemaker.stale = [before]
    assert serving.way.forward(NEW) is False
    assert asked(serving) == [NEW]


def test_fails_when_sagemaker_goes_back_to_what_was_before(serving: Setting, code: SimpleNamespace) -> None:
    serving.way.forward(NEW)
    serving.sagemaker.settle(reason="the container did not answer its ping")
    with pytest.raises(code.way.EndpointNotInServiceError) as raised:
        serving.way.forward(NEW)
    assert str(raised.value) == (
        f"endpoint digits is InService with {OLD} instead of InService with {NEW}: the container did not"
        " answer its ping; logs: /aws/sagemaker/Endpoints/digits"
    )


def test_fails_when_a_new_endpoint_fails(claimed: Setting, code: SimpleNamespace) -> None:
    claimed.way.forward(NEW)
    claimed.sagemaker.settle("Failed", reason="no capacity")
    with pytest.raises(code.way.EndpointNotInServiceError, match=f"is Failed with {NEW}.*: no capacity"):
        claimed.way.forward(NEW)


def test_an_endpoint_that_failed_before_is_deleted_and_made_again(serving: Setting) -> None:
    serving.sagemaker.serve(OLD, status="Failed")
    assert serving.way.forward(NEW) is False
    serving.sagemaker.settle()
    assert serving.way.forward(NEW) is False
    assert asked(serving) == ["nothing", NEW]
    serving.sagemaker.settle()
    assert serving.way.forward(NEW) is True


def test_fails_after_five_calls_with_what_sagemaker_answered(serving: Setting, code: SimpleNamespace) -> None:
    serving.sagemaker.fail("update_endpoint", api_error("ThrottlingException", "Rate exceeded"), times=9)
    for _ in range(5):
        assert serving.way.forward(NEW) is False
        serving.clock.advance(LONG_ENOUGH)
    with pytest.raises(code.way.EndpointNotInServiceError, match="Rate exceeded"):
        serving.way.forward(NEW)
    assert asked(serving) == [NEW] * 5


def test_back_is_where_the_verified_version_serves(serving: Setting) -> None:
    serving.note(attempts=3)
    look = serving.way.back(OLD)
    assert look is not None
    assert (look.config, asked(serving)) == (OLD, [])
    assert (serving.record.attempts, serving.record.ask) == (0, None)


def test_back_asks_for_the_verified_version(serving: Setting) -> None:
    serving.sagemaker.serve(NEW)
    assert serving.way.back(OLD) is None
    assert asked(serving) == [OLD]
    serving.sagemaker.settle()
    assert serving.way.back(OLD) is not None


def test_back_waits_until_the_candidate_has_come(serving: Setting) -> None:
    serving.way.forward(NEW)
    assert serving.way.back(OLD) is None
    serving.sagemaker.settle()
    assert serving.way.back(OLD) is None
    assert asked(serving) == [NEW, OLD]


def test_back_does_not_take_a_lost_call_for_one_that_never_comes(serving: Setting) -> None:
    """The call may still be on its way: the endpoint is as verified now, and another one in a moment."""
    serving.sagemaker.fail("update_endpoint", lost_answer())
    serving.way.forward(NEW)
    assert serving.way.back(OLD) is None
    serving.clock.advance(LONG_ENOUGH)
    assert serving.way.back(OLD) is not None


def test_a_failed_endpoint_is_made_again_with_the_verified_version(serving: Setting) -> None:
    serving.way.forward(NEW)
    serving.sagemaker.settle("Failed", reason="no ping")
    assert serving.way.back(OLD) is None
    serving.sagemaker.settle()
    assert serving.way.back(OLD) is None
    assert asked(serving) == [NEW, "nothing", OLD]
    serving.sagemaker.settle()
    assert serving.way.back(OLD) is not None


def test_an_endpoint_that_was_deleted_by_hand_is_not_made_again(serving: Setting) -> None:
    serving.sagemaker.endpoint = None
    look = serving.way.back(OLD)
    assert look is not None
    assert look.is_missing
    assert asked(serving) == []


def test_an_endpoint_that_never_served_goes(claimed: Setting) -> None:
    claimed.way.forward(NEW)
    claimed.sagemaker.settle("Failed", reason="no ping")
    assert claimed.way.back(None) is None
    assert asked(claimed) == [NEW, "nothing"]
    claimed.sagemaker.settle()
    look = claimed.way.back(None)
    assert look is not None
    assert look.is_missing


def test_fails_when_an_endpoint_of_others_would_have_to_go(setting: Setting, code: SimpleNamespace) -> None:
    setting.sagemaker.serve(OLD, owner=None)
    setting.note(owner=STACK)
    with pytest.raises(code.way.EndpointNotInServiceError, match="was not made by this stack"):
        setting.way.back(None)
    assert asked(setting) == []


def test_fails_when_the_verified_version_does_not_come(serving: Setting, code: SimpleNamespace) -> None:
    serving.sagemaker.serve(NEW)
    for _ in range(5):
        assert serving.way.back(OLD) is None
        serving.sagemaker.settle(reason="no capacity")
    with pytest.raises(code.way.EndpointNotInServiceError, match=f"instead of InService with {OLD}: no cap"):
        serving.way.back(OLD)


def test_settled_says_which_call_led_there(serving: Setting) -> None:
    assert serving.way.settled()[1] is None
    serving.way.forward(NEW)
    assert serving.way.settled() is None
    serving.sagemaker.settle()
    look, ask = serving.way.settled()
    assert (look.config, ask.config, ask.seen) == (NEW, NEW, True)


def test_what_is_quick_is_waited_for_at_once(serving: Setting) -> None:
    serving.meanwhile = [lambda: None] * 9 + [serving.sagemaker.settle]
    assert serving.way.forward_soon(NEW) is True
    assert asked(serving) == [NEW]


def test_what_is_slow_is_left_to_the_next_invocation(serving: Setting) -> None:
    began = serving.clock()
    assert serving.way.forward_soon(NEW) is False
    quick = serving.code.way._QUICK_SECONDS
    assert quick <= serving.clock() - began <= quick + 2
    waited_until = serving.clock()
    assert serving.way.forward_soon(NEW) is False
    assert serving.clock() == waited_until
