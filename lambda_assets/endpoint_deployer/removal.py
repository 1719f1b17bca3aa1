"""What CloudFormation asks for: an endpoint is claimed for a stack, and goes with it or stays."""

from dataclasses import dataclass
from typing import Any

from endpoint import OWNER_TAG, Endpoint, Look
from executions import Executions
from ledger import BusyError, Ledger, Record
from versions import Versions
from way import EndpointNotInServiceError, EndpointNotOursError, Way


class EndpointOwnedError(Exception):
    """The endpoint belongs to somebody else."""


@dataclass(frozen=True)
class Claim:
    """What a stack says of an endpoint.

    Attributes
    ----------
    owner
        Id of the stack.
    state_machine
        ARN of the state machine of its deployments.
    adopt
        Whether an endpoint is taken over that nobody owns.
    retain
        Whether the endpoint stays when it leaves the stack.
    """

    owner: str
    state_machine: str
    adopt: bool
    retain: bool

    @classmethod
    def of(cls, event: dict[str, Any]) -> "Claim":
        """Read it from an event of CloudFormation, whose values are texts."""
        properties = event["ResourceProperties"]
        return cls(
            owner=event["StackId"],
            state_machine=properties["StateMachine"],
            adopt=properties["Adopt"] == "true",
            retain=properties["RemovalPolicy"] == "Retain",
        )


class Ownership:
    """Claims one endpoint, and lets it go.

    Parameters
    ----------
    ledger, endpoint, versions, executions
        Of the endpoint.
    way : Way
        The way of the endpoint.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        endpoint: Endpoint,
        versions: Versions,
        executions: Executions,
        way: Way,
    ) -> None:
        self._ledger = ledger
        self._endpoint = endpoint
        self._versions = versions
        self._executions = executions
        self._way = way

    def claim(self, claim: Claim) -> None:
        """Make the endpoint the stack's; what it serves counts as verified.

        Raises
        ------
        EndpointOwnedError
            When the endpoint exists and is another stack's, or nobody's and not to be adopted.
        """
        look = self._endpoint.look()
        tag = self._endpoint.owner(look)
        if tag not in (None, claim.owner):
            raise EndpointOwnedError(
                f"endpoint {self._endpoint.name} belongs to the stack {tag}: remove it from there first, or,"
                f" if that stack is gone, remove the endpoint's tag {OWNER_TAG} and adopt it (adopt=True)"
            )
        is_known = self._ledger.read().owner == claim.owner
        if not look.is_missing and not is_known and tag is None:
            self._check_adoption(look, claim)

        def note(record: Record) -> None:
            if record.owner != claim.owner:
                record.owner = claim.owner
                record.made_here = tag == claim.owner
                record.verified = look.config if look.status == "InService" else None
            record.closed = False

        self._ledger.change(note, create=True)

    def _check_adoption(self, look: Look, claim: Claim) -> None:
        name = self._endpoint.name
        if not claim.adopt:
            raise EndpointOwnedError(
                f"endpoint {name} exists, and this stack has not made it: adopt it (adopt=True), or choose"
                " another endpoint_name"
            )
        if look.status != "InService":
            raise EndpointOwnedError(
                f"endpoint {name} must be InService to be adopted, for what it serves is what a deployment"
                f" that fails goes back to; it is {look.status}"
            )

    def let_go(self, claim: Claim) -> str | None:
        """Go one step towards the end: close the ledger, stop executions, remove the endpoint or leave it.

        Returns
        -------
        str or None
            None when it is done, else what is waited for.
        """
        if self._ledger.read().owner != claim.owner:
            return None  # done before, or never claimed
        record = self._ledger.change(_close)
        for execution in self._running(record, claim):
            self._executions.stop(execution, f"endpoint {self._endpoint.name} leaves its stack")
        try:
            with self._ledger.step(lambda record: None) as record:
                for version in record.runs:
                    self._versions.stop_packaging(version)
                if claim.retain or not self._is_ours(record):
                    return self._leave(record)
                return self._remove(record)
        except BusyError:
            return "an invocation that is changing it"
        except EndpointNotOursError as error:
            print(f"the endpoint stays: {error}")  # noqa: T201 - the log
            self._remove_versions(self._ledger.read(), set())
            self._ledger.delete()
            return None
        except EndpointNotInServiceError as error:
            self._ledger.change(Record.try_again)
            return f"what was verified, which does not come back: {error}"

    def _running(self, record: Record, claim: Claim) -> set[str]:
        known = [*record.runs.values(), *([record.holder.execution] if record.holder else [])]
        return {*known, *self._executions.running(claim.state_machine)}

    def _leave(self, record: Record) -> str | None:
        """Leave the endpoint to itself, with what was verified."""
        target = record.verified
        if record.holder is not None:
            look = self._way.back(target)
        else:
            found = self._way.settled()
            look = None if found is None else found[0]
        if look is None:
            return f"endpoint {self._endpoint.name}, which is changing"
        kept = {look.config, target, *record.retained}
        self._remove_versions(record, kept)
        if self._endpoint.owner(look) == record.owner:
            self._endpoint.unmark(look)
        self._ledger.delete()
        return None

    def _is_ours(self, record: Record) -> bool:
        """Tell whether the endpoint goes with its stack: a deployment has made it, or made it the stack's."""
        look = self._endpoint.look()
        if look.is_missing:
            return True
        owner = self._endpoint.owner(look)
        return owner == record.owner or (owner is None and record.made_here)

    def _remove(self, record: Record) -> str | None:
        """Delete the endpoint and all versions."""
        found = self._way.settled()
        if found is None:
            return f"endpoint {self._endpoint.name}, which is changing"
        look, _ = found
        if not look.is_missing:
            self._ledger.change(Record.try_again)
            self._way.ask(look, None)
            return f"endpoint {self._endpoint.name}, which is being deleted"
        self._remove_versions(record, set())
        self._ledger.delete()
        return None

    def _remove_versions(self, record: Record, kept: set[str | None]) -> None:
        known = {record.verified, *record.retained, *record.runs, *record.removing}
        if record.holder is not None:
            known.add(record.holder.version)
        for version in sorted(each for each in known if each is not None):
            if version not in kept:
                self._versions.remove(version)


def _close(record: Record) -> None:
    record.closed = True
