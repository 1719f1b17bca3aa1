"""Packaging at deploy time: CloudFormation's custom resource protocol around `answer`."""

import json
import threading
import urllib.request
from collections.abc import Mapping
from typing import Any, Final

from .deadline import Deadline
from .errors import ModelPackagerError
from .handling import answer
from .request import PackagingRequest

_FIELDS: Final = frozenset(PackagingRequest.__dataclass_fields__) | {"training_job_name"}
_MAX_REASON: Final = 1000  # CloudFormation takes 4 kB of answer in all
_RESERVE_S: Final = 3.0
_TIMEOUT_S: Final = 5.0
_ATTEMPTS: Final = 3


def is_custom_resource(event: Mapping[str, Any]) -> bool:
    """Return whether CloudFormation sent the event."""
    return "RequestType" in event and "ResponseURL" in event


def respond(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Package as the resource's properties say, and tell CloudFormation in any case.

    Create and Update package; a new output makes a new physical resource. Delete marks the artifact as
    superseded and leaves it: the bucket's lifecycle rules may remove it.

    Parameters
    ----------
    event : mapping
        A custom resource event whose ResourceProperties hold the fields of a packaging event as texts.
    context : Any
        The Lambda context.

    Returns
    -------
    dict
        What CloudFormation was told.
    """
    once = _Once(event)
    deadline = Deadline.of_lambda(context)
    watchdog = None
    if hasattr(context, "get_remaining_time_in_millis"):
        # The last word if even aborting hangs: without an answer the stack waits for an hour.
        seconds = max(0.0, context.get_remaining_time_in_millis() / 1000 - _RESERVE_S)
        watchdog = threading.Timer(
            seconds, once.send, ("FAILED",), {"Reason": "the function ran out of time"}
        )
        watchdog.daemon = True
        watchdog.start()
    try:
        return once.send("SUCCESS", **_outcome(event, deadline))
    except ModelPackagerError as error:
        return once.send("FAILED", Reason=f"{type(error).__name__}: {error}")
    except Exception as error:
        # An unforeseen error's text may hold anything: its kind is enough here, the log has the rest.
        once.send(
            "FAILED", Reason=f"unexpected {type(error).__name__}; see the log of the packaging function"
        )
        raise
    finally:
        if watchdog is not None:
            watchdog.cancel()


def _outcome(event: Mapping[str, Any], deadline: Deadline) -> dict[str, Any]:
    properties = event.get("ResourceProperties", {})
    if event["RequestType"] == "Delete":
        _mark(event, properties, deadline)
        return {}
    packaged = answer({name: properties[name] for name in properties if name in _FIELDS}, deadline)
    return {
        "PhysicalResourceId": packaged["model_data_url"],
        "Data": {
            "ModelDataUrl": packaged["model_data_url"],
            "SubmitDirectory": packaged["submit_directory"],
            "Strategy": packaged["strategy"],
        },
    }


def _mark(event: Mapping[str, Any], properties: Mapping[str, Any], deadline: Deadline) -> None:
    """Mark what was made as superseded, unless it lies in the model's own place."""
    made = str(event.get("PhysicalResourceId", ""))
    if made.startswith("s3://") and made != properties.get("model_data"):
        try:
            answer({"supersede": made}, deadline)
        except ModelPackagerError as error:
            # The stack must not stay because of it: the bucket may be gone already.
            print(f"{made} is not marked as superseded: {error}")  # noqa: T201 - the log


class _Once:
    """Sends one answer to CloudFormation, however many are tried."""

    def __init__(self, event: Mapping[str, Any]) -> None:
        self._url = str(event["ResponseURL"])
        # An Update that fails keeps the old resource; a Create that fails has none yet.
        self._answer = {
            "PhysicalResourceId": event.get("PhysicalResourceId") or event.get("LogicalResourceId", "none"),
            **{name: event.get(name, "") for name in ("StackId", "RequestId", "LogicalResourceId")},
        }
        self._lock = threading.Lock()
        self._sent: dict[str, Any] | None = None

    def send(self, status: str, **fields: Any) -> dict[str, Any]:
        """Send `status` and the fields unless something was sent; return what was sent."""
        with self._lock:
            if self._sent is None:
                if "Reason" in fields:
                    fields["Reason"] = fields["Reason"][:_MAX_REASON]
                self._sent = {"Status": status, **self._answer, **fields}
                _put(self._url, json.dumps(self._sent).encode())
            return self._sent


def _put(url: str, body: bytes) -> None:
    if not url.startswith(("https://", "http://")):
        raise ValueError("ResponseURL must begin with https:// or http://")
    # The URL is signed for an empty Content-Type; urllib would set another one.
    request = urllib.request.Request(url, body, {"Content-Type": ""}, method="PUT")  # noqa: S310 - checked above
    for attempt in range(_ATTEMPTS):
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S):  # noqa: S310
                return
        except OSError:
            if attempt == _ATTEMPTS - 1:
                raise
