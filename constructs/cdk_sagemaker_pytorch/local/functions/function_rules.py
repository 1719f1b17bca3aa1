"""What Lambda refuses in a function though the API's model allows it."""

import base64
import io
import json
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

from moto.awslambda.exceptions import InvalidParameterValueException, ValidationException
from moto.awslambda.models import LambdaBackend

from cdk_sagemaker_pytorch.local.base.moto_parts import wrap

# "Lambda quotas".
_MOST_MEMORY_MB, _MOST_SECONDS, _MOST_ENVIRONMENT_BYTES = 10_240, 900, 4 * 1024
# "Working with Lambda environment variables": reserved ones that cannot be set.
_RESERVED = {
    "AWS_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_DEFAULT_REGION",
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_REGION",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SECRET_KEY",
    "AWS_SESSION_TOKEN",
    "LAMBDA_RUNTIME_DIR",
    "LAMBDA_TASK_ROOT",
    "_HANDLER",
    "_X_AMZN_TRACE_ID",
}


def install() -> None:
    """Let functions that AWS refuses be refused."""
    wrap(LambdaBackend, "create_function", _create)
    wrap(LambdaBackend, "update_function_configuration", _update)
    wrap(LambdaBackend, "update_function_code", _update)


def check_function(spec: Mapping[str, Any]) -> None:
    """Refuse a request of CreateFunction or UpdateFunctionConfiguration.

    Raises
    ------
    moto.awslambda.exceptions.LambdaClientError
        With the first thing that is wrong.
    """
    for name, most in (("MemorySize", _MOST_MEMORY_MB), ("Timeout", _MOST_SECONDS)):
        if int(spec.get(name) or 0) > most:
            raise ValidationException(
                str(spec[name]),
                f"{name[0].lower()}{name[1:]}",
                f"Member must have value less than or equal to {most}",
            )
    variables = (spec.get("Environment") or {}).get("Variables") or {}
    if reserved := sorted(variables.keys() & _RESERVED):
        raise InvalidParameterValueException(
            "Lambda was unable to configure your environment variables because the environment variables you"
            " have provided contains reserved keys that are currently not supported for modification."
            f" Reserved keys used in this request: {', '.join(reserved)}"
        )
    size = len(json.dumps(variables, ensure_ascii=False, separators=(",", ":")).encode())
    if size > _MOST_ENVIRONMENT_BYTES:
        raise InvalidParameterValueException(
            "Lambda was unable to configure your environment variables because the environment variables you"
            " have provided exceeded the 4KB limit."
        )
    code = (spec.get("Code") or {}).get("ZipFile")
    if code is not None and not zipfile.is_zipfile(io.BytesIO(base64.b64decode(code))):
        raise InvalidParameterValueException(
            "Could not unzip uploaded file. Please check your file, then try to upload again."
        )


def _create(moto_method: Callable[..., Any], backend: LambdaBackend, spec: dict[str, Any]) -> Any:
    check_function(spec)
    return moto_method(backend, spec)


def _update(
    moto_method: Callable[..., Any],
    backend: LambdaBackend,
    function_name: str,
    qualifier: str,
    body: dict[str, Any],
) -> Any:
    check_function({"Code": body} | body)  # of its code, the archive is the body's own
    return moto_method(backend, function_name, qualifier, body)
