"""A model of the services that a deployment talks to, as boto3 clients, in virtual time."""

import datetime as dt
import io
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError, ReadTimeoutError

from .world import Actor, World

_MOST_ATTEMPTS = 4  # of a call, by botocore's retries
_LONGEST_LAG = 8.0


def error(code: str, message: str) -> ClientError:
    """Make an error of an API."""
    return ClientError({"Error": {"Code": code, "Message": message}}, "Operation")


class Client:
    """What botocore does around a call: it takes time, fails, and is tried again."""

    def __init__(self, world: World) -> None:
        self._world = world

    def _call(self, name: str, do: Callable[[], Any]) -> Any:
        world = self._world
        if world.is_the_one():
            world.tell(f"{world.current.name}: {name} fails")
            if world.single_fault_takes_effect:
                with suppress(ClientError):
                    do()
                world.after_step()
            raise error("InternalFailure", "We encountered an internal error. Please try again.")
        for attempt in range(_MOST_ATTEMPTS):
            world.sleep(world.random.uniform(0.02, 0.4))
            last = attempt == _MOST_ATTEMPTS - 1
            if world.happens(world.chances.throttle):
                world.tell(f"{world.current.name}: {name} throttled")
                if last:
                    raise error("ThrottlingException", "Rate exceeded")
            elif world.happens(world.chances.lost_answer):
                world.tell(f"{world.current.name}: the answer of {name} is lost")
                with suppress(ClientError):
                    do()
                world.after_step()
                if last:
                    raise ReadTimeoutError(endpoint_url="https://service")
            else:
                try:
                    return do()
                finally:
                    world.after_step()
            world.sleep(world.random.uniform(0.1, 2.0))
        raise AssertionError


