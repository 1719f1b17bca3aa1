"""`LocalAws.faults`: what is to go wrong, on order, so that a test sees what a pipeline makes of it."""

import difflib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .operations import service_model, service_names

# Names that policies and requests use where botocore's differs.
_SERVICES = {"states": "stepfunctions", "monitoring": "cloudwatch"}
_OPERATIONS = {"lambda:InvokeFunction": "lambda:Invoke"}
# Services whose operations are called by the name of another.
_PARTS = {"sagemaker": ("sagemaker", "sagemaker-runtime")}
_ENDPOINT_STATUSES = ("InService", "Failed")
_NO_CAPACITY = (
    "Unable to provision requested ML compute capacity due to InsufficientInstanceCapacity error. "
    "Please retry using a different ML instance type or after some time."
)


@dataclass(frozen=True)
class PendingFault:
    """A fault that has not happened yet.

    Attributes
    ----------
    kind
        The method that ordered it, for example `throttle`.
    target
        The operation or the endpoint.
    nth
        Which call from now on it hits next.
    times
        How often it is still to happen.
    """

    kind: str
    target: str
    nth: int
    times: int


class Faults:
    """Faults on order, each of them as often as it is asked for.

    Every call of an operation counts, whoever makes it: clients, functions, state machines, CloudFormation
    and the CDK CLI. Of several faults of one operation, each counts all calls; two that are due at once hit
    one call after the other.

    Parameters
    ----------
    send
        Hands a request to the server, and returns its answer.
    """

    def __init__(self, send: Callable[[bytes], bytes]) -> None:
        self._send = send

    def throttle(self, operation: str, *, nth: int = 1, times: int = 1) -> None:
        """Answer calls with ThrottlingException, "Rate exceeded"; they have no effect.

        boto3 repeats a throttled call up to four times; more `times` than that reach the caller. Services in
        XML name the error as they do: `Throttling`, and `SlowDown` of S3.

        Parameters
        ----------
        operation
            Service and operation, for example "sagemaker:UpdateEndpoint".
        nth
            The first call from now on that is hit. Defaults to the next.
        times
            How many calls in a row are hit.

        Raises
        ------
        ValueError
            If the operation does not exist, or a number is not at least 1.
        """
        self._add_call("throttle", operation, nth, times)

    def fail(
        self,
        operation: str,
        *,
        nth: int = 1,
        times: int = 1,
        code: str = "InternalFailure",
        message: str = "the local AWS fails this call, as ordered",
        status: int = 500,
    ) -> None:
        """Answer calls with an error; they have no effect.

        Parameters
        ----------
        operation, nth, times
            As for `throttle`.
        code, message
            Of the error.
        status
            HTTP's, from 400 to 599; boto3 repeats a call that ends with 500, 502, 503 or 504.

        Raises
        ------
        ValueError
            As for `throttle`, or if the status is not that of an error.
        """
        if not 400 <= status <= 599:
            raise ValueError(f"status must be from 400 to 599, got {status}")
        self._add_call("fail", operation, nth, times, code=code, message=message, status=status)

    def lose_answer(self, operation: str, *, nth: int = 1, times: int = 1) -> None:
        """Let calls take effect, and answer them with InternalFailure (500) all the same.

        boto3 repeats such a call, as it does on AWS: the second one may find what the first has done.

        Parameters
        ----------
        operation, nth, times
            As for `throttle`.

        Raises
        ------
        ValueError
            As for `throttle`.
        """
        self._add_call("lose_answer", operation, nth, times)

    def fail_endpoint(
        self, endpoint_name: str, *, reason: str = _NO_CAPACITY, status: str = "InService", times: int = 1
    ) -> None:
        """Let the next creation or update of an endpoint not come into service.

        Parameters
        ----------
        endpoint_name
            Its name; it need not exist yet.
        reason
            The FailureReason. Defaults to the one for missing capacity.
        status
            What an update ends with: "InService", back with the configuration before, or "Failed", with
            nothing in service. A creation always ends Failed.
        times
            How many creations or updates in a row.

        Raises
        ------
        ValueError
            If the status is another, or `times` is not at least 1.
        """
        if status not in _ENDPOINT_STATUSES:
            raise ValueError(f"status must be one of {', '.join(_ENDPOINT_STATUSES)}, got {status!r}")
        _check_count("times", times)
        self._add("fail_endpoint", endpoint_name=endpoint_name, reason=reason, status=status, times=times)

    def delay_endpoint(self, endpoint_name: str, seconds: float, *, times: int = 1) -> None:
        """Let the next creation or update of an endpoint take at least so much longer.

        Parameters
        ----------
        endpoint_name
            Its name; it need not exist yet.
        seconds
            How much longer.
        times
            How many creations or updates in a row.

        Raises
        ------
        ValueError
            If the seconds are negative, or `times` is not at least 1.
        """
        if seconds < 0:
            raise ValueError(f"seconds must not be negative, got {seconds}")
        _check_count("times", times)
        self._add("delay_endpoint", endpoint_name=endpoint_name, seconds=seconds, times=times)

    def clear(self) -> None:
        """Forget all faults that have not happened yet."""
        self._request({"action": "clear"})

    @property
    def pending(self) -> list[PendingFault]:
        """What has not happened yet: `assert not aws.faults.pending` ends a test that ordered faults."""
        return [PendingFault(**fault) for fault in self._request({"action": "pending"})]

    def _add_call(self, kind: str, operation: str, nth: int, times: int, **error: Any) -> None:
        _check_count("nth", nth)
        _check_count("times", times)
        self._add(kind, **_call_of(operation), nth=nth, times=times, **error)

    def _add(self, kind: str, **fault: Any) -> None:
        self._request({"action": "add", "fault": {"kind": kind, **fault}})

    def _request(self, content: Mapping[str, Any]) -> Any:
        return json.loads(self._send(json.dumps(content).encode()))


def _check_count(name: str, value: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} must be an integer of at least 1, got {value!r}")


def _call_of(operation: str) -> dict[str, str]:
    """Return service, operation and the name that requests are signed for."""
    prefix, _, name = (_OPERATIONS.get(operation) or operation).partition(":")
    if not name:
        raise ValueError(f'operation must be like "sagemaker:UpdateEndpoint", got {operation!r}')
    service = _SERVICES.get(prefix, prefix)
    if service not in service_names():
        raise ValueError(
            f"the service of an operation must be one that botocore knows, got {prefix!r}"
            + _like(prefix, [*service_names(), *_SERVICES])
        )
    known: list[str] = []
    for part in _PARTS.get(service, (service,)):
        model = service_model(part)
        if name in model.operation_names:
            return {"service": part, "operation": name, "signing_name": model.signing_name}
        known += model.operation_names
    raise ValueError(f"{prefix} has no operation {name!r}{_like(name, known) or f': {_some(known)}'}")


def _like(name: str, names: list[str]) -> str:
    found = difflib.get_close_matches(name, names, n=3, cutoff=0.6)
    return f": did you mean {' or '.join(found)}?" if found else ""


def _some(names: list[str]) -> str:
    return f"it has {', '.join(sorted(names)[:20])} and {max(0, len(names) - 20)} more"
