"""The packaging function: what Lambda calls."""

from typing import Any

from packager.custom_resource import is_custom_resource, respond
from packager.deadline import Deadline
from packager.handling import answer


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer a state machine, a sweep schedule or CloudFormation.

    Parameters
    ----------
    event : dict
        A packaging request or a sweep (see `packager.handling.answer`), or a custom resource event.
    context : Any
        The Lambda context; it says how much time is left.

    Returns
    -------
    dict
        What `packager.handling.answer` or `packager.custom_resource.respond` returns.

    Raises
    ------
    packager.errors.ModelPackagerError
        One of its kinds; its class name is the error that a state machine can catch.
    """
    if is_custom_resource(event):
        return respond(event, context)
    return answer(event, Deadline.of_lambda(context))
