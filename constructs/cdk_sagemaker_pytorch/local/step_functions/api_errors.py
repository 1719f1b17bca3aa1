"""Errors of the API as AWS names them: moto's interpreter raises its own without names or texts."""

import json
import re
from collections.abc import Callable
from typing import Any

from moto.core.exceptions import AWSError
from moto.stepfunctions.exceptions import InvalidArn, ValidationException
from moto.stepfunctions.parser import api
from moto.stepfunctions.responses import StepFunctionResponse

from cdk_sagemaker_pytorch.local.base.moto_parts import replace, wrap

# Parameters that moto takes apart before it looks whether they are ARNs. Of roles it has words of its own.
_ARNS = (
    "activityArn",
    "executionArn",
    "mapRunArn",
    "resourceArn",
    "stateMachineAliasArn",
    "stateMachineArn",
    "stateMachineVersionArn",
)
_ARN = re.compile(r"arn:([^:]*:){5}")


def install() -> None:
    """Let what moto refuses be refused with the code that AWS's answer has."""
    for error in vars(api).values():
        if isinstance(error, type) and issubclass(error, AWSError) and error is not AWSError:
            replace(error, "TYPE", error.code)
            replace(error, "__init__", _initialize)
    wrap(StepFunctionResponse, "call_action", _call)
    wrap(StepFunctionResponse, "list_executions", _list_executions)


def _initialize(error: AWSError, message: str = "", **arguments: Any) -> None:
    AWSError.__init__(error, message or type(error).__name__, **arguments)


def _call(moto_method: Callable[..., Any], response: StepFunctionResponse) -> Any:
    """Answer a call; what should be an ARN and is none is refused."""
    request = json.loads(response.body or "{}")
    for name in _ARNS:
        value = request.get(name)
        if value is not None and not _ARN.match(str(value)):
            raise InvalidArn(f"Invalid Arn: 'Invalid ARN prefix: {value}'")
    return moto_method(response)


def _list_executions(moto_method: Callable[..., Any], response: StepFunctionResponse) -> Any:
    if response._get_param("mapRunArn") is not None:
        raise NotImplementedError("ListExecutions of a map run has not been implemented")
    if response._get_param("stateMachineArn") is None:
        raise ValidationException("ListExecutions needs exactly one of stateMachineArn and mapRunArn")
    return moto_method(response)
