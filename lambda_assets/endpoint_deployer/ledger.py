"""What is known of an endpoint: who owns it, who may change it now, what is in service, what is kept.

One item of a DynamoDB table: the attribute ``record`` is JSON, for people to read, and ``revision`` counts
its writes. It is read with strong consistency and written only if nobody has written it since.
"""

import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

_MOST_CONFLICTS = 50
# A function is stopped after its timeout; so a step that began longer ago than this cannot act any more.
STEP_SECONDS = 75


class BusyError(Exception):
    """Another invocation is changing the endpoint; it ends soon, or is stopped."""


class LedgerClosedError(Exception):
    """The endpoint is being removed with its stack, or was not claimed by one yet."""


@dataclass
class Holder:
    """Who may change the endpoint: an execution, with the version that it brings into service.

    Attributes
    ----------
    execution
        ARN of the execution.
    version
        Its candidate.
    order
        When what asked for the deployment began, and its name.
    taking_back
        Whether the candidate is being taken back; then it cannot go forward any more.
    """

    execution: str
    version: str
    order: str
    taking_back: bool = False


@dataclass
class Ask:
    """A call that changes the endpoint, written down before it is made.

    Attributes
    ----------
    config
        The configuration that was asked for; None asks for the endpoint's deletion.
    at
        When, in seconds since 1970.
    modified
        ``LastModifiedTime`` of the endpoint before, as text; None where there was none.
    seen
        Whether the endpoint was seen to do something since.
    """

    config: str | None
    at: float
    modified: str | None
    seen: bool = False


@dataclass
class Record:
    """The item of one endpoint.

    Attributes
    ----------
    owner
        Id of the stack that claims the endpoint; None before and after.
    closed
        Whether the endpoint is being removed: nothing begins any more.
    made_here
        Whether a deployment made the endpoint or brought a version into service on it: its owner may delete
        it then.
    verified
        The configuration that answered its sample request last, or that the endpoint had when it was claimed.
    newest
        The order of the deployment that brought it into service.
    retained
        Configurations that were verified before, the newest first, kept for a rollback.
    runs
        What executions have announced, by version: the ARN of the execution.
    holder
        Who may change the endpoint.
    ask
        What the endpoint was asked for last, until the outcome is known.
    attempts
        How often it was asked on this way.
    problem
        What SageMaker answered to the last call of this way that failed.
    made_again
        Whether a failed endpoint was deleted in order to be made again.
    owed
        Whether what was verified did not come back into service, and nobody has the turn to try it again.
    removing
        Versions to remove as soon as nothing serves them.
    step
        The invocation that is at work, and until when at most: ``{"id", "until"}``.
    revision
        Grows with each write.
    """

    owner: str | None = None
    closed: bool = False
    made_here: bool = False
    verified: str | None = None
    newest: str = ""
    retained: list[str] = field(default_factory=list)
    runs: dict[str, str] = field(default_factory=dict)
    holder: Holder | None = None
    ask: Ask | None = None
    attempts: int = 0
    problem: str | None = None
    made_again: bool = False
    owed: bool = False
    removing: list[str] = field(default_factory=list)
    step: dict[str, Any] | None = None
    revision: int = 0

    def is_kept(self, version: str) -> bool:
        """Tell whether a version serves or stays for a rollback."""
        return version == self.verified or version in self.retained

    def release(self) -> None:
        """Leave the turn to others."""
        self.holder = None

    def try_again(self) -> None:
        """Count the attempts of this way from the beginning."""
        self.attempts = 0

    def end_way(self) -> None:
        """Forget what the endpoint was asked for: it is known what came of it."""
        self.ask, self.attempts, self.made_again = None, 0, False
        self.owed = False


class Ledger:
    """The record of one endpoint.

    Parameters
    ----------
    dynamodb
        A boto3 client.
    table : str
        Name of the table.
    endpoint_name : str
        The endpoint.
    now : callable
        The time in seconds since 1970.
    """

    def __init__(self, dynamodb: Any, table: str, endpoint_name: str, now: Callable[[], float]) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._key = {"endpoint": {"S": endpoint_name}}
        self._now = now
        self._step_id: str | None = None

    def read(self) -> Record:
        """Read the record; an endpoint without one gets an empty one."""
        found = self._dynamodb.get_item(TableName=self._table, Key=self._key, ConsistentRead=True)
        return _record(found["Item"]) if "Item" in found else Record()

    def change(self, update: Callable[[Record], None], *, create: bool = False) -> Record:
        """Change the record; nobody's change in between is lost.

        Parameters
        ----------
        update : callable
            Changes the record that it gets; it may be called again with a newer one.
        create : bool, optional
            Whether to make the record where there is none. Defaults to no: whoever comes too late for an
            endpoint that has left its stack must not bring it back.

        Returns
        -------
        Record
            What was written.

        Raises
        ------
        LedgerClosedError
            When there is no record.
        """
        for _ in range(_MOST_CONFLICTS):
            record = self.read()
            if record.revision == 0 and not create:
                raise LedgerClosedError("the endpoint is not claimed by a stack, or has left it")
            self._check_step(record)
            update(record)
            revision = record.revision
            record.revision += 1
            if self._write(record, revision):
                return record
        raise BusyError("the ledger is written by others all the time")

    def delete(self) -> None:
        """Remove the record."""
        self._dynamodb.delete_item(TableName=self._table, Key=self._key)
        self._step_id = None

    @contextmanager
    def step(self, check: Callable[[Record], None]) -> Iterator[Record]:
        """Be the only one that changes the endpoint, for the time of one invocation.

        Parameters
        ----------
        check : callable
            Gets the record; raises what forbids the step.

        Raises
        ------
        BusyError
            When another invocation is at work.
        """
        step_id = str(uuid.uuid4())

        def take(record: Record) -> None:
            check(record)
            if record.step is not None and record.step["until"] > self._now():
                raise BusyError("another invocation is changing the endpoint")
            record.step = {"id": step_id, "until": self._now() + STEP_SECONDS}

        record = self.change(take)
        self._step_id = step_id
        try:
            yield record
        finally:
            if self._step_id is not None:
                self.change(_end_step)
            self._step_id = None

    def _check_step(self, record: Record) -> None:
        """Keep an invocation that was too slow from writing over what came after it."""
        if self._step_id is not None and (record.step is None or record.step["id"] != self._step_id):
            self._step_id = None
            raise BusyError("this invocation took too long, another one has taken over")

    def _write(self, record: Record, revision: int) -> bool:
        text = json.dumps(record, default=vars)
        item = {**self._key, "revision": {"N": str(record.revision)}, "record": {"S": text}}
        new = revision == 0
        try:
            self._dynamodb.put_item(
                TableName=self._table,
                Item=item,
                ConditionExpression="attribute_not_exists(endpoint)" if new else "revision = :revision",
                **({} if new else {"ExpressionAttributeValues": {":revision": {"N": str(revision)}}}),
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            # The answer of a write that took effect may have been lost, and the write repeated.
            return self.read() == record
        return True


def _end_step(record: Record) -> None:
    record.step = None


def _record(item: dict[str, Any]) -> Record:
    values = json.loads(item["record"]["S"])
    for name, kind in (("holder", Holder), ("ask", Ask)):
        if values[name] is not None:
            values[name] = kind(**values[name])
    return Record(**values)
