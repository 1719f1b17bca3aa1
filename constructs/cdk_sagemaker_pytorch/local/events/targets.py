"""Delivery of events: functions that let EventBridge in, and state machines under the role of the target."""

import json
import logging
import time
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from cdk_sagemaker_pytorch.local.base.call_errors import passes
from cdk_sagemaker_pytorch.local.base.server_state import client, settings
from cdk_sagemaker_pytorch.local.iam.access import RoleError, role_credentials
from cdk_sagemaker_pytorch.local.iam.policy import PolicyRequest, is_allowed

_SERVICE = "events.amazonaws.com"
# EventBridge tries for a day what may get through later.
_TRIES = 6
_FIRST_PAUSE_SECONDS = 0.2

_logger = logging.getLogger(__name__)


class _NotDeliveredError(Exception):
    """Why an event does not reach a target."""


def is_delivered(arn: str) -> bool:
    """Whether events for this ARN are delivered here."""
    return arn.split(":")[2] in ("lambda", "states")


def deliver(rule_arn: str, target: Mapping[str, Any], content: str) -> None:
    """Give a target what it gets of an event; a failure is a warning, for nobody waits for it.

    Parameters
    ----------
    rule_arn
        The rule.
    target
        The target.
    content
        JSON text.
    """
    arn = target["Arn"]
    try:
        json.loads(content)
        _patiently(_invoke if arn.split(":")[2] == "lambda" else _start, rule_arn, target, content)
    except (ClientError, RoleError, _NotDeliveredError, ValueError) as error:
        _logger.warning("an event of %s did not reach %s: %s", rule_arn, arn, error)
    except Exception:
        _logger.exception("an event of %s did not reach %s", rule_arn, arn)


def _patiently(act: Any, rule_arn: str, target: Mapping[str, Any], content: str) -> None:
    for attempt in range(_TRIES):
        try:
            act(rule_arn, target, content)
        except ClientError as error:
            if not passes(error) or attempt == _TRIES - 1:
                raise
            time.sleep(_FIRST_PAUSE_SECONDS * 2**attempt)
        else:
            return


def _invoke(rule_arn: str, target: Mapping[str, Any], content: str) -> None:
    """Invoke a function whose own policy lets this rule in."""
    function = target["Arn"]
    try:
        policy = json.loads(client("lambda").get_policy(FunctionName=function)["Policy"])
    except client("lambda").exceptions.ResourceNotFoundException:
        policy = {"Statement": []}
    request = PolicyRequest(
        action="lambda:InvokeFunction",
        resource=function,
        context={"aws:SourceArn": [rule_arn], "aws:SourceAccount": [settings().account]},
        principal=_SERVICE,
    )
    if settings().enforce_iam and not is_allowed([policy], request):
        raise _NotDeliveredError(f"no permission of the function lets {_SERVICE} invoke it for this rule")
    client("lambda").invoke(FunctionName=function, InvocationType="Event", Payload=content)


def _start(rule_arn: str, target: Mapping[str, Any], content: str) -> None:
    """Start a state machine under the role of the target."""
    if "RoleArn" not in target:
        raise _NotDeliveredError("a target that is a state machine needs a role")
    credentials = role_credentials(target["RoleArn"], service=_SERVICE, session_name="events")
    client("stepfunctions", credentials).start_execution(stateMachineArn=target["Arn"], input=content)
