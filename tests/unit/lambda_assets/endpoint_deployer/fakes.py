"""Fakes of what the function talks to: a test decides what each call does and answers."""

import datetime as dt
import io
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import ClientError, ReadTimeoutError

STACK = "arn:aws:cloudformation:us-east-1:123456789012:stack/Stack/1234"
MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:Deployments"
OWNER_TAG = "cdk-sagemaker-pytorch:owner"


def version(number: int) -> str:
    """Name of a version; a higher number is newer."""
    return f"digits-20260101000{number:03}-0123abcd"


def execution(number: int) -> str:
    """ARN of the execution that makes a version."""
    return f"{MACHINE.replace('stateMachine', 'execution')}:run-{number}"


def api_error(code: str, message: str = "no") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "Operation")


def lost_answer() -> ReadTimeoutError:
    return ReadTimeoutError(endpoint_url="https://service")


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.seconds = 1_000_000.0

    def __call__(self) -> float:
        return self.seconds

    def advance(self, seconds: float) -> None:
        self.seconds += seconds


class Fake:
    """Calls that can be told to fail, and that are remembered."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self._failures: dict[str, list[tuple[Exception, bool]]] = {}
        self.before: dict[str, Callable[[], Any]] = {}

    def fail(self, call: str, error: Exception, *, times: int = 1, took_effect: bool = False) -> None:
        """Let the next calls fail, before or after they have taken effect."""
        self._failures.setdefault(call, []).extend([(error, took_effect)] * times)

    def called(self, call: str) -> list[dict[str, Any]]:
        return [arguments for name, arguments in self.calls if name == call]

    def _do(self, call: str, arguments: dict[str, Any], effect: Callable[[], Any]) -> Any:
        self.calls.append((call, arguments))
        if call in self.before:
            self.before[call]()
        failures = self._failures.get(call)
        if failures:
            error, took_effect = failures.pop(0)
            if took_effect:
                effect()
            raise error
        return effect()


class FakeSageMaker(Fake):
    """Models, configurations, jobs and one endpoint, whose changes end when a test says so."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self.models: dict[str, dict[str, Any]] = {}
        self.configs: dict[str, dict[str, Any]] = {}
        self.jobs: dict[str, str] = {}
        self.training_jobs: dict[str, dict[str, Any]] = {}
        self.endpoint: SimpleNamespace | None = None
        #: What looks show instead of the endpoint.
        self.stale: list[SimpleNamespace | None] = []

    def serve(self, config: str, *, status: str = "InService", owner: str | None = STACK) -> None:
        """Have an endpoint."""
        tags = {} if owner is None else {OWNER_TAG: owner}
        self.endpoint = SimpleNamespace(status=status, config=config, wanted=config, reason=None, tags=tags)
        self._modified()

    def settle(self, status: str = "InService", *, reason: str | None = None) -> None:
        """End the endpoint's change: with what was asked for, or with a reason and what was before."""
        endpoint = self.endpoint
        assert endpoint is not None
        if endpoint.status == "Deleting":
            self.endpoint = None
            return
        if reason is None:
            endpoint.config = endpoint.wanted
        endpoint.status, endpoint.reason = status, reason
        self._modified()

    def have(self, *versions: str) -> None:
        """Have the models and configurations of versions."""
        for each in versions:
            self.models[each] = self.configs[each] = {}

    @property
    def versions(self) -> set[str]:
        assert self.models.keys() == self.configs.keys()
        return set(self.models)

    def describe_endpoint(self, **arguments: Any) -> Any:
        def effect() -> dict[str, Any]:
            seen = self.stale.pop(0) if self.stale else self.endpoint
            if seen is None:
                raise api_error("ValidationException", 'Could not find endpoint "arn".')
            reason = {} if seen.reason is None else {"FailureReason": seen.reason}
            return {
                "EndpointStatus": seen.status,
                "EndpointConfigName": seen.config,
                "LastModifiedTime": seen.modified,
                "EndpointArn": f"arn:endpoint/{arguments['EndpointName']}",
                **reason,
            }

        return self._do("describe_endpoint", arguments, effect)

    def create_endpoint(self, **arguments: Any) -> Any:
        def effect() -> None:
            assert self.endpoint is None
            (tag,) = arguments["Tags"]
            self.serve(arguments["EndpointConfigName"], status="Creating", owner=tag["Value"])

        return self._do("create_endpoint", arguments, effect)

    def update_endpoint(self, **arguments: Any) -> Any:
        def effect() -> None:
            self._change("Updating").wanted = arguments["EndpointConfigName"]

        return self._do("update_endpoint", arguments, effect)

    def delete_endpoint(self, **arguments: Any) -> Any:
        return self._do("delete_endpoint", arguments, lambda: self._change("Deleting"))

    def add_tags(self, **arguments: Any) -> Any:
        def effect() -> None:
            assert self.endpoint is not None
            self.endpoint.tags |= {tag["Key"]: tag["Value"] for tag in arguments["Tags"]}

        return self._do("add_tags", arguments, effect)

    def delete_tags(self, **arguments: Any) -> Any:
        def effect() -> None:
            assert self.endpoint is not None
            for key in arguments["TagKeys"]:
                self.endpoint.tags.pop(key, None)

        return self._do("delete_tags", arguments, effect)

    def get_paginator(self, operation: str) -> Any:
        assert operation == "list_tags"

        def paginate(**_: Any) -> list[dict[str, Any]]:
            assert self.endpoint is not None
            tags = [{"Key": key, "Value": value} for key, value in self.endpoint.tags.items()]
            return [{"Tags": []}, {"Tags": tags}]

        return SimpleNamespace(paginate=paginate)

    def create_model(self, **arguments: Any) -> Any:
        return self._do("create_model", arguments, lambda: self._create(self.models, "ModelName", arguments))

    def create_endpoint_config(self, **arguments: Any) -> Any:
        return self._do(
            "create_endpoint_config",
            arguments,
            lambda: self._create(self.configs, "EndpointConfigName", arguments),
        )

    def describe_model(self, ModelName: str) -> Any:  # noqa: N803 - the API's
        return self._do("describe_model", {}, lambda: self._find(self.models, ModelName))

    def describe_endpoint_config(self, EndpointConfigName: str) -> Any:  # noqa: N803
        return self._do("describe_endpoint_config", {}, lambda: self._find(self.configs, EndpointConfigName))

    def delete_model(self, ModelName: str) -> Any:  # noqa: N803
        def effect() -> None:
            self._find(self.models, ModelName)
            del self.models[ModelName]

        return self._do("delete_model", {"ModelName": ModelName}, effect)

    def delete_endpoint_config(self, EndpointConfigName: str) -> Any:  # noqa: N803
        def effect() -> None:
            self._find(self.configs, EndpointConfigName)
            del self.configs[EndpointConfigName]

        return self._do("delete_endpoint_config", {"EndpointConfigName": EndpointConfigName}, effect)

    def describe_processing_job(self, ProcessingJobName: str) -> Any:  # noqa: N803
        def effect() -> dict[str, str]:
            return {"ProcessingJobStatus": self._find(self.jobs, ProcessingJobName)}

        return self._do("describe_processing_job", {}, effect)

    def stop_processing_job(self, ProcessingJobName: str) -> Any:  # noqa: N803
        def effect() -> None:
            self.jobs[ProcessingJobName] = "Stopping"

        return self._do("stop_processing_job", {}, effect)

    def describe_training_job(self, TrainingJobName: str) -> Any:  # noqa: N803
        return self._do("describe_training_job", {}, lambda: self._find(self.training_jobs, TrainingJobName))

    def _create(self, among: dict[str, Any], name: str, arguments: dict[str, Any]) -> None:
        if arguments[name] in among:
            raise api_error("ValidationException", "Cannot create already existing")
        among[arguments[name]] = arguments

    def _find(self, among: dict[str, Any], name: str) -> Any:
        if name not in among:
            raise api_error("ValidationException", f"Could not find {name}")
        return among[name]

    def _change(self, status: str) -> SimpleNamespace:
        if self.endpoint is None:
            raise api_error("ValidationException", 'Could not find endpoint "arn".')
        assert self.endpoint.status not in ("Creating", "Updating", "Deleting")
        self.endpoint.status = status
        self._modified()
        return self.endpoint

    def _modified(self) -> None:
        assert self.endpoint is not None
        self._clock.advance(0.001)
        self.endpoint.modified = dt.datetime.fromtimestamp(self._clock(), dt.UTC)


