"""Answers CloudFormation: without an answer a stack waits for an hour."""

import json
import urllib.request
from collections.abc import Callable
from typing import Any

Respond = Callable[[str, bytes], None]
"""Puts an answer to the URL that CloudFormation gave."""


def answer(event: dict[str, Any], work: Callable[[], str | None], respond: Respond) -> dict[str, Any]:
    """Do the work of a custom resource and tell CloudFormation how it went.

    Parameters
    ----------
    event : dict
        The event.
    work : callable
        Does the work and returns the physical id of the resource, or None where another invocation goes on.
    respond : callable
        See `Respond`.

    Returns
    -------
    dict
        The answer that CloudFormation got; empty where it did not get one yet.
    """
    body = {
        "Status": "SUCCESS",
        "PhysicalResourceId": event.get("PhysicalResourceId") or event["RequestId"],
        **{key: event[key] for key in ("StackId", "RequestId", "LogicalResourceId")},
    }
    try:
        physical_id = work()
        if physical_id is None:
            return {}
        body["PhysicalResourceId"] = physical_id
    except Exception as error:
        # Whatever went wrong, the stack must hear of it.
        body |= {"Status": "FAILED", "Reason": f"{type(error).__name__}: {error}"}
    respond(event["ResponseURL"], json.dumps(body).encode())
    return body


def respond(url: str, body: bytes) -> None:
    """See `Respond`."""
    request = urllib.request.Request(  # noqa: S310 - CloudFormation's own URL
        url,
        data=body,
        method="PUT",
        headers={"Content-Type": ""},  # the URL is signed for an empty one
    )
    with urllib.request.urlopen(request, timeout=10):  # noqa: S310 - the same
        pass
