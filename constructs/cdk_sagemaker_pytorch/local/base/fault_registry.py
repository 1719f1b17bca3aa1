"""The faults on order in this server: what is to go wrong, and what of it has not happened yet."""

import threading
from dataclasses import dataclass
from typing import Any


@dataclass
class CallFault:
    """A fault of calls of one operation.

    Parameters
    ----------
    kind
        `throttle`, `fail` or `lose_answer`.
    service, operation
        As botocore names them.
    signing_name
        The service as requests are signed for it.
    nth, times
        The calls from now on that it hits: the n-th and those that follow; counted down as they come.
    code, message, status
        The error of `fail`.
    """

    kind: str
    service: str
    operation: str
    signing_name: str
    nth: int = 1
    times: int = 1
    code: str = "InternalFailure"
    message: str = ""
    status: int = 500


@dataclass
class EndpointFault:
    """A fault of the next creations or updates of an endpoint.

    Parameters
    ----------
    kind
        `fail_endpoint` or `delay_endpoint`.
    endpoint_name
        The endpoint.
    times
        How often; counted down.
    reason, status
        Of `fail_endpoint`: the FailureReason, and the status that an update ends with.
    seconds
        Of `delay_endpoint`.
    """

    kind: str
    endpoint_name: str
    times: int = 1
    reason: str = ""
    status: str = "InService"
    seconds: float = 0.0


class FaultRegistry:
    """Keeps the faults, from all threads."""

    def __init__(self) -> None:
        self._calls: list[CallFault] = []
        self._endpoints: list[EndpointFault] = []
        self._lock = threading.Lock()

    def add(self, fault: CallFault | EndpointFault) -> None:
        """Order a fault."""
        with self._lock:
            if isinstance(fault, CallFault):
                self._calls.append(fault)
            else:
                self._endpoints.append(fault)

    def clear(self) -> None:
        """Forget all faults."""
        with self._lock:
            self._calls, self._endpoints = [], []

    def pending(self) -> list[dict[str, Any]]:
        """Return what has not happened yet."""
        with self._lock:
            calls: list[dict[str, Any]] = [
                {
                    "kind": fault.kind,
                    "target": f"{fault.service}:{fault.operation}",
                    "nth": fault.nth,
                    "times": fault.times,
                }
                for fault in self._calls
            ]
            return calls + [
                {"kind": fault.kind, "target": fault.endpoint_name, "nth": 1, "times": fault.times}
                for fault in self._endpoints
            ]

    def call_faults(self, signing_name: str) -> list[CallFault]:
        """Return the faults of a service."""
        return [fault for fault in self._calls if fault.signing_name == signing_name]

    def take_call(self, service: str, operation: str) -> CallFault | None:
        """Count a call, and return the fault that hits it; another that is due waits for the next call."""
        hit = None
        with self._lock:
            for fault in self._calls:
                if (fault.service, fault.operation) != (service, operation):
                    continue
                if fault.nth > 1:
                    fault.nth -= 1
                elif hit is None:
                    hit = fault
                    fault.times -= 1
            self._calls = [fault for fault in self._calls if fault.times > 0]
        return hit

    def take_endpoint(self, endpoint_name: str) -> tuple[float, EndpointFault | None]:
        """Return how much longer a creation or update takes, and the fault that it ends with."""
        seconds, failure = 0.0, None
        with self._lock:
            for fault in self._endpoints:
                if fault.endpoint_name != endpoint_name:
                    continue
                if fault.kind == "delay_endpoint":
                    seconds += fault.seconds
                elif failure is None:
                    failure = fault
                else:
                    continue
                fault.times -= 1
            self._endpoints = [fault for fault in self._endpoints if fault.times > 0]
        return seconds, failure


#: The faults of this server.
registry = FaultRegistry()
