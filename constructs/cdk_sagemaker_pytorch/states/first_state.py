"""The choice that a fragment of ours begins with."""

from collections.abc import Mapping
from typing import Any

from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

__all__ = ["FirstState"]


class FirstState(sfn.Choice):
    """A choice in JSONata that says what to do where its fragment is used twice, or shares names.

    Parameters
    ----------
    scope, construct_id
        As for every construct; the id is the name of the state.
    assign : Mapping, optional
        Variables to set where none of the choices applies. Defaults to none.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, assign: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(scope, construct_id, query_language=sfn.QueryLanguage.JSONATA, assign=assign)
        self._owner = scope.node.path

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
            text = str(error)
            if "DuplicateStateId" in text:
                remedy = (
                    'names of states must differ: give some others, by job.states().prefix_states("Second: ")'
                )
            elif "already in" in text:
                remedy = (
                    f"the states of {self._owner} are used already: take job.states() for each further use"
                )
            else:  # another state's, which has been told
                raise
            raise ValueError(f"{remedy} ({text.splitlines()[0]})") from None
