"""The AWS SDK integrations of Step Functions, `arn:aws:states:::aws-sdk:SERVICE:ACTION`."""

import datetime as dt
from typing import Any

from botocore.exceptions import ClientError
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_aws_sdk import (
    StateTaskServiceAwsSdk,
)
from moto.stepfunctions.parser.asl.eval.environment import Environment

from cdk_sagemaker_pytorch.local.base.json_number import json_number
from cdk_sagemaker_pytorch.local.base.server_state import client

# As AWS names services in errors, where that is not the name in the resource ARN with a capital.
_ERROR_NAMES = {
    "sagemaker": "SageMaker",
    "sagemakerruntime": "SageMakerRuntime",
    "cloudwatchlogs": "CloudWatchLogs",
    "cloudwatch": "CloudWatch",
    "dynamodb": "DynamoDb",
}
# boto3's names of services, where they differ from the ones in resource ARNs.
_BOTO3_NAMES = {"sagemakerruntime": "sagemaker-runtime", "cloudwatchlogs": "logs", "sfn": "stepfunctions"}


class AwsSdkTask(StateTaskServiceAwsSdk):
    """A task that makes one API call.

    moto's task with AWS's names of errors and services, parameters spelt as in Step Functions, and results
    that are JSON.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    @staticmethod
    def _normalise_service_error_name(service_name: str) -> str:
        return _ERROR_NAMES.get(service_name.lower(), service_name.capitalize())

    def _get_boto_service_name(self, boto_service_name: str | None = None) -> str:
        name = super()._get_boto_service_name(boto_service_name)
        return _BOTO3_NAMES.get(name.lower(), name)

    def _normalise_parameters(self, parameters: dict[str, Any], *_: Any, **__: Any) -> None:
        """Spell the parameters as boto3 does: `LogGroupName` in a state is `logGroupName` there."""
        if (operation := self._operation()) and operation.input_shape:
            self._to_boto_request(parameters, operation.input_shape)

    def _eval_service_task(self, env: Environment, *args: Any, **kwargs: Any) -> None:
        super()._eval_service_task(env, *args, **kwargs)
        operation = self._operation()
        env.stack.append(_json_value(env.stack.pop(), operation.output_shape if operation else None))

    def _from_error(self, env: Environment, ex: Exception) -> Any:
        if isinstance(ex, ClientError):  # botocore finds no request id in an answer of 5xx without a body
            ex.response["ResponseMetadata"].setdefault("RequestId", "")
        return super()._from_error(env=env, ex=ex)

    def _operation(self) -> Any:
        meta = client(self._get_boto_service_name()).meta
        name = meta.method_to_api_mapping.get(self._get_boto_service_action())
        return name and meta.service_model.operation_model(name)


def iso_time(time: dt.datetime) -> str:
    """Return a time as Step Functions writes it: `2026-01-31T12:00:00.000Z`."""
    return time.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _json_value(value: Any, shape: Any) -> Any:
    """Return a boto3 value as the JSON that Step Functions makes of it: text for bodies and dates."""
    kind = shape.type_name if shape is not None else None
    if kind == "structure":
        members = {name: _json_value(item, shape.members.get(name)) for name, item in value.items()}
        return {name[0].upper() + name[1:]: item for name, item in members.items()}
    if kind == "list":
        return [_json_value(item, shape.member) for item in value]
    if kind == "map":
        return {name: _json_value(item, shape.value) for name, item in value.items()}
    if isinstance(value, dt.datetime):
        return iso_time(value)
    if hasattr(value, "read"):
        value = value.read()
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else json_number(value)
