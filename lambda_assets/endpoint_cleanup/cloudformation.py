"""Answers CloudFormation: without an answer a stack waits for an hour."""

import json
import urllib.request
from collections.abc import Callable
from typing import Any


def answer(event: dict[str, Any], work: Callable[[], str]) -> dict[str, Any]:
    """Do the work of a custom resource and tell CloudFormation how it went.

    Parameters
    ----------
    event : dict
        The event.
    work : callable
        Does the work and returns the physical id of the resource.

    Returns
    -------
    dict
        The answer that CloudFormation got.
    """
    body = {
        "Status": "SUCCESS",
        "PhysicalResourceId": event.get("PhysicalResourceId") or event["RequestId"],
        **{key: event[key] for key in ("StackId", "RequestId", "LogicalResourceId")},
    }
    try:
        body["PhysicalResourceId"] = work()
    except Exception as error:
        # Whatever went wrong, the stack must hear of it.
        body |= {"Status": "FAILED", "Reason": f"{type(error).__name__}: {error}"}
    request = urllib.request.Request(  # noqa: S310 - CloudFormation's own URL
        event["ResponseURL"],
        data=json.dumps(body).encode(),
        method="PUT",
        headers={"Content-Type": ""},  # the URL is signed for an empty one
    )
    with urllib.request.urlopen(request, timeout=30):  # noqa: S310 - the same
        return body
