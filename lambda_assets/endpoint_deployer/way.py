"""The way of an endpoint to a configuration: forward to a candidate, or back to what was verified."""

from collections.abc import Callable
from functools import partial

from botocore.exceptions import BotoCoreError, ClientError
from endpoint import Endpoint, Look
from ledger import Ask, Ledger, Record

# A look this long after a call shows what came of the call, whatever happened to its answer.
_SEEN_AFTER_SECONDS = 30.0
# So long after a call the function itself looks again; its invocation may last a minute.
_QUICK_SECONDS = 25.0
_LOOK_EVERY_SECONDS = 1.0
# One way asks SageMaker at most so often, each time with the retries of a call.
_MOST_ATTEMPTS = 5


class EndpointNotInServiceError(Exception):
    """The endpoint did not come to have what it was asked for."""


class EndpointNotOursError(EndpointNotInServiceError):
    """The endpoint was not made by this stack."""


class Way:
    """Brings an endpoint to a configuration, one look or call at a time.

    Every call is written down in the ledger before it is made, so that whoever goes on can tell what came of
    it: by looking, for the answer may be lost, and may come before SageMaker shows the change.

    Parameters
    ----------
    ledger : Ledger
        Its ledger; the caller is in a step.
    endpoint : Endpoint
        The endpoint.
    now, sleep : callable
        The time in seconds since 1970, and how to let some of it pass.
    """

    def __init__(
        self,
        ledger: Ledger,
        endpoint: Endpoint,
        now: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        self._ledger = ledger
        self._endpoint = endpoint
        self._now = now
        self._sleep = sleep

    def settled(self) -> tuple[Look, Ask | None] | None:
        """Look, unless what the endpoint was asked for is still open.

        Returns
        -------
        tuple of Look and Ask, or None
            The endpoint as it rests, and the call that led there, if one did; None while it is changing.
        """
        ask = self._ledger.read().ask
        look = self._endpoint.look()
        if ask is not None and not ask.seen and look.modified != ask.modified:
            self._ledger.change(_seen)
            ask.seen = True
        if look.is_changing:
            return None
        if ask is None:
            return look, None
        if look.modified == ask.modified:
            if self._now() < ask.at + _SEEN_AFTER_SECONDS:
                return None  # perhaps SageMaker shows what was before
            if not ask.seen:
                self._ledger.change(_forget_ask)  # it did not reach SageMaker
                return look, None
        return look, ask

    def forward_soon(self, version: str) -> bool:
        """As `forward`, with further looks for a while: the state machine waits for what is slow alone."""
        while not (arrived := self.forward(version)):
            ask = self._ledger.read().ask
            if ask is None or self._now() > ask.at + _QUICK_SECONDS:
                break
            self._sleep(_LOOK_EVERY_SECONDS)
        return arrived

    def forward(self, version: str) -> bool:
        """Go one step towards a candidate.

        Returns
        -------
        bool
            Whether the endpoint is in service with it.

        Raises
        ------
        EndpointNotInServiceError
            When SageMaker could not bring it into service.
        """
        found = self.settled()
        if found is None:
            return False
        look, ask = found
        if look.serves(version):
            return True
        if ask is not None and ask.config == version:
            raise EndpointNotInServiceError(self._reason(look, version))
        self.ask(look, None if look.status == "Failed" else version)
        return False

    def back(self, target: str | None) -> Look | None:
        """Go one step back to what was verified, or, with None, to no endpoint.

        Returns
        -------
        Look or None
            The endpoint when it is there.

        Raises
        ------
        EndpointNotInServiceError
            When it cannot be brought there.
        """
        found = self.settled()
        if found is None:
            return None
        look, _ = found
        record = self._ledger.read()
        if target is None and not look.is_missing and not record.made_here:
            raise EndpointNotOursError(f"endpoint {self._endpoint.name} was not made by this stack")
        # An endpoint that somebody deleted by hand is not made again unasked.
        if look.serves(target) or (look.is_missing and not record.made_again):
            self._ledger.change(Record.end_way)
            return look
        self.ask(look, None if look.status == "Failed" else target)
        return None

    def ask(self, look: Look, config: str | None) -> None:
        """Ask SageMaker once, after writing it down.

        Parameters
        ----------
        look : Look
            The endpoint at rest.
        config : str or None
            The configuration that it is to have; None deletes it.
        """

        def note(record: Record) -> None:
            if record.attempts >= _MOST_ATTEMPTS:
                raise EndpointNotInServiceError(self._reason(look, config))
            record.attempts += look.status != "Failed"  # deleting that is no attempt at anything
            record.ask = Ask(config, self._now(), look.modified)
            record.made_again = record.made_again or (config is None and look.status == "Failed")
            # One that is made again belongs to whom it belonged before.
            record.made_here = record.made_here or (look.is_missing and not record.made_again)

        self._check_owner(look)
        record = self._ledger.change(note)
        try:
            self._endpoint.ask(look, config, record.owner if record.made_here else None)
        except (BotoCoreError, ClientError) as error:
            # What came of it is seen by looking.
            self._ledger.change(partial(_note_problem, str(error)))

    def _check_owner(self, look: Look) -> None:
        """Refuse an endpoint that another stack has made, after ours was deleted by hand."""
        owner = self._endpoint.owner(look)
        if owner not in (None, self._ledger.read().owner):
            raise EndpointNotOursError(f"endpoint {self._endpoint.name} belongs to the stack {owner}")

    def _reason(self, look: Look, config: str | None) -> str:
        problem = self._ledger.read().problem
        return (
            f"endpoint {self._endpoint.name} is {look.status}"
            + (f" with {look.config}" if look.config else "")
            + f" instead of {f'InService with {config}' if config else 'deleted'}"
            + (f": {look.failure_reason}" if look.failure_reason else f": {problem}" if problem else "")
            + f"; logs: /aws/sagemaker/Endpoints/{self._endpoint.name}"
        )


def _seen(record: Record) -> None:
    if record.ask is not None:
        record.ask.seen = True


def _forget_ask(record: Record) -> None:
    record.ask = None


def _note_problem(problem: str, record: Record) -> None:
    record.problem = problem
