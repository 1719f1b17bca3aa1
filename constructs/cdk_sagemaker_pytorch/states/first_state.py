"""The choice that a fragment of ours begins with."""

from typing import Any

from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

__all__ = ["FirstState"]


class FirstState(sfn.Choice):
    """A choice in JSONata that says what to do where its fragment is used a second time.

    Parameters
    ----------
    scope, construct_id
        As for every construct; the id is the name of the state.
    reuse : str
        What to do, for the message.
    """

    def __init__(self, scope: Construct, construct_id: str, *, reuse: str, **options: Any) -> None:
        super().__init__(scope, construct_id, query_language=sfn.QueryLanguage.JSONATA, **options)
        self._owner = scope.node.path
        self._reuse = reuse

    def bind_to_graph(self, graph: sfn.StateGraph) -> None:
        """Register this state with the graph it is part of.

        Raises
        ------
        ValueError
            When it is part of another one already, or another state has its name.
        """
        try:
            super().bind_to_graph(graph)
        except RuntimeError as error:
            raise ValueError(
                f"the states of {self._owner} are used already: {self._reuse} ({error})"
            ) from None
