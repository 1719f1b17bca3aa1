"""What the optimized integrations of Step Functions have in common."""

import datetime as dt
import json
import time
from collections.abc import Callable
from typing import Any, ClassVar

from botocore.exceptions import ClientError
from moto.stepfunctions.parser.api import HistoryEventType
from moto.stepfunctions.parser.asl.component.common.error_name.error_name import ErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import (
    FailureEvent,
    FailureEventException,
)
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import StatesErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import (
    StatesErrorNameType,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import (
    state_task_service_callback,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.resource import ResourceCondition
from moto.stepfunctions.parser.asl.eval.environment import Environment

from cdk_sagemaker_pytorch.local.base.call_errors import passes
from cdk_sagemaker_pytorch.local.base.json_number import json_number

_POLL_SECONDS = 0.2


class OptimizedTask(state_task_service_callback.StateTaskServiceCallback):
    """A task that calls a service; where it waits for what it began, it stops that if it is stopped.

    Parameters
    ----------
    client_for
        Returns the boto3 client of a service for a region and the credentials of the state.

    Attributes
    ----------
    service
        boto3's name of the service.
    error_prefix
        What names of errors begin with, for example `SageMaker`.
    sdk_name
        The service's name in the error that stands for all that the API's model does not name.
    name_in_causes
        Its name in causes, where that is another.
    resources
        What a state may ask for, as it stands in its ARN: the action, with `.sync` and the like.
    """

    service: ClassVar[str]
    error_prefix: ClassVar[str]
    sdk_name: ClassVar[str]
    name_in_causes: ClassVar[str] = ""
    resources: ClassVar[frozenset[str]]

    def __init__(self, client_for: Callable[..., Any]) -> None:
        patterns: Any = {
            ResourceCondition.Sync,
            ResourceCondition.Sync2,
            ResourceCondition.WaitForTaskToken,
        }
        super().__init__(supported_integration_patterns=patterns)
        self._client_for = client_for

    def _request(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """Return the parameters of the call; a state spells them as it does."""
        return parameters

    def _look(self, client: Any, parameters: dict[str, Any], started: dict[str, Any]) -> dict[str, Any]:
        """Return the description of what the task waits for."""
        raise NotImplementedError

    def _status(self, description: dict[str, Any]) -> str:
        """Return `Running`, `Succeeded` or `Failed`."""
        raise NotImplementedError

    def _stop(self, client: Any, parameters: dict[str, Any], started: dict[str, Any]) -> None:
        """Stop what the task waits for."""
        raise NotImplementedError

    def _result(self, description: dict[str, Any]) -> dict[str, Any]:
        """Return a description as the state gets it."""
        result: dict[str, Any] = json_value(description)
        return result

    def _error_name(self, code: str, modelled: str) -> str:
        """Return the end of an error's name, from its code and from the class that boto3 raises for it."""
        return self.sdk_name if modelled == "ClientError" else modelled

    # From here on as moto calls it.

    def _validate_service_integration_is_supported(self) -> None:
        if self._get_sfn_resource() not in self.resources:
            raise ValueError(
                f"The resource provided {self.resource.resource_arn} not recognized. The value is not a "
                "valid resource ARN, or the resource is not available in this region."
            )

    def _eval_service_task(
        self,
        env: Environment,
        resource_runtime_part: Any,
        normalised_parameters: dict[str, Any],
        state_credentials: Any,
    ) -> None:
        client = self._client_for("", self.service, state_credentials)
        call = getattr(client, self._get_boto_service_action())
        response = call(**self._request(normalised_parameters))
        response.pop("ResponseMetadata", None)
        env.stack.append(self._result(response))

    def _eval_integration_pattern(
        self,
        env: Environment,
        resource_runtime_part: Any,
        normalised_parameters: dict[str, Any],
        state_credentials: Any,
    ) -> None:
        if self.resource.condition == ResourceCondition.WaitForTaskToken:
            super()._eval_integration_pattern(
                env, resource_runtime_part, normalised_parameters, state_credentials
            )
            return
        started = env.stack.pop()
        client = self._client_for("", self.service, state_credentials)
        while True:
            running = env.is_running()  # before the look: what is stopped then was begun before
            description = self._patient_look(client, normalised_parameters, started)
            if description is not None and self._status(description) != "Running":
                break
            if not running:
                # The execution was stopped or the task timed out.
                self._stop(client, normalised_parameters, started)
                break
            time.sleep(_POLL_SECONDS)
        result = self._result(description or {})
        if running and self._status(description or {}) == "Failed":
            failed = StatesErrorName(typ=StatesErrorNameType.StatesTaskFailed)
            cause = json.dumps(result, separators=(",", ":"))
            raise FailureEventException(self._failure(env, failed, cause))
        env.stack.append(result)

    def _patient_look(
        self, client: Any, parameters: dict[str, Any], started: dict[str, Any]
    ) -> dict[str, Any] | None:
        """Look; None where the look itself is throttled or lost, which is no failure of the task."""
        try:
            description = self._look(client, parameters, started)
        except ClientError as error:
            if passes(error):
                return None
            raise
        description.pop("ResponseMetadata", None)
        return description

    def _from_error(self, env: Environment, ex: Exception) -> FailureEvent:
        if not isinstance(ex, ClientError):
            return super()._from_error(env=env, ex=ex)
        name = self._error_name(ex.response["Error"]["Code"], type(ex).__name__)
        if not name.endswith("Exception"):
            name += "Exception"
        return self._failure(
            env,
            ErrorName(f"{self.error_prefix}.{name}"),
            error_cause(ex, self.name_in_causes or self.sdk_name),
        )

    def _failure(self, env: Environment, error_name: ErrorName, cause: str) -> FailureEvent:
        details: Any = {
            "taskFailedEventDetails": {
                "resource": self._get_sfn_resource(),
                "resourceType": self._get_sfn_resource_type(),
                "error": error_name.error_name,
                "cause": cause,
            }
        }
        return FailureEvent(
            env=env, error_name=error_name, event_type=HistoryEventType.TaskFailed, event_details=details
        )


def error_cause(error: ClientError, service: str) -> str:
    """Return the cause of a state's failure, from what a service answered.

    Parameters
    ----------
    error
        What boto3 raised.
    service
        The service as causes name it.
    """
    code, message = error.response["Error"]["Code"], error.response["Error"]["Message"]
    metadata = error.response["ResponseMetadata"]
    return (
        f"{message} (Service: {service}; Status Code: {metadata['HTTPStatusCode']}; Error Code: {code}; "
        f"Request ID: {metadata.get('RequestId')}; Proxy: null)"
    )


def json_value(description: Any) -> Any:
    """Return a description as optimized integrations give it: times are milliseconds since 1970."""
    if isinstance(description, dict):
        return {name: json_value(value) for name, value in description.items()}
    if isinstance(description, list):
        return [json_value(value) for value in description]
    if isinstance(description, dt.datetime):
        return int(description.timestamp() * 1000)
    return json_number(description)
