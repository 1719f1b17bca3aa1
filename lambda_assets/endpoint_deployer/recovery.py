"""What has to be finished, whoever does it: a deployment that goes back, and what executions have left."""

from functools import partial
from typing import Any

from botocore.exceptions import ClientError
from endpoint import Look
from executions import Executions
from ledger import BusyError, Holder, Ledger, Record
from versions import Versions
from way import EndpointNotInServiceError, Way


class Recovery:
    """Takes versions of one endpoint back, and tidies up behind executions.

    Parameters
    ----------
    ledger, versions, executions, way
        Of the endpoint. But for `reconcile`, the caller is in a step of the ledger.
    """

    def __init__(self, *, ledger: Ledger, versions: Versions, executions: Executions, way: Way) -> None:
        self._ledger = ledger
        self._versions = versions
        self._executions = executions
        self._way = way

    def reconcile(self) -> dict[str, Any]:
        """Finish what executions have left that do not run any more.

        Returns
        -------
        dict
            ``{"state"}``: ``settled``; ``moving`` when there is more to do soon; ``stuck`` when what was
            verified does not come into service, which is tried again the next time.
        """
        record = self._ledger.read()
        if record.closed or record.owner is None:
            return {"state": "settled"}  # whoever removes the endpoint does the rest
        holder = record.holder
        is_held = holder is not None and self._executions.is_running(holder.execution)
        is_tidy = holder is None and not record.removing and not record.owed
        if not self._dead_runs(record) and (is_held or is_tidy):
            return {"state": "settled"}
        try:
            with self._ledger.step(lambda record: None) as record:
                if record.holder is not None and not is_held and not self._take_over(record.holder):
                    return {"state": "moving"}
                for version in self._dead_runs(self._ledger.read()):
                    self.abandon(version)
                if self._ledger.read().holder is None and not self._leave_what_was_given_up():
                    return {"state": "moving"}
        except BusyError:
            return {"state": "moving"}
        except EndpointNotInServiceError as error:
            print(f"stuck: {error}")  # noqa: T201 - the log
            self._ledger.change(Record.try_again)
            return {"state": "stuck"}
        return {"state": "settled"}

    def _take_over(self, holder: Holder) -> bool:
        """Finish the deployment of a holder that does not run any more; tell whether the turn is free."""
        if self._executions.is_running(holder.execution):
            return False
        record = self._ledger.read()
        if record.newest == holder.order and record.verified == holder.version:
            self._ledger.change(Record.release)
            return True
        self._versions.stop_packaging(holder.version)
        return self.go_back(holder)

    def take_turn_of(self, holder: Holder) -> bool:
        """Finish the deployment of a holder that does not run any more; tell whether the turn is free.

        Where what was verified does not serve either, it is: the next version may. If none does, `reconcile`
        still has to bring it back.
        """
        try:
            return self._take_over(holder)
        except EndpointNotInServiceError as error:
            print(f"{holder.version} not taken back: {error}")  # noqa: T201 - the log
            self._ledger.change(lambda record: _give_up(record, holder, owed=True))
            return True

    def go_back(self, holder: Holder) -> bool:
        """Go one step back.

        Parameters
        ----------
        holder : Holder
            Whose candidate is taken back.

        Returns
        -------
        bool
            Whether the endpoint has arrived and the candidate is removed.

        Raises
        ------
        EndpointNotInServiceError
            When what was verified does not come into service.
        """

        def begin(record: Record) -> None:
            if record.holder is not None and not record.holder.taking_back:
                record.holder.taking_back = True
                record.attempts, record.problem = 0, None

        target = self._ledger.change(begin).verified
        look = self._way.back(target)
        if look is None:
            return False
        self._ledger.change(lambda record: _give_up(record, holder))
        self.tidy_up(self._ledger.read(), look)
        return True

    def drop(self, version: str) -> None:
        """Note that what an execution has announced is to be removed."""

        def note(record: Record) -> None:
            if record.runs.pop(version, None) is not None and not record.is_kept(version):
                record.removing.append(version)

        if version in self._ledger.read().runs:
            self._ledger.change(note)

    def abandon(self, version: str) -> None:
        """Stop what packages a version that was announced, and note that it is to be removed."""
        self._versions.stop_packaging(version)
        self.drop(version)

    def _dead_runs(self, record: Record) -> list[str]:
        return [
            version
            for version, execution in record.runs.items()
            if record.holder is None or record.holder.version != version
            if not self._executions.is_running(execution)
        ]

    def _leave_what_was_given_up(self) -> bool:
        """Go one step back from what serves unverified or not at all; tell whether all is tidied up."""
        found = self._way.settled()
        if found is None:
            return False
        record, look = self._ledger.read(), found[0]
        if record.owed or (look.config in record.removing and not record.is_kept(look.config)):
            arrived = self._way.back(record.verified)
            if arrived is None:
                return False
            look = arrived
        self.tidy_up(self._ledger.read(), look)
        return True

    def tidy_up_if_settled(self) -> None:
        """Remove the versions that are to go, unless the endpoint is changing."""
        found = self._way.settled()
        if found is not None:
            self.tidy_up(self._ledger.read(), found[0])

    def tidy_up(self, record: Record, look: Look) -> list[str]:
        """Remove the versions that are to go; return what could not be removed."""
        problems = []
        for version in record.removing:
            if version == look.config or record.is_kept(version):
                continue
            try:
                self._versions.remove(version)
            except ClientError as error:
                problems.append(f"{version} is left over: {error}")
            else:
                self._ledger.change(partial(_removed, version))
        return problems


def _removed(version: str, record: Record) -> None:
    if version in record.removing:
        record.removing.remove(version)


def _give_up(record: Record, holder: Holder, *, owed: bool = False) -> None:
    """End a deployment without success."""
    record.holder = None
    record.end_way()
    record.owed = owed
    record.runs.pop(holder.version, None)
    if not record.is_kept(holder.version) and holder.version not in record.removing:
        record.removing.append(holder.version)
