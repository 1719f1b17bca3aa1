"""Custom resources: the Lambda function behind them is really invoked, and its answer counts."""

import json
import logging
import threading
import time
import uuid
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from cdk_sagemaker_pytorch.local.base.errors import NOT_RUN
from cdk_sagemaker_pytorch.local.base.server_state import client, settings

from .resource_type import Created, ResourceError, ResourceRequest, ResourceType, changed

RESPONSE_PATH = "/_local/cloudformation-response/"
_DEFAULT_TIMEOUT_SECONDS = 3600
_POLL_SECONDS = 0.1

_logger = logging.getLogger(__name__)
_awaited: set[str] = set()
_answers: dict[str, dict[str, Any]] = {}
_answered = threading.Condition()


def receive_answer(token: str, body: bytes) -> bool:
    """Take what a function sent to its ResponseURL; return whether it was waited for.

    Parameters
    ----------
    token
        Last part of the URL.
    body
        The JSON that CloudFormation gets.
    """
    with _answered:
        if token not in _awaited:
            return False
        _answers[token] = json.loads(body)
        _awaited.remove(token)  # the first answer counts
        _answered.notify_all()
        return True


class CustomResource(ResourceType):
    """`AWS::CloudFormation::CustomResource`, and `Custom::*`, which are found as that."""

    type_name = "AWS::CloudFormation::CustomResource"

    def needs_replacement(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
        """See `ResourceType`."""
        return changed(before, after, "ServiceToken")

    def create(self, request: ResourceRequest) -> Created:
        """See `ResourceType`."""
        return self._send("Create", request)

    def update(self, request: ResourceRequest, physical_id: str, before: Mapping[str, Any]) -> Created:
        """See `ResourceType`; a new physical id in the answer makes the old resource go, as on AWS."""
        return self._send(
            "Update", request, PhysicalResourceId=physical_id, OldResourceProperties=dict(before)
        )

    def delete(self, request: ResourceRequest, physical_id: str) -> None:
        """See `ResourceType`."""
        deleted = self._send("Delete", request, PhysicalResourceId=physical_id)
        if deleted.warning is not None:
            _logger.warning("%s", deleted.warning)

    def _send(self, request_type: str, request: ResourceRequest, **more: Any) -> Created:
        function = request.properties["ServiceToken"]
        physical_id = more.get("PhysicalResourceId") or request.generated_name()
        token = str(uuid.uuid4())
        event = {
            "RequestType": request_type,
            "ServiceToken": function,
            "ResponseURL": f"{settings().endpoint_url}{RESPONSE_PATH}{token}",
            "StackId": request.stack_id,
            "RequestId": str(uuid.uuid4()),
            "LogicalResourceId": request.logical_id,
            "ResourceType": request.type,
            # CloudFormation hands every value over as text.
            "ResourceProperties": _as_text(request.properties),
        } | {name: _as_text(value) for name, value in more.items()}
        timeout = float(request.properties.get("ServiceTimeout", _DEFAULT_TIMEOUT_SECONDS))
        _awaited.add(token)
        try:
            invocation = _Invocation(function, event)
            invocation.start()
            answer = _wait_for(token, invocation, timeout)
        except _NotRunError as error:
            warning = (
                f"{request_type} of custom resource {request.logical_id} ({request.type}) not run, and taken"
                f" as done: {error}"
            )
            return Created(physical_id, warning=warning)
        finally:
            _awaited.discard(token)
        if answer["Status"] != "SUCCESS":
            raise ResourceError(
                "Received response status [FAILED] from custom resource. "
                f"Message returned: {answer.get('Reason')}"
            )
        return Created(answer.get("PhysicalResourceId") or physical_id, answer.get("Data") or {})


class _NotRunError(Exception):
    """The function cannot run on this machine."""


class _Invocation(threading.Thread):
    """One invocation of the function; `error` is what it raised."""

    def __init__(self, function: str, event: dict[str, Any]) -> None:
        super().__init__(daemon=True)
        self._function = function
        self._event = event
        self.error: dict[str, Any] | None = None

    def run(self) -> None:
        try:
            response = client("lambda").invoke(FunctionName=self._function, Payload=json.dumps(self._event))
        except (ClientError, BotoCoreError) as error:
            self.error = {"errorType": type(error).__name__, "errorMessage": str(error)}
            return
        payload = response["Payload"].read()
        if "FunctionError" in response:
            self.error = json.loads(payload)


def _wait_for(token: str, invocation: _Invocation, timeout: float) -> dict[str, Any]:
    deadline = time.monotonic() + timeout
    with _answered:
        while token not in _answers:
            # AWS waits out the timeout when a function fails without an answer; here it is told at once.
            if not invocation.is_alive() and (error := invocation.error) is not None:
                if error["errorType"] == NOT_RUN:
                    raise _NotRunError(error["errorMessage"])
                raise ResourceError(f"the function failed without an answer: {json.dumps(error)}")
            if time.monotonic() > deadline:
                raise ResourceError(
                    "CloudFormation did not receive a response from your Custom Resource "
                    f"within {timeout:g} seconds"
                )
            _answered.wait(_POLL_SECONDS)
        return _answers.pop(token)


def _as_text(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _as_text(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_as_text(item) for item in value]
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)
