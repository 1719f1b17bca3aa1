"""Requests to moto's services, held against the maxima, minima and patterns of their API's models."""

from collections.abc import Callable
from typing import Any

from botocore.model import OperationNotFoundError
from moto.core.exceptions import ServiceException
from moto.core.parse import PROTOCOL_PARSERS, RequestParserError
from moto.core.request import determine_request_protocol
from moto.core.responses import ActionResult, BaseResponse
from moto.core.utils import get_service_model

from cdk_sagemaker_pytorch.local.base.constraints import constraint_problems, validation_message
from cdk_sagemaker_pytorch.local.base.moto_parts import wrap

# SageMaker and CloudFormation look themselves; the models of S3 and DynamoDB constrain nothing.
_SERVICES = ("events", "iam", "lambda", "logs", "ssm", "stepfunctions", "sts")


class _ValidationError(ServiceException):
    """A request that the API's model refuses, in a service with XML."""

    code = "ValidationError"


class _ValidationException(ServiceException):
    """The same in a service with JSON."""

    code = "ValidationException"


def install() -> None:
    """Let requests be looked at before moto answers them."""
    wrap(BaseResponse, "call_action", _call)


def _call(moto_method: Callable[..., Any], response: BaseResponse) -> Any:
    if response.boto3_service_name in _SERVICES and (problems := _problems(response)):
        is_xml = get_service_model(response.boto3_service_name).protocol == "query"
        error = (_ValidationError if is_xml else _ValidationException)(validation_message(problems))
        return response.serialized(ActionResult(error))
    return moto_method(response)


def _problems(response: BaseResponse) -> list[str]:
    service = get_service_model(response.boto3_service_name)
    request = response.normalized_request
    try:
        operation = service.operation_model(response._get_action())
        protocol = determine_request_protocol(service, request.content_type)
        parsed = PROTOCOL_PARSERS[protocol](operation).parse(
            {
                "method": request.method,
                "values": request.values,
                "headers": request.headers,
                "body": request.data,
                "url_path": request.path,
                "url_params": response.uri_match,
            }
        )
    except (OperationNotFoundError, RequestParserError):
        return []  # moto has its own words for these
    return list(constraint_problems(operation.input_shape, parsed)) if operation.input_shape else []