class DynamoDB(Client):
    """Items, with the two conditions that the ledger uses."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.items: dict[str, dict[str, Any]] = {}
        #: Who began the step of this id.
        self.steps: dict[str, Actor] = {}

    def get_item(self, **arguments: Any) -> dict[str, Any]:
        assert arguments["ConsistentRead"]

        def do() -> dict[str, Any]:
            item = self.items.get(arguments["Key"]["endpoint"]["S"])
            return {} if item is None else {"Item": item}

        return dict(self._call("GetItem", do))

    def put_item(self, **arguments: Any) -> dict[str, Any]:
        item = arguments["Item"]
        key = item["endpoint"]["S"]

        def do() -> dict[str, Any]:
            before = self.items.get(key)
            condition = arguments["ConditionExpression"]
            if condition == "attribute_not_exists(endpoint)":
                holds = before is None
            else:
                assert condition == "revision = :revision"
                wanted = arguments["ExpressionAttributeValues"][":revision"]
                holds = before is not None and before["revision"] == wanted
            if not holds:
                raise error("ConditionalCheckFailedException", "The conditional request failed")
            self.items[key] = item
            step = json.loads(item["record"]["S"])["step"]
            if step is not None:
                self.steps.setdefault(step["id"], self._world.current)
            return {}

        return dict(self._call("PutItem", do))

    def delete_item(self, **arguments: Any) -> dict[str, Any]:
        def do() -> dict[str, Any]:
            self.items.pop(arguments["Key"]["endpoint"]["S"], None)
            return {}

        return dict(self._call("DeleteItem", do))


@dataclass
class Endpoint:
    """An endpoint as it is; `serving` is what answers requests."""

    config: str
    status: str
    serving: str | None
    modified: float
    tags: dict[str, str] = field(default_factory=dict)
    failure_reason: str | None = None
    #: Counts changes: what settles an older one comes too late.
    change: int = 0


@dataclass
class Behaviour:
    """How versions behave."""

    #: Do not come into service.
    broken: set[str] = field(default_factory=set)
    #: Do not answer.
    mute: set[str] = field(default_factory=set)
    #: How often the next updates to a good version fail all the same.
    unlucky: int = 0
    #: How often the next updates to a version that has served before fail.
    no_way_back: int = 0
    #: Whether an update that fails leaves the endpoint Failed.
    fails_hard: bool = False
    slow: bool = False


class SageMaker(Client):
    """Endpoints, configurations, models and jobs; looks lag behind."""

    def __init__(self, world: World, behaviour: Behaviour, may_change: Callable[[Actor, str], None]) -> None:
        super().__init__(world)
        self.behaviour = behaviour
        self.may_change = may_change
        self.endpoint: Endpoint | None = None
        self.configs: dict[str, str] = {}
        self.models: set[str] = set()
        self.jobs: dict[str, str] = {}
        self._served: set[str] = set()
        self.by_hand = False
        self.failed_hard = False
        self._views: list[tuple[float, Endpoint | None]] = [(0.0, None)]
        self._changes = 0

    def exist_already(self, config: str) -> None:
        """Have an endpoint that somebody else made long ago."""
        self.models.add(config)
        self.configs[config] = config
        self.endpoint = Endpoint(config, "InService", config, 0.0)
        self._views.clear()
        self._look(0.0)

    # Endpoints

    def describe_endpoint(self, **arguments: Any) -> dict[str, Any]:
        def do() -> dict[str, Any]:
            lag = self._world.random.choice((0.0, 0.0, self._world.random.uniform(0, _LONGEST_LAG)))
            at = self._world.now - lag
            view = next(view for since, view in reversed(self._views) if since <= at)
            if view is None:
                raise error("ValidationException", 'Could not find endpoint "arn".')
            found: dict[str, Any] = {
                "EndpointStatus": view.status,
                "EndpointConfigName": view.config,
                "LastModifiedTime": dt.datetime.fromtimestamp(view.modified, dt.UTC),
                "EndpointArn": f"arn:aws:sagemaker:us-east-1:1:endpoint/{arguments['EndpointName']}",
            }
            if view.failure_reason:
                found["FailureReason"] = view.failure_reason
            return found

        return dict(self._call("DescribeEndpoint", do))

    def create_endpoint(self, **arguments: Any) -> dict[str, Any]:
        def do() -> dict[str, Any]:
            self._changing("CreateEndpoint")
            if self.endpoint is not None:
                raise error("ValidationException", "Cannot create already existing endpoint")
            config = self._config(arguments)
            tags = {tag["Key"]: tag["Value"] for tag in arguments["Tags"]}
            self.endpoint = Endpoint(config, "Creating", None, self._world.now, tags)
            works = self._works(config)
            self._settle(
                lambda endpoint: (
                    setattr(endpoint, "status", "InService" if works else "Failed"),
                    setattr(endpoint, "serving", config if works else None),
                    setattr(endpoint, "failure_reason", None if works else "no ping"),
                )
            )
            return {}

        return dict(self._call(f"CreateEndpoint {arguments['EndpointConfigName']}", do))

    def update_endpoint(self, **arguments: Any) -> dict[str, Any]:
        def do() -> dict[str, Any]:
            self._changing("UpdateEndpoint")
            endpoint, config = self._existing(), self._config(arguments)
            if endpoint.status not in ("InService", "OutOfService", "UpdateRollbackFailed"):
                raise error("ValidationException", f"Cannot update {endpoint.status} endpoint")
            works = self._works(config)
            hard = not works and self.behaviour.fails_hard

            def end(endpoint: Endpoint) -> None:
                if works:
                    endpoint.config = endpoint.serving = config
                    endpoint.status, endpoint.failure_reason = "InService", None
                elif hard:
                    endpoint.status, endpoint.failure_reason = "Failed", "no ping"
                    endpoint.serving, self.failed_hard = None, True
                else:
                    endpoint.status, endpoint.failure_reason = "InService", "no ping"

            endpoint.status = "Updating"
            self._settle(end)
            return {}

        return dict(self._call(f"UpdateEndpoint {arguments['EndpointConfigName']}", do))

    def delete_endpoint(self, **arguments: Any) -> dict[str, Any]:
        def do() -> dict[str, Any]:
            self._changing("DeleteEndpoint")
            self.delete_now()
            return {}

        return dict(self._call("DeleteEndpoint", do))

    def delete_now(self) -> None:
        """Begin to delete the endpoint."""
        endpoint = self._existing()
        if endpoint.status in ("Creating", "Updating", "SystemUpdating", "Deleting"):
            raise error("ValidationException", f"Cannot delete {endpoint.status} endpoint")
        endpoint.status, endpoint.serving = "Deleting", None
        self._settle(None, seconds=self._world.random.uniform(1, 30))

    def update_system(self) -> None:
        """Patch the instances, as SageMaker does when it likes."""
        if self.endpoint is not None and self.endpoint.status == "InService":
            self.endpoint.status = "SystemUpdating"
            self._world.tell("SageMaker patches the instances")
            self._settle(lambda endpoint: setattr(endpoint, "status", "InService"))

    def add_tags(self, **arguments: Any) -> dict[str, Any]:
        def do() -> dict[str, Any]:
            self._existing().tags |= {tag["Key"]: tag["Value"] for tag in arguments["Tags"]}
            return {}

        return dict(self._call("AddTags", do))

    def delete_tags(self, **arguments: Any) -> dict[str, Any]:
        def do() -> dict[str, Any]:
            for key in arguments["TagKeys"]:
                self._existing().tags.pop(key, None)
            return {}

        return dict(self._call("DeleteTags", do))

    def get_paginator(self, operation: str) -> Any:
        assert operation == "list_tags"
        return self

    def paginate(self, **arguments: Any) -> list[dict[str, Any]]:
        def do() -> list[dict[str, Any]]:
            tags = self.endpoint.tags if self.endpoint is not None else {}
            return [{"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}]

        return list(self._call("ListTags", do))

    # Models, configurations, jobs

    def create_model(self, **arguments: Any) -> dict[str, Any]:
        def do() -> dict[str, Any]:
            self.may_change(self._world.current, "CreateModel")
            if arguments["ModelName"] in self.models:
                raise error("ValidationException", "Cannot create already existing model")
            self.models.add(arguments["ModelName"])
            return {}

        return dict(self._call(f"CreateModel {arguments['ModelName']}", do))

    def describe_model(self, **arguments: Any) -> dict[str, Any]:
        return self._described("DescribeModel", self.models, arguments["ModelName"])

    def delete_model(self, **arguments: Any) -> dict[str, Any]:
        def do() -> dict[str, Any]:
            if arguments["ModelName"] not in self.models:
                raise error("ValidationException", "Could not find model")
            self.models.discard(arguments["ModelName"])
            return {}

        return dict(self._call(f"DeleteModel {arguments['ModelName']}", do))

    def create_endpoint_config(self, **arguments: Any) -> dict[str, Any]:
        name = arguments["EndpointConfigName"]

        def do() -> dict[str, Any]:
            self.may_change(self._world.current, "CreateEndpointConfig")
            if name in self.configs:
                raise error("ValidationException", "Cannot create already existing endpoint configuration")
            (variant,) = arguments["ProductionVariants"]
            if variant["ModelName"] not in self.models:
                raise error("ValidationException", "Could not find model")
            self.configs[name] = variant["ModelName"]
            return {}

        return dict(self._call(f"CreateEndpointConfig {name}", do))

    def describe_endpoint_config(self, **arguments: Any) -> dict[str, Any]:
        return self._described("DescribeEndpointConfig", self.configs, arguments["EndpointConfigName"])

    def delete_endpoint_config(self, **arguments: Any) -> dict[str, Any]:
        def do() -> dict[str, Any]:
            if self.configs.pop(arguments["EndpointConfigName"], None) is None:
                raise error("ValidationException", "Could not find endpoint configuration")
            return {}

        return dict(self._call(f"DeleteEndpointConfig {arguments['EndpointConfigName']}", do))

    def describe_processing_job(self, **arguments: Any) -> dict[str, Any]:
        def do() -> dict[str, Any]:
            if arguments["ProcessingJobName"] not in self.jobs:
                raise error("ResourceNotFound", "Requested resource not found.")
            return {"ProcessingJobStatus": self.jobs[arguments["ProcessingJobName"]]}

        return dict(self._call("DescribeProcessingJob", do))

    def stop_processing_job(self, **arguments: Any) -> dict[str, Any]:
        def do() -> dict[str, Any]:
            self.jobs[arguments["ProcessingJobName"]] = "Stopped"
            return {}

        return dict(self._call("StopProcessingJob", do))

    def _described(self, name: str, known: Any, wanted: str) -> dict[str, Any]:
        def do() -> dict[str, Any]:
            if wanted not in known:
                raise error("ValidationException", f"Could not find {wanted}")
            return {}

        return dict(self._call(name, do))

    def _changing(self, call: str) -> None:
        self.may_change(self._world.current, call)

    def _existing(self) -> Endpoint:
        if self.endpoint is None:
            raise error("ValidationException", 'Could not find endpoint "arn".')
        return self.endpoint

    def _config(self, arguments: dict[str, Any]) -> str:
        config: str = arguments["EndpointConfigName"]
        if config not in self.configs:
            raise error("ValidationException", f"Could not find endpoint configuration {config}")
        return config

    def _works(self, config: str) -> bool:
        if config in self.behaviour.broken:
            return False
        if config in self._served and self.behaviour.no_way_back > 0:
            self.behaviour.no_way_back -= 1
            return False
        if self.behaviour.unlucky > 0:
            self.behaviour.unlucky -= 1
            return False
        self._served.add(config)
        return True

    def _settle(self, end: Callable[[Endpoint], Any] | None, seconds: float | None = None) -> None:
        """Let a change end after a while; None removes the endpoint."""
        world = self._world
        endpoint = self._existing()
        self._changes += 1
        number = endpoint.change = self._changes
        endpoint.modified = world.now
        self._look()
        if seconds is None:
            usual = world.random.choice((20.0, 20.0, 60.0, 240.0))
            seconds = world.random.uniform(5, 3600 if self.behaviour.slow else usual)

        def settle() -> None:
            if self.endpoint is None or self.endpoint.change != number:
                return
            if end is None:
                self.endpoint = None
            else:
                end(self.endpoint)
                self.endpoint.modified = world.now
            self._look()
            world.tell(f"the endpoint is {self.endpoint and (self.endpoint.status, self.endpoint.config)}")
            world.after_step()

        world.start("SageMaker", settle, delay=seconds)

    def _look(self, since: float | None = None) -> None:
        endpoint = self.endpoint
        copy = None
        if endpoint is not None:
            copy = Endpoint(
                endpoint.config,
                endpoint.status,
                endpoint.serving,
                endpoint.modified,
                failure_reason=endpoint.failure_reason,
            )
        self._views.append((self._world.now if since is None else since, copy))


class Runtime(Client):
    """InvokeEndpoint."""

    def __init__(self, world: World, sagemaker: SageMaker) -> None:
        super().__init__(world)
        self._sagemaker = sagemaker

    def invoke_endpoint(self, **arguments: Any) -> dict[str, Any]:
        def do() -> dict[str, Any]:
            endpoint = self._sagemaker.endpoint
            if endpoint is None or endpoint.serving is None:
                raise error("ValidationError", "Endpoint not found.")
            if endpoint.serving in self._sagemaker.behaviour.mute:
                raise error("ModelError", "Received server error (500) from primary")
            return {"Body": io.BytesIO(b"[1]")}

        return dict(self._call("InvokeEndpoint", do))


class Artifacts:
    """In place of the packaged models in S3, which nothing here depends on."""

    def supersede(self, version: str) -> None:
        """Do nothing."""
