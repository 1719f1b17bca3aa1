"""Brings versions of one endpoint into service, and takes them back: the steps of its state machine.

Events of the state machine
    ``{"action", "deployment": {"execution", "version", "order", "rolls_back"}, ...}`` with the actions
    ``announce`` (and ``training_job_name``), ``bring_into_service`` (and ``requests``), ``verify`` (and
    ``sample``), ``commit`` (and ``retain``), ``take_back``; see `deployment`.
Events of EventBridge
    ``{"action": "reconcile"}`` when an execution has ended without success, and on a schedule.
Events of CloudFormation
    ``Custom::PyTorchEndpoint`` claims the endpoint, and lets it go; see `removal`.
    ``Custom::PyTorchExecutions`` stops what runs before a state machine goes.

What takes longer than one invocation may, goes on in another one, which the function starts by itself.
"""

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import boto3
from artifacts import Artifacts
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from cloudformation import Respond, answer, respond
from deployment import Deployer, Deployment
from endpoint import Endpoint
from executions import Executions
from ledger import Ledger
from recovery import Recovery
from removal import Claim, Ownership
from training import completed_training_job
from versions import Versions
from way import Way

# All retries of a call together stay below the function's timeout of a minute.
_CALLS = Config(connect_timeout=3, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 4})
_SAMPLE = Config(connect_timeout=3, read_timeout=50, retries={"mode": "standard", "total_max_attempts": 1})
_WAIT_SECONDS = 2.0
_RESERVE_SECONDS = 35.0
# Steps of a removal that fail one after the other.
_MOST_FAILURES = 20
# CloudFormation gives up after an hour.
_LONGEST_REMOVAL_SECONDS = 55 * 60


@dataclass(frozen=True)
class Services:
    """What the function talks to."""

    sagemaker: Any
    runtime: Any
    s3: Any
    dynamodb: Any
    states: Any
    lambda_: Any
    respond: Respond
    now: Callable[[], float]
    sleep: Callable[[float], None]

    @classmethod
    def real(cls) -> "Services":
        """AWS's own."""

        def client(name: str, config: Config = _CALLS) -> Any:
            return boto3.client(name, config=config)

        return cls(
            sagemaker=client("sagemaker"),
            runtime=client("sagemaker-runtime", _SAMPLE),
            s3=client("s3"),
            dynamodb=client("dynamodb"),
            states=client("stepfunctions"),
            lambda_=client("lambda"),
            respond=respond,
            now=time.time,
            sleep=time.sleep,
        )


# Made once for all invocations of a process.
_services = cache(Services.real)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Handle one event; see the module."""
    return Function(_services(), os.environ).handle(event, context)


class Function:
    """The function of one endpoint.

    Parameters
    ----------
    services : Services
        What it talks to.
    environment : Mapping of str to str
        ``ENDPOINT_NAME``, ``VERSION_PREFIX``, ``LEDGER`` (the table) and ``ARTIFACTS`` (the S3 prefix of the
        packaged models).
    """

    def __init__(self, services: Services, environment: Any) -> None:
        self._services = services
        sagemaker = services.sagemaker
        endpoint = Endpoint(sagemaker, environment["ENDPOINT_NAME"])
        artifacts = Artifacts(services.s3, environment["ARTIFACTS"])
        self._executions = Executions(services.states)
        ledger = Ledger(services.dynamodb, environment["LEDGER"], endpoint.name, services.now)
        parts: dict[str, Any] = {
            "ledger": ledger,
            "versions": Versions(sagemaker, artifacts, environment["VERSION_PREFIX"]),
            "executions": self._executions,
            "way": Way(ledger, endpoint, services.now, services.sleep),
        }
        self._recovery = Recovery(**parts)
        self._deployer = Deployer(
            endpoint=endpoint, runtime=services.runtime, recovery=self._recovery, **parts
        )
        self._ownership = Ownership(endpoint=endpoint, **parts)

    def handle(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        """Handle one event; see the module."""
        if "RequestType" in event:
            return self._on_stack_change(event, context)
        if event["action"] == "reconcile":
            return self._reconcile(event, context)
        wanted = Deployment.of(event["deployment"])
        match event["action"]:
            case "announce":
                job = event.get("training_job_name")
                found = completed_training_job(self._services.sagemaker, job) if job else {}
                return {**found, **self._deployer.announce(wanted)}
            case "bring_into_service":
                return self._deployer.bring_into_service(wanted, event["requests"])
            case "verify":
                return self._deployer.verify(wanted, event["sample"])
            case "commit":
                return self._deployer.commit(wanted, event["retain"])
            case "take_back":
                return self._deployer.take_back(wanted)
        raise ValueError(f"action is not known: {event['action']}")

    def _reconcile(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        found = self._recovery.reconcile()
        while found["state"] == "moving":
            if not self._has_time(context):
                self._go_on_later(event, context)
                break
            self._services.sleep(_WAIT_SECONDS)
            found = self._recovery.reconcile()
        return found

    def _on_stack_change(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        """Do what a change of the stack asks for, and answer."""
        if event["ResourceType"] == "Custom::PyTorchExecutions":
            work: Callable[[], str | None] = lambda: self._stop_executions(event)  # noqa: E731
        elif event["RequestType"] == "Delete":
            event.setdefault("Since", self._services.now())
            work = lambda: self._let_go(event, context)  # noqa: E731
        else:
            work = lambda: self._claim(event)  # noqa: E731
        return answer(event, work, self._services.respond)

    def _claim(self, event: dict[str, Any]) -> str:
        """Claim the endpoint; the physical id is its name, so that another name is another resource."""
        self._ownership.claim(Claim.of(event))
        return str(event["ResourceProperties"]["EndpointName"])

    def _let_go(self, event: dict[str, Any], context: Any) -> str | None:
        """Let the endpoint go; None where another invocation goes on."""
        while (waits_for := self._let_go_a_step(event)) is not None:
            if self._services.now() - event["Since"] > _LONGEST_REMOVAL_SECONDS:
                raise TimeoutError(
                    f"waited for nearly an hour for {waits_for}: delete the stack again when that has ended"
                )
            if not self._has_time(context):
                self._go_on_later(event, context)
                return None
            self._services.sleep(_WAIT_SECONDS)
        return str(event["PhysicalResourceId"])

    def _let_go_a_step(self, event: dict[str, Any]) -> str | None:
        """Go one step; what fails is tried again a few times."""
        try:
            waits_for = self._ownership.let_go(Claim.of(event))
        except (BotoCoreError, ClientError) as error:
            event["Failures"] = event.get("Failures", 0) + 1
            if event["Failures"] > _MOST_FAILURES:
                raise
            return f"a call that failed: {error}"
        event["Failures"] = 0
        return waits_for

    def _stop_executions(self, event: dict[str, Any]) -> str:
        state_machine = str(event["ResourceProperties"]["StateMachine"])
        if event["RequestType"] == "Delete":
            for execution in self._executions.running(state_machine):
                self._executions.stop(execution, "the state machine leaves its stack")
        return state_machine

    def _has_time(self, context: Any) -> bool:
        return bool(context.get_remaining_time_in_millis() / 1000 > _RESERVE_SECONDS)

    def _go_on_later(self, event: dict[str, Any], context: Any) -> None:
        """Go on in another invocation."""
        self._services.lambda_.invoke(
            FunctionName=context.function_name, InvocationType="Event", Payload=json.dumps(event)
        )
