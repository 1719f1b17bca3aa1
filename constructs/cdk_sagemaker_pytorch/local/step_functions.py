"""Step Functions of the local AWS: moto's interpreter runs the machines; this adds what it lacks.

JSONata, the calls of each machine under its execution role, AWS's names of errors, the context object's fields,
optimized SageMaker integrations (`sagemaker_task`), and stopping what a stopped execution waits for.
"""

import datetime
import sys
import uuid
from typing import Any

import moto.stepfunctions.models
import moto.stepfunctions.parser.models as parser_models
from moto.core.config import default_user_config
from moto.stepfunctions.parser.api import (
    EvaluationFailedEventDetails,
    ExecutionStatus,
    HistoryEventType,
)
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import (
    FailureEvent,
    FailureEventException,
)
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import StatesErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import (
    StatesErrorNameType,
)
from moto.stepfunctions.parser.asl.component.common.string.string_expression import StringJSONata
from moto.stepfunctions.parser.asl.component.state import state as state_module
from moto.stepfunctions.parser.asl.component.state.exec.state_task import state_task_factory
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import (
    state_task_service_aws_sdk,
    state_task_service_callback,
    state_task_service_factory,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service import (
    StateTaskService,
)
from moto.stepfunctions.parser.asl.eval.environment import Environment
from moto.stepfunctions.parser.asl.eval.event.event_detail import EventDetails
from moto.stepfunctions.parser.asl.eval.program_state import (
    ProgramEnded,
    ProgramError,
    ProgramStopped,
    ProgramTimedOut,
)
from moto.stepfunctions.parser.backend.execution import BaseExecutionWorkerCommunication, Execution
from moto.stepfunctions.parser.backend.execution_worker import ExecutionWorker

from .iam import role_credentials
from .jsonata import JsonataError, evaluate
from .sagemaker_task import SageMakerTask
from .server_state import client

_POLL_SECONDS = 0.2
# As AWS names them in errors of aws-sdk integrations, where that is not the name in the resource ARN.
_SERVICE_ERROR_NAMES = {
    "sagemaker": "SageMaker",
    "sagemakerruntime": "SageMakerRuntime",
    "s3": "S3",
    "lambda": "Lambda",
    "cloudwatchlogs": "CloudWatchLogs",
    "cloudwatch": "CloudWatch",
    "ssm": "Ssm",
}
# boto3's names of services, where they differ from the ones in resource ARNs.
_BOTO3_SERVICES = {"sagemakerruntime": "sagemaker-runtime", "cloudwatchlogs": "logs", "sfn": "stepfunctions"}


def install() -> None:
    """Let moto's Step Functions run machines for real."""
    default_user_config.setdefault("stepfunctions", {})["execute_state_machine"] = True
    backends = parser_models.stepfunctions_parser_backends
    backends.backend = LocalStepFunctionsBackend
    # CloudFormation and the API look in different places otherwise.
    moto.stepfunctions.models.stepfunctions_backends = backends
    StringJSONata._eval_body = _eval_jsonata
    ExecutionWorker._get_evaluation_environment = _environment_with_context(
        ExecutionWorker._get_evaluation_environment
    )
    BaseExecutionWorkerCommunication._reflect_execution_status = _reflect_execution_status
    Environment.set_error = _unless_stopped(Environment.set_error)
    state_module.StateData = _state_data
    state_task_factory.state_task_service_for = _task_for
    state_task_service_callback._DELAY_SECONDS_SYNC_CONDITION_CHECK = _POLL_SECONDS
    for name, module in list(sys.modules.items()):
        if name.startswith("moto.stepfunctions.parser.") and hasattr(module, "boto_client_for"):
            module.boto_client_for = _role_client


class LocalStepFunctionsBackend(parser_models.StepFunctionsParserBackend):
    """moto's backend with named executions and an end of stopped ones."""

    def start_execution(
        self,
        state_machine_arn: str,
        name: str | None = None,
        execution_input: str | None = None,
        trace_header: str | None = None,
    ) -> Execution:
        """Start an execution; without a name it gets a UUID, as on AWS."""
        return super().start_execution(
            state_machine_arn, name or str(uuid.uuid4()), execution_input, trace_header
        )

    def stop_execution(self, execution_arn: str) -> Execution:
        """Stop an execution; it is ABORTED at once, what it waits for is stopped in the background."""
        execution = self.describe_execution(execution_arn)
        execution.stop_date = datetime.datetime.now(datetime.UTC)
        execution.stop(stop_date=execution.stop_date, error=None, cause=None)
        execution.exec_status = ExecutionStatus.ABORTED
        return execution


class AwsSdkTask(state_task_service_aws_sdk.StateTaskServiceAwsSdk):
    """An `arn:…:states:::aws-sdk:SERVICE:ACTION` task."""

    @staticmethod
    def _normalise_service_error_name(service_name: str) -> str:
        return _SERVICE_ERROR_NAMES.get(service_name.lower(), service_name.capitalize())

    def _get_boto_service_name(self, boto_service_name: str | None = None) -> str:
        name = super()._get_boto_service_name(boto_service_name)
        return _BOTO3_SERVICES.get(name.lower(), name)

    def _normalise_parameters(self, parameters: dict[str, Any], *_: Any) -> None:
        """Spell the parameters as boto3 does: `LogGroupName` in a state is `logGroupName` there."""
        operations = client(self._get_boto_service_name()).meta
        operation = operations.method_to_api_mapping.get(self._get_boto_service_action())
        if operation and (shape := operations.service_model.operation_model(operation).input_shape):
            self._to_boto_request(parameters, shape)

    def _eval_service_task(self, env: Environment, *args: Any, **kwargs: Any) -> None:
        super()._eval_service_task(env, *args, **kwargs)
        env.stack.append(_json_value(env.stack.pop()))


def _json_value(response: Any) -> Any:
    """Return a boto3 response as the JSON that Step Functions makes of it: text for bodies and dates."""
    if isinstance(response, dict):
        return {name[0].upper() + name[1:]: _json_value(value) for name, value in response.items()}
    if isinstance(response, list):
        return [_json_value(value) for value in response]
    if isinstance(response, datetime.datetime):
        return iso_time(response)
    if hasattr(response, "read"):
        response = response.read()
    if isinstance(response, bytes):
        return response.decode("utf-8", "replace")
    return response


def iso_time(time: datetime.datetime) -> str:
    """Return a time as it stands in a context object: `2026-01-31T12:00:00.000Z`."""
    return time.astimezone(datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _task_for(service_name: str) -> StateTaskService:
    """Stand in for moto's `state_task_service_for`."""
    if service_name == "sagemaker":
        return SageMakerTask(client_for=_role_client)
    if service_name == "aws-sdk":
        return AwsSdkTask()
    return state_task_service_factory.state_task_service_for(service_name)


def _role_client(region: str, service: str, state_credentials: Any = None) -> Any:
    """Stand in for moto's `boto_client_for`: calls carry the session of the execution role."""
    credentials = role_credentials(
        state_credentials.role_arn, service="states.amazonaws.com", session_name="execution"
    )
    return client(service, credentials)


def _eval_jsonata(expression: StringJSONata, env: Environment) -> None:
    """Stand in for moto's `StringJSONata._eval_body`, which needs a Java virtual machine."""
    scopes = env.variable_store
    variables = scopes._outer_scope | scopes._inner_scope | {"states": env.states._states_data}
    try:
        env.stack.append(evaluate(expression.expression, variables))
    except JsonataError as error:
        name = StatesErrorName(typ=StatesErrorNameType.StatesQueryEvaluationError)
        details = EvaluationFailedEventDetails(cause=str(error), error=name.error_name)
        raise FailureEventException(
            FailureEvent(
                env=env,
                error_name=name,
                event_type=HistoryEventType.EvaluationFailed,
                event_details=EventDetails(evaluationFailedEventDetails=details),
            )
        ) from error


def _environment_with_context(moto_method: Any) -> Any:
    def get_evaluation_environment(worker: ExecutionWorker) -> Environment:
        environment = moto_method(worker)
        execution = environment.states.context_object.context_object_data["Execution"]
        execution["StartTime"] = iso_time(execution["StartTime"])
        execution["RedriveCount"] = 0
        return environment

    return get_evaluation_environment


def _reflect_execution_status(worker: BaseExecutionWorkerCommunication) -> None:
    """Stand in for moto's method, which sets the status before the output: who looks then misses it."""
    execution = worker.execution
    state = execution.exec_worker.env.program_state()
    execution.stop_date = datetime.datetime.now(datetime.UTC)
    if isinstance(state, ProgramEnded):
        execution.output = execution.exec_worker.env.states.get_input()
        execution.exec_status = ExecutionStatus.SUCCEEDED
    elif isinstance(state, ProgramStopped):
        execution.exec_status = ExecutionStatus.ABORTED
    elif isinstance(state, ProgramTimedOut):
        execution.exec_status = ExecutionStatus.TIMED_OUT
    elif isinstance(state, ProgramError):
        execution.error = state.error.get("error")
        execution.cause = state.error.get("cause")
        execution.exec_status = ExecutionStatus.FAILED


def _unless_stopped(moto_method: Any) -> Any:
    """An error after StopExecution, of a task that lost its result, leaves the execution ABORTED."""

    def set_error(environment: Environment, error: Any) -> None:
        if not isinstance(environment.program_state(), ProgramStopped):
            moto_method(environment, error)

    return set_error


def _state_data(*, EnteredTime: str, Name: str) -> dict[str, Any]:  # noqa: N803 - the context object's own names
    entered = datetime.datetime.fromisoformat(EnteredTime)
    return {"EnteredTime": iso_time(entered), "Name": Name, "RetryCount": 0}
