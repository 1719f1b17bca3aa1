"""The optimized integration of Step Functions with SageMaker, `arn:aws:states:::sagemaker:ACTION[.sync]`."""

import datetime as dt
import json
import time
from collections.abc import Callable
from typing import Any

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

_POLL_SECONDS = 0.2
# Jobs that a task can wait for, by action: their kind in the API.
_JOBS = {"createTrainingJob": "training_job", "createProcessingJob": "processing_job"}
# What Step Functions tags the jobs with that it waits for; its role must be allowed to (aws/aws-cdk#26012).
_MANAGED_TAG = {"Key": "MANAGED_BY_AWS", "Value": "STARTED_BY_STEP_FUNCTIONS"}
_ACTIONS = frozenset({*_JOBS, "createModel", "createEndpointConfig", "createEndpoint", "updateEndpoint"})


class SageMakerTask(state_task_service_callback.StateTaskServiceCallback):
    """A task that calls SageMaker; with `.sync` it waits for the job, and stops it if it is stopped.

    Parameters
    ----------
    client_for
        Returns the boto3 client of a service for a region and the credentials of the state.
    """

    def __init__(self, client_for: Callable[..., Any]) -> None:
        super().__init__(supported_integration_patterns={ResourceCondition(ResourceCondition.Sync)})
        self._client_for = client_for

    def _validate_service_integration_is_supported(self) -> None:
        action, condition = self.resource.api_action, self.resource.condition
        if action not in _ACTIONS or (
            condition is not None and self._get_sfn_resource() not in {f"{job}.sync" for job in _JOBS}
        ):
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
        sagemaker = self._client_for("", "sagemaker", state_credentials)
        if self.resource.condition is not None:
            normalised_parameters["Tags"] = [*normalised_parameters.get("Tags", []), _MANAGED_TAG]
        call = getattr(sagemaker, self._get_boto_service_action())
        response = call(**normalised_parameters)
        response.pop("ResponseMetadata", None)
        env.stack.append(response)

    def _eval_integration_pattern(
        self,
        env: Environment,
        resource_runtime_part: Any,
        normalised_parameters: dict[str, Any],
        state_credentials: Any,
    ) -> None:
        env.stack.pop()
        sagemaker = self._client_for("", "sagemaker", state_credentials)
        kind = _JOBS[self.resource.api_action]
        prefix = kind.title().replace("_", "")
        name = {f"{prefix}Name": normalised_parameters[f"{prefix}Name"]}
        while True:
            job = getattr(sagemaker, f"describe_{kind}")(**name)
            if job[f"{prefix}Status"] not in ("InProgress", "Stopping"):
                break
            if not env.is_running():
                # The execution was stopped or the task timed out.
                getattr(sagemaker, f"stop_{kind}")(**name)
                break
            time.sleep(_POLL_SECONDS)
        job.pop("ResponseMetadata")
        result = _json_value(job)
        if env.is_running() and job[f"{prefix}Status"] != "Completed":
            raise FailureEventException(
                self._failure(
                    env,
                    StatesErrorName(typ=StatesErrorNameType.StatesTaskFailed),
                    json.dumps(result, separators=(",", ":")),
                )
            )
        env.stack.append(result)

    def _from_error(self, env: Environment, ex: Exception) -> FailureEvent:
        if not isinstance(ex, ClientError):
            return super()._from_error(env=env, ex=ex)
        code, message = ex.response["Error"]["Code"], ex.response["Error"]["Message"]
        metadata = ex.response["ResponseMetadata"]
        modelled = type(ex).__name__
        name = "AmazonSageMaker" if modelled == "ClientError" else modelled
        return self._failure(
            env,
            ErrorName(f"SageMaker.{name}Exception"),
            f"{message} (Service: AmazonSageMaker; Status Code: {metadata['HTTPStatusCode']}; "
            f"Error Code: {code}; Request ID: {metadata['RequestId']}; Proxy: null)",
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


def _json_value(description: Any) -> Any:
    """Return a description as optimized integrations give it: times are milliseconds since 1970."""
    if isinstance(description, dict):
        return {name: _json_value(value) for name, value in description.items()}
    if isinstance(description, list):
        return [_json_value(value) for value in description]
    if isinstance(description, dt.datetime):
        return int(description.timestamp() * 1000)
    return description
