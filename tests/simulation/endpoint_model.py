"""A model of SageMaker's endpoints in virtual time, with faults on order."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .interpreter import Clock, TaskError

THROTTLED = TaskError("SageMaker.SageMakerException", "Rate exceeded (Service: SageMaker, Status Code: 400)")
LOST = TaskError("SageMaker.SdkClientException", "Unable to execute HTTP request: Read timed out")
CHANGE_SECONDS = 40


@dataclass
class Endpoint:
    """An endpoint, and what it changes to."""

    config: str
    status: str
    #: When it settles, the status and the configuration that it then has, and why.
    settles: tuple[float, str, str, str | None] | None = None
    failure_reason: str | None = None
    tags: dict[str, str] = field(default_factory=dict)


@dataclass
class SageMaker:
    """Endpoints, configurations and models; `call` is what the interpreter asks.

    Attributes
    ----------
    broken
        Configurations that do not come into service.
    mute
        Configurations that do not answer.
    update_fails_as
        Status of an endpoint whose update did not come into service: rolled back, or "Failed".
    fault
        Gets the name of the state and how often it was tried before; what it returns is raised, before the
        call takes effect, or after it if it is `LOST`.
    """

    clock: Clock
    endpoint: Endpoint | None = None
    configs: set[str] = field(default_factory=set)
    models: set[str] = field(default_factory=set)
    broken: set[str] = field(default_factory=set)
    mute: set[str] = field(default_factory=set)
    update_fails_as: str = "InService"
    fault: Callable[[str, int], TaskError | None] = lambda state, before: None
    tries: Counter[str] = field(default_factory=Counter)
    calls: list[str] = field(default_factory=list)
    #: What served at the time of each call: a configuration, or None.
    served: list[str | None] = field(default_factory=list)

    def call(self, state: str, integration: str, arguments: Any) -> Any:
        """Answer a task."""
        self._settle()
        self.served.append(self.serving)
        before = self.tries[state]
        self.tries[state] += 1
        self.calls.append(state)
        fault = self.fault(state, before)
        if fault is not None and fault is not LOST:
            raise fault
        action = integration.rpartition(":")[2]
        result = getattr(self, f"_{action}")(arguments)
        self.served.append(self.serving)
        if fault is LOST:
            raise fault
        return result

    @property
    def serving(self) -> str | None:
        """The configuration that answers requests now."""
        if self.endpoint is None or self.endpoint.status in ("Creating", "Failed", "Deleting"):
            return None
        return self.endpoint.config

    def rest(self) -> None:
        """Let what is under way come to its end."""
        self.clock.advance(10 * CHANGE_SECONDS)
        self._settle()

    def _settle(self) -> None:
        endpoint = self.endpoint
        if endpoint is not None and endpoint.settles and endpoint.settles[0] <= self.clock.now:
            _, endpoint.status, endpoint.config, endpoint.failure_reason = endpoint.settles
            endpoint.settles = None
            if endpoint.status == "Deleted":
                self.endpoint = None

    def _createEndpointConfig(self, arguments: Any) -> Any:  # noqa: N802 - the API's name
        name = arguments["EndpointConfigName"]
        if name in self.configs:
            raise TaskError("SageMaker.SageMakerException", f"Cannot create already existing {name}")
        self.configs.add(name)
        return {}

    def _createModel(self, arguments: Any) -> Any:  # noqa: N802
        self.models.add(arguments["ModelName"])
        return {}

    def _describeEndpoint(self, arguments: Any) -> Any:  # noqa: N802
        endpoint = self._existing(arguments)
        reason = {"FailureReason": endpoint.failure_reason} if endpoint.failure_reason else {}
        return {"EndpointStatus": endpoint.status, "EndpointConfigName": endpoint.config, **reason}

    def _createEndpoint(self, arguments: Any) -> Any:  # noqa: N802
        if self.endpoint is not None:
            raise TaskError("SageMaker.SageMakerException", "Cannot create already existing endpoint")
        config = self._config(arguments)
        works = config not in self.broken
        end = (self._later(), "InService" if works else "Failed", config, None if works else "no ping")
        tags = {tag["Key"]: tag["Value"] for tag in arguments["Tags"]}
        self.endpoint = Endpoint(config, "Creating", end, tags=tags)
        return {}

    def _updateEndpoint(self, arguments: Any) -> Any:  # noqa: N802
        endpoint, config = self._existing(arguments), self._config(arguments)
        self._check_settled(endpoint)
        if endpoint.status == "Failed":
            raise TaskError("SageMaker.SageMakerException", "Cannot update failed endpoint")
        if config in self.broken:
            end = (self._later(), self.update_fails_as, endpoint.config, "no ping")
        else:
            end = (self._later(), "InService", config, None)
        endpoint.status, endpoint.settles = "Updating", end
        return {}

    def _deleteEndpoint(self, arguments: Any) -> Any:  # noqa: N802
        endpoint = self._existing(arguments)
        self._check_settled(endpoint)
        endpoint.status, endpoint.settles = "Deleting", (self._later(), "Deleted", "", None)
        return {}

    def _addTags(self, arguments: Any) -> Any:  # noqa: N802
        assert self.endpoint is not None
        self.endpoint.tags |= {tag["Key"]: tag["Value"] for tag in arguments["Tags"]}
        return {"Tags": arguments["Tags"]}

    def _invokeEndpoint(self, arguments: Any) -> Any:  # noqa: N802
        assert self.endpoint is not None
        if self.serving in self.mute:
            raise TaskError("SageMakerRuntime.ModelErrorException", "Received server error (500)")
        return {"Body": "[1]"}

    def _invoke(self, arguments: Any) -> Any:
        """Answer the cleanup function."""
        payload = arguments["Payload"]
        config = self.endpoint.config if self.endpoint is not None else None
        if payload["action"] == "remove_version" and payload["version"] != config:
            self.configs.discard(payload["version"])
            self.models.discard(payload["version"])
        return {"Payload": {"removed": []}}

    def _existing(self, arguments: Any) -> Endpoint:
        if self.endpoint is None:
            name = arguments["EndpointName"]
            raise TaskError("SageMaker.SageMakerException", f'Could not find endpoint "{name}".')
        return self.endpoint

    def _check_settled(self, endpoint: Endpoint) -> None:
        if endpoint.settles is not None:
            raise TaskError("SageMaker.SageMakerException", f"Cannot change {endpoint.status} endpoint")

    def _config(self, arguments: Any) -> str:
        config: str = arguments["EndpointConfigName"]
        if config not in self.configs:
            raise TaskError("SageMaker.SageMakerException", f"Could not find endpoint configuration {config}")
        return config

    def _later(self) -> float:
        return self.clock.now + CHANGE_SECONDS
