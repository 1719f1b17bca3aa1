"""The record of an endpoint: written by whoever has read the newest one, and one at a time changes it."""

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from .fakes import Clock


class Between:
    """A client of DynamoDB before whose next write something else happens, or whose answer is lost."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.before: list[Callable[[], Any]] = []
        self.repeats = False

    def get_item(self, **arguments: Any) -> Any:
        assert arguments["ConsistentRead"] is True
        return self._client.get_item(**arguments)

    def put_item(self, **arguments: Any) -> Any:
        if self.before:
            self.before.pop(0)()
        if self.repeats:  # what botocore does when an answer is lost
            self.repeats = False
            self._client.put_item(**arguments)
            if self.before:
                self.before.pop(0)()
        return self._client.put_item(**arguments)

    def delete_item(self, **arguments: Any) -> Any:
        return self._client.delete_item(**arguments)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def client(ledger_table: Any) -> Between:
    return Between(ledger_table)


@pytest.fixture
def other(code: SimpleNamespace, ledger_table: Any, clock: Clock) -> Any:
    """The same record, as another invocation has it."""
    return code.ledger.Ledger(ledger_table, "ledger", "digits", clock)


@pytest.fixture
def ledger(code: SimpleNamespace, client: Between, clock: Clock, other: Any) -> Any:
    other.change(lambda record: None, create=True)
    return code.ledger.Ledger(client, "ledger", "digits", clock)


def count(record: Any) -> None:
    record.attempts += 1


def nothing(record: Any) -> None:
    pass


def test_an_endpoint_without_a_record_has_an_empty_one(other: Any, code: SimpleNamespace) -> None:
    assert other.read() == code.ledger.Record()


def test_a_change_makes_no_record_unless_it_is_told_to(other: Any, code: SimpleNamespace) -> None:
    with pytest.raises(code.ledger.LedgerClosedError, match="not claimed by a stack, or has left it"):
        other.change(count)
    assert other.read().revision == 0


def test_what_was_written_is_read_again(ledger: Any, other: Any, code: SimpleNamespace) -> None:
    def update(record: Any) -> None:
        record.owner, record.verified, record.retained = "stack", "v2", ["v1"]
        record.holder = code.ledger.Holder("arn", "v3", "2026", taking_back=True)
        record.ask = code.ledger.Ask(None, 12.5, "then", seen=True)
        record.runs["v3"] = "arn"

    assert ledger.change(update) == other.read()


def test_the_item_can_be_read_by_people(ledger: Any, ledger_table: Any) -> None:
    ledger.change(count)
    item = ledger_table.get_item(TableName="ledger", Key={"endpoint": {"S": "digits"}})["Item"]
    assert item["revision"] == {"N": "2"}
    assert json.loads(item["record"]["S"])["attempts"] == 1


def test_a_change_in_between_is_not_lost(ledger: Any, other: Any, client: Between) -> None:
    client.before = [lambda: other.change(lambda record: record.removing.append("v1"))]
    written = ledger.change(count)
    assert (written.removing, written.attempts) == (["v1"], 1)
    assert other.read() == written


def test_two_that_make_the_record_are_both_heard(
    other: Any, client: Between, clock: Clock, code: SimpleNamespace
) -> None:
    client.before = [lambda: other.change(lambda record: record.removing.append("v1"), create=True)]
    ledger = code.ledger.Ledger(client, "ledger", "digits", clock)
    written = ledger.change(count, create=True)
    assert (written.removing, written.attempts) == (["v1"], 1)


def test_fails_when_others_write_all_the_time(
    ledger: Any, other: Any, client: Between, code: SimpleNamespace
) -> None:
    client.before = [lambda: other.change(lambda record: record.removing.append("v1"))] * 1000
    with pytest.raises(code.ledger.BusyError, match="written by others all the time"):
        ledger.change(count)


def test_a_write_whose_answer_was_lost_counts_once(ledger: Any, other: Any, client: Between) -> None:
    client.repeats = True
    assert ledger.change(count).attempts == 1
    assert other.read().attempts == 1


def test_a_write_whose_answer_was_lost_before_the_record_was_there_counts_once(
    other: Any, client: Between, clock: Clock, code: SimpleNamespace
) -> None:
    client.repeats = True
    ledger = code.ledger.Ledger(client, "ledger", "digits", clock)
    assert ledger.change(count, create=True).attempts == 1
    assert other.read().revision == 1


def test_an_update_that_raises_writes_nothing(ledger: Any, other: Any) -> None:
    def update(record: Any) -> None:
        record.attempts = 7
        raise KeyError("no")

    before = other.read()
    with pytest.raises(KeyError):
        ledger.change(update)
    assert other.read() == before


def test_fails_when_dynamodb_refuses(code: SimpleNamespace, ledger_table: Any, clock: Clock) -> None:
    ledger = code.ledger.Ledger(ledger_table, "another-table", "digits", clock)
    with pytest.raises(ClientError, match="ResourceNotFound"):
        ledger.change(count, create=True)


def test_records_of_other_endpoints_are_others(
    ledger: Any, code: SimpleNamespace, ledger_table: Any, clock: Clock
) -> None:
    ledger.change(count)
    assert code.ledger.Ledger(ledger_table, "ledger", "letters", clock).read().revision == 0


def test_a_deleted_record_does_not_come_back(ledger: Any, other: Any, code: SimpleNamespace) -> None:
    other.delete()
    with pytest.raises(code.ledger.LedgerClosedError):
        ledger.change(count)


def test_a_verified_version_and_a_retained_one_are_kept(code: SimpleNamespace) -> None:
    record = code.ledger.Record(verified="v3", retained=["v2"], removing=["v1"])
    assert [record.is_kept(each) for each in ("v1", "v2", "v3")] == [False, True, True]


def test_a_step_is_the_only_one(ledger: Any, other: Any, code: SimpleNamespace) -> None:
    with (
        ledger.step(nothing),
        pytest.raises(code.ledger.BusyError, match="another invocation is changing the endpoint"),
        other.step(nothing),
    ):
        pass


def test_a_step_ends_with_its_block(ledger: Any, other: Any) -> None:
    with ledger.step(nothing):
        pass
    with other.step(nothing) as record:
        assert record.step is not None
    assert other.read().step is None


def test_a_step_ends_when_its_block_raises(ledger: Any, other: Any) -> None:
    with pytest.raises(KeyError), ledger.step(nothing):
        raise KeyError("no")
    assert other.read().step is None


def test_others_may_write_notes_during_a_step(ledger: Any, other: Any) -> None:
    with ledger.step(nothing):
        other.change(count)
        ledger.change(count)
    assert other.read().attempts == 2


def test_a_check_forbids_the_step(ledger: Any, other: Any) -> None:
    def check(record: Any) -> None:
        raise PermissionError

    with pytest.raises(PermissionError), ledger.step(check):
        pass
    assert other.read().step is None


def test_the_step_of_an_invocation_that_was_stopped_expires(
    ledger: Any, other: Any, clock: Clock, code: SimpleNamespace
) -> None:
    until = clock() + code.ledger.STEP_SECONDS
    ledger.change(lambda record: setattr(record, "step", {"id": "stopped", "until": until}))
    clock.advance(code.ledger.STEP_SECONDS - 1)
    with pytest.raises(code.ledger.BusyError), other.step(nothing):
        pass
    clock.advance(1)
    with other.step(nothing):
        pass


def test_an_invocation_that_was_too_slow_writes_nothing_any_more(
    ledger: Any, other: Any, clock: Clock, code: SimpleNamespace
) -> None:
    slow = ledger.step(nothing)
    slow.__enter__()
    clock.advance(code.ledger.STEP_SECONDS)
    with other.step(nothing), pytest.raises(code.ledger.BusyError, match="took too long"):
        ledger.change(count)
    assert other.read().attempts == 0


def test_an_invocation_that_was_too_slow_does_not_end_the_step_of_another(
    ledger: Any, other: Any, clock: Clock, code: SimpleNamespace
) -> None:
    first = ledger.step(nothing)
    first.__enter__()
    clock.advance(code.ledger.STEP_SECONDS)
    second = other.step(nothing)
    second.__enter__()
    with pytest.raises(code.ledger.BusyError, match="took too long"):
        first.__exit__(None, None, None)
    assert other.read().step is not None


def test_a_step_outlasts_the_functions_timeout(code: SimpleNamespace) -> None:
    assert code.ledger.STEP_SECONDS > 60


def test_a_step_may_end_with_the_record(ledger: Any, other: Any) -> None:
    with ledger.step(nothing):
        ledger.delete()
    assert other.read().revision == 0