class FakeDynamoDB(Fake):
    """Items, with the two conditions that the ledger uses."""

    def __init__(self) -> None:
        super().__init__()
        self.items: dict[str, dict[str, Any]] = {}

    def get_item(self, **arguments: Any) -> Any:
        item = self.items.get(arguments["Key"]["endpoint"]["S"])
        return {} if item is None else {"Item": item}

    def put_item(self, **arguments: Any) -> Any:
        def effect() -> None:
            item = arguments["Item"]
            before = self.items.get(item["endpoint"]["S"])
            values = arguments.get("ExpressionAttributeValues")
            wanted = None if values is None else values[":revision"]
            if (None if before is None else before["revision"]) != wanted:
                raise api_error("ConditionalCheckFailedException")
            self.items[item["endpoint"]["S"]] = item

        return self._do("put_item", arguments, effect)

    def delete_item(self, **arguments: Any) -> None:
        self.items.pop(arguments["Key"]["endpoint"]["S"], None)


class FakeStates(Fake):
    """Executions that run, until they are stopped."""

    def __init__(self) -> None:
        super().__init__()
        self.running: set[str] = set()

    def describe_execution(self, executionArn: str) -> Any:  # noqa: N803 - the API's
        status = "RUNNING" if executionArn in self.running else "ABORTED"
        return self._do("describe_execution", {}, lambda: {"status": status})

    def stop_execution(self, executionArn: str, error: str, cause: str) -> Any:  # noqa: N803
        arguments = {"executionArn": executionArn, "cause": cause}
        return self._do("stop_execution", arguments, lambda: self.running.discard(executionArn))

    def get_paginator(self, operation: str) -> Any:
        assert operation == "list_executions"
        found = [{"executionArn": each} for each in sorted(self.running)]
        return SimpleNamespace(paginate=lambda **_: [{"executions": found}])


