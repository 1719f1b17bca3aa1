"""A part of a state machine whose states are made with it."""

from aws_cdk import aws_stepfunctions as sfn

__all__ = ["Fragment"]


class Fragment(sfn.StateMachineFragment):
    """States with one beginning; a subclass sets ``_start`` and ``_ends`` in its constructor."""

    _start: sfn.State
    _ends: list[sfn.INextable]

    @property
    def id(self) -> str:
        """Id of the construct."""
        return self.node.id

    @property
    def start_state(self) -> sfn.State:
        """The first state."""
        return self._start

    @property
    def end_states(self) -> list[sfn.INextable]:
        """The states after which its work is done."""
        return self._ends
