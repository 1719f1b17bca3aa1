"""The steps of a deployment; each is one invocation of the function, and may be repeated."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError
from endpoint import Endpoint, Look
from executions import Executions
from ledger import BusyError, Holder, Ledger, LedgerClosedError, Record
from recovery import Recovery
from sample import check_answer
from versions import Versions
from way import EndpointNotInServiceError, EndpointNotOursError, Way


class NotHolderError(Exception):
    """The execution may not change the endpoint any more: it was stopped, and what it did was taken back."""


class VersionNotRetainedError(Exception):
    """There is no such version to roll back to."""


@dataclass(frozen=True)
class Deployment:
    """What one execution wants.

    Attributes
    ----------
    execution
        ARN of the execution.
    version
        The version that it makes, or rolls back to.
    order
        When what asked for it began, and its name: the newest wins.
    rolls_back
        Whether the version is there already.
    """

    execution: str
    version: str
    order: str
    rolls_back: bool

    @classmethod
    def of(cls, event: Mapping[str, Any]) -> "Deployment":
        """Read it from an event of the state machine."""
        return cls(event["execution"], event["version"], event["order"], event["rolls_back"])


class Deployer:
    """Brings versions of one endpoint into service.

    Parameters
    ----------
    ledger, endpoint, versions, executions
        Of the endpoint.
    runtime
        A boto3 client of ``sagemaker-runtime``.
    way : Way
        The way of the endpoint.
    recovery : Recovery
        What finishes what has to go back.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        endpoint: Endpoint,
        versions: Versions,
        executions: Executions,
        runtime: Any,
        way: Way,
        recovery: Recovery,
    ) -> None:
        self._ledger = ledger
        self._endpoint = endpoint
        self._versions = versions
        self._executions = executions
        self._runtime = runtime
        self._way = way
        self._recovery = recovery

    def announce(self, wanted: Deployment) -> dict[str, Any]:
        """Write down what an execution is about to make, before it makes anything.

        Returns
        -------
        dict
            ``{"state": "announced"}``, or ``{"state": "superseded", "by"}``.

        Raises
        ------
        LedgerClosedError
            When the endpoint is being removed.
        VersionNotRetainedError
            When there is no such version to roll back to.
        """

        def note(record: Record) -> None:
            self._check_open(record)
            if wanted.rolls_back:
                self._check_kept(record, wanted)
            elif not _is_late(record, wanted):
                record.runs[wanted.version] = wanted.execution

        record = self._ledger.change(note)
        if _is_late(record, wanted):
            return {"state": "superseded", "by": record.verified}
        return {"state": "announced"}

    def bring_into_service(self, wanted: Deployment, requests: Mapping[str, Any]) -> dict[str, Any]:
        """Take the turn, make the version, and move the endpoint one step towards it.

        Parameters
        ----------
        wanted : Deployment
            The deployment.
        requests : Mapping
            Arguments of ``CreateModel`` and ``CreateEndpointConfig``.

        Returns
        -------
        dict
            ``{"state"}``: ``waiting`` for the turn, ``moving``, ``in_service``; or
            ``{"state": "superseded", "by"}``.
        """
        if self._is_held_by_another(wanted):
            return {"state": "waiting", "for": "another execution"}
        try:
            with self._ledger.step(self._check_open) as record:
                if record.holder is None or record.holder.execution != wanted.execution:
                    if record.holder is not None and not self._recovery.take_turn_of(record.holder):
                        return {"state": "waiting", "for": record.holder.execution}
                    record = self._ledger.read()
                    if _is_late(record, wanted):
                        self._recovery.drop(wanted.version)
                        self._recovery.tidy_up_if_settled()
                        return {"state": "superseded", "by": record.verified}
                    self._hold(record, wanted)
                elif record.holder.taking_back:
                    raise NotHolderError(f"{wanted.version} is being taken back")
                if not wanted.rolls_back and self._ledger.read().attempts == 0:
                    self._versions.create(wanted.version, dict(requests))
                arrived = self._way.forward_soon(wanted.version)
                return {"state": "in_service" if arrived else "moving"}
        except BusyError:
            return {"state": "waiting", "for": "another invocation"}

    def verify(self, wanted: Deployment, sample: Mapping[str, Any]) -> dict[str, Any]:
        """Send the sample request, and check the answer.

        Raises
        ------
        SampleRequestFailedError
            When the endpoint does not answer, or with something else.
        """
        self._check_holder(self._ledger.read(), wanted)
        check_answer(self._runtime, self._endpoint.name, sample)
        return {"state": "verified"}

    def commit(self, wanted: Deployment, retain: int) -> dict[str, Any]:
        """Make the version the verified one, and remove those that are not kept any more.

        Parameters
        ----------
        wanted : Deployment
            The deployment.
        retain : int
            How many superseded versions are kept for a rollback.

        Returns
        -------
        dict
            ``{"state": "deployed", "warnings"}``; what could not be tidied up is a warning.
        """
        if _is_committed(self._ledger.read(), wanted):
            return {"state": "deployed", "warnings": []}  # the answer to the first try was lost
        try:
            with self._ledger.step(lambda record: self._check_holder(record, wanted)):
                found = self._way.settled()
                if found is None:
                    return {"state": "waiting", "for": f"endpoint {self._endpoint.name}"}
                warnings = self._commit(wanted, found[0], retain)
        except BusyError:
            return {"state": "waiting", "for": "another invocation"}
        return {"state": "deployed", "warnings": warnings}

    def _commit(self, wanted: Deployment, look: Look, retain: int) -> list[str]:
        if not look.serves(wanted.version):
            raise EndpointNotInServiceError(
                f"endpoint {self._endpoint.name} is {look.status} with {look.config} instead of InService"
                f" with {wanted.version}: somebody else has changed it"
            )

        def note(record: Record) -> None:
            before = (record.verified, *record.retained)
            kept = [each for each in before if each is not None and each != wanted.version]
            record.retained = kept[:retain]
            record.removing += kept[retain:]
            record.verified, record.newest, record.made_here = wanted.version, wanted.order, True
            record.runs.pop(wanted.version, None)
            record.end_way()
            record.problem = None

        was_ours = self._ledger.read().made_here
        record = self._ledger.change(note)
        warnings = self._recovery.tidy_up(record, look)
        if not was_ours:
            warnings += self._mark(record, look)
        self._ledger.change(Record.release)
        return warnings

    def _mark(self, record: Record, look: Look) -> list[str]:
        """Write down on an endpoint that was adopted that it is the stack's now."""
        try:
            self._endpoint.mark(look, record.owner or "")
        except ClientError as error:
            return [f"endpoint not marked as the stack's: {error}"]
        return []

    def take_back(self, wanted: Deployment) -> dict[str, Any]:
        """Go one step back to the verified version, and remove the candidate when it is reached.

        Returns
        -------
        dict
            ``{"state"}``: ``moving``, ``taken_back``; or ``deployed`` where the version was verified after
            all.
        """
        record = self._ledger.read()
        holds = record.holder is not None and record.holder.execution == wanted.execution
        if not holds:
            if _is_committed(record, wanted):
                return {"state": "deployed", "warnings": []}
            return self._drop_announced(wanted)
        try:
            with self._ledger.step(lambda record: None) as record:
                if record.holder is None or record.holder.execution != wanted.execution:
                    return {"state": "taken_back"}
                if record.newest == wanted.order:
                    self._ledger.change(Record.release)
                    return {"state": "deployed", "warnings": []}
                return {"state": "taken_back" if self._recovery.go_back(record.holder) else "moving"}
        except BusyError:
            return {"state": "moving"}

    def _is_held_by_another(self, wanted: Deployment) -> bool:
        holder = self._ledger.read().holder
        if holder is None or holder.execution == wanted.execution:
            return False
        return self._executions.is_running(holder.execution)

    def _hold(self, record: Record, wanted: Deployment) -> None:
        """Become the holder, unless the endpoint is not the stack's, or the execution was given up."""
        if not wanted.rolls_back and record.runs.get(wanted.version) != wanted.execution:
            raise NotHolderError(_START_ANEW.format(wanted.version))
        if wanted.rolls_back:
            self._check_kept(record, wanted)
        look = self._endpoint.look()
        owner = self._endpoint.owner(look)
        is_known = look.is_missing or record.made_here or record.verified is not None
        if owner not in (None, record.owner) or not is_known:
            raise EndpointNotOursError(
                f"endpoint {self._endpoint.name} exists, and "
                + (f"belongs to the stack {owner}" if owner else "was not made by this stack")
                + ": choose another endpoint_name, or adopt an endpoint that belongs to none (adopt=True)"
            )

        def note(record: Record) -> None:
            record.holder = Holder(wanted.execution, wanted.version, wanted.order)
            record.attempts, record.problem, record.made_again = 0, None, False

        self._ledger.change(note)

    def _drop_announced(self, wanted: Deployment) -> dict[str, Any]:
        """Remove what an execution has announced that never had its turn."""
        if self._ledger.read().runs.get(wanted.version) == wanted.execution:
            try:
                with self._ledger.step(lambda record: None):
                    self._recovery.abandon(wanted.version)
                    if self._ledger.read().holder is None:
                        self._recovery.tidy_up_if_settled()
            except BusyError:
                return {"state": "moving"}
        return {"state": "taken_back"}

    def _check_open(self, record: Record) -> None:
        if record.closed or record.owner is None:
            raise LedgerClosedError(
                f"endpoint {self._endpoint.name} is "
                + ("being removed with its stack" if record.closed else "not claimed by a stack")
            )

    def _check_kept(self, record: Record, wanted: Deployment) -> None:
        if not record.is_kept(wanted.version):
            kept = ", ".join(sorted({*record.retained, *filter(None, [record.verified])})) or "none"
            raise VersionNotRetainedError(
                f"roll_back must be a version of {self._endpoint.name} that is kept, {kept};"
                f" got {wanted.version}"
            )

    def _check_holder(self, record: Record, wanted: Deployment) -> None:
        holder = record.holder
        if holder is None or holder.execution != wanted.execution or holder.taking_back:
            raise NotHolderError(_START_ANEW.format(wanted.version))


_START_ANEW = "{} was taken back when its execution had ended: start a new execution instead of a redrive"


def _is_late(record: Record, wanted: Deployment) -> bool:
    return wanted.order < record.newest


def _is_committed(record: Record, wanted: Deployment) -> bool:
    """Tell whether a deployment has come to its end, though another one may have followed."""
    if record.holder is not None and record.holder.execution == wanted.execution:
        return False
    return record.newest == wanted.order or (not wanted.rolls_back and record.is_kept(wanted.version))