class FakeRuntime(Fake):
    """An endpoint that answers."""

    body: bytes = b"[1]"

    def invoke_endpoint(self, **arguments: Any) -> Any:
        return self._do("invoke_endpoint", arguments, lambda: {"Body": io.BytesIO(self.body)})


class Setting:
    """Everything that the function talks to, and its parts."""

    requests = {  # noqa: RUF012 - nothing changes it
        "CreateModel": {"ExecutionRoleArn": "arn:role"},
        "CreateEndpointConfig": {"ProductionVariants": []},
    }

    def __init__(self, code: SimpleNamespace) -> None:
        self.code = code
        self.clock = Clock()
        self.sagemaker = FakeSageMaker(self.clock)
        self.dynamodb = FakeDynamoDB()
        self.states = FakeStates()
        self.runtime = FakeRuntime()
        self.superseded: list[str] = []
        #: What happens while the function sleeps.
        self.meanwhile: list[Callable[[], Any]] = []
        self.ledger = self.another_ledger()
        self.endpoint = code.endpoint.Endpoint(self.sagemaker, "digits")
        self.way = code.way.Way(self.ledger, self.endpoint, self.clock, self.sleep)
        artifacts = SimpleNamespace(supersede=self.superseded.append)
        parts = {
            "ledger": self.ledger,
            "versions": code.versions.Versions(self.sagemaker, artifacts, "digits"),
            "executions": code.executions.Executions(self.states),
            "way": self.way,
        }
        self.recovery = code.recovery.Recovery(**parts)
        self.deployer = code.deployment.Deployer(
            endpoint=self.endpoint, runtime=self.runtime, recovery=self.recovery, **parts
        )
        self.ownership = code.removal.Ownership(endpoint=self.endpoint, **parts)

    def sleep(self, seconds: float) -> None:
        self.clock.advance(seconds)
        if self.meanwhile:
            self.meanwhile.pop(0)()

    def another_ledger(self) -> Any:
        """The same table as another invocation sees it."""
        return self.code.ledger.Ledger(self.dynamodb, "ledger", "digits", self.clock)

    @property
    def record(self) -> Any:
        return self.another_ledger().read()

    def note(self, **values: Any) -> None:
        """Write attributes of the record."""

        def update(record: Any) -> None:
            for name, value in values.items():
                assert hasattr(record, name)
                setattr(record, name, value)

        self.another_ledger().change(update, create=True)

    def wanted(self, number: int, *, rolls_back_to: str | None = None) -> Any:
        """What the execution of a number wants; it runs."""
        self.states.running.add(execution(number))
        return self.code.deployment.Deployment(
            execution=execution(number),
            version=rolls_back_to or version(number),
            order=f"2026-01-01T00:00:{number:02}.000Z run-{number}",
            rolls_back=rolls_back_to is not None,
        )

    def bring(self, wanted: Any) -> dict[str, Any]:
        found: dict[str, Any] = self.deployer.bring_into_service(wanted, self.requests)
        return found

    def begin(self, number: int) -> Any:
        """Announce a deployment and ask the endpoint for its version."""
        wanted = self.wanted(number)
        assert self.deployer.announce(wanted) == {"state": "announced"}
        assert self.bring(wanted) == {"state": "moving"}
        return wanted

    def arrive(self, number: int) -> Any:
        """As `begin`, until the version is in service."""
        wanted = self.begin(number)
        self.sagemaker.settle()
        assert self.bring(wanted) == {"state": "in_service"}
        return wanted

    def deploy(self, number: int, *, retain: int = 1) -> Any:
        """A whole deployment, whose execution has ended."""
        wanted = self.arrive(number)
        assert self.deployer.commit(wanted, retain) == {"state": "deployed", "warnings": []}
        self.states.running.discard(wanted.execution)
        return wanted

    def stop(self, wanted: Any) -> None:
        """End an execution where it is."""
        self.states.running.discard(wanted.execution)

    def claim(self, **changes: Any) -> Any:
        given = {"owner": STACK, "state_machine": MACHINE, "adopt": False, "retain": False, **changes}
        return self.code.removal.Claim(**given)
