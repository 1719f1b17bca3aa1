"""Step Functions of the local AWS: moto's interpreter runs the machines; this adds what it lacks.

JSONata, the calls of each machine under its execution role, AWS's names of errors, the fields of the context
object, and optimized integrations (`optimized_task`).
"""

import datetime as dt
import json
import sys
from collections.abc import Callable
from typing import Any

import moto.stepfunctions.models
from botocore.exceptions import ClientError
from moto.core.config import default_user_config
from moto.stepfunctions.parser.api import HistoryEventType
from moto.stepfunctions.parser.asl.component.common.error_name.error_equals_decl import ErrorEqualsDecl
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
    state_task_service_callback,
    state_task_service_factory,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_lambda import (
    StateTaskServiceLambda,
)
from moto.stepfunctions.parser.asl.eval.environment import Environment
from moto.stepfunctions.parser.asl.parse import preprocessor
from moto.stepfunctions.parser.backend.execution_worker import ExecutionWorker
from moto.stepfunctions.parser.models import stepfunctions_parser_backends

from cdk_sagemaker_pytorch.local.base.moto_parts import replace, wrap
from cdk_sagemaker_pytorch.local.base.server_state import client
from cdk_sagemaker_pytorch.local.iam.access import role_credentials

from . import api_errors, definition_rules, executions, machine_deletion, redrive, waits
from .aws_sdk_task import AwsSdkTask, iso_time
from .dynamodb_task import DynamoDbTask
from .execution_task import ExecutionTask
from .jsonata import JsonataError, evaluate
from .optimized_task import OptimizedTask, error_cause
from .sagemaker_task import SageMakerTask

_POLL_SECONDS = 0.2
_TASKS: dict[str, type[OptimizedTask]] = {
    "sagemaker": SageMakerTask,
    "states": ExecutionTask,
    "dynamodb": DynamoDbTask,
}


def install() -> None:
    """Let moto's Step Functions run machines for real."""
    default_user_config.setdefault("stepfunctions", {})["execute_state_machine"] = True
    # Other parts of moto would look at the backends that do not run anything.
    replace(moto.stepfunctions.models, "stepfunctions_backends", stepfunctions_parser_backends)
    api_errors.install()
    definition_rules.install()
    executions.install()
    machine_deletion.install()
    redrive.install()
    waits.install()
    replace(StringJSONata, "_eval_body", _eval_jsonata)
    wrap(ErrorEqualsDecl, "_eval_body", _matches)
    replace(preprocessor, "from_string_literal", _text_of)
    replace(preprocessor.Preprocessor, "_inner_string_of", staticmethod(_text_of))
    replace(state_module, "StateData", _state_data)
    replace(StateTaskServiceLambda, "_error_cause_from_client_error", staticmethod(_lambda_error))
    replace(preprocessor.Preprocessor, "__init__", _with_scopes_of_its_own)
    wrap(ExecutionWorker, "_get_evaluation_environment", _environment_with_context)
    replace(state_task_factory, "state_task_service_for", _task_for)
    replace(state_task_service_callback, "_DELAY_SECONDS_SYNC_CONDITION_CHECK", _POLL_SECONDS)
    for name, module in list(sys.modules.items()):
        if name.startswith("moto.stepfunctions.parser.") and hasattr(module, "boto_client_for"):
            replace(module, "boto_client_for", _role_client)


def _with_scopes_of_its_own(reader: preprocessor.Preprocessor) -> None:
    """Begin to read a definition; moto has one stack of query languages for all readers and threads."""
    reader._query_language_per_scope = []


def _matches(moto_method: Callable[..., None], error_equals: ErrorEqualsDecl, env: Any) -> None:
    """Say whether a retrier or catcher is for an error; wildcards are not for those that end an execution.

    "Handling errors in Step Functions workflows": States.ALL does not catch States.DataLimitExceeded, and
    nothing catches States.Runtime.
    """
    error = env.stack[-1]
    needs_its_name = error.error_name == "States.DataLimitExceeded"
    if error.error_name == "States.Runtime" or (needs_its_name and error not in error_equals.error_names):
        env.stack[-1] = False
    else:
        moto_method(error_equals, env)


def _lambda_error(error: ClientError) -> tuple[str, str]:
    """Name an error of Lambda as Step Functions does: what the API's model does not have is one for all."""
    code = error.response["Error"]["Code"]
    modelled = {shape.name for shape in client("lambda").meta.service_model.error_shapes}
    name = code if code in modelled else "AWSLambdaException"
    return f"Lambda.{name}", error_cause(error, "AWSLambda")


def _task_for(service_name: str) -> Any:
    """Return the task of a service integration."""
    if service_name in _TASKS:
        return _TASKS[service_name](client_for=_role_client)
    if service_name == "aws-sdk":
        return AwsSdkTask()
    return state_task_service_factory.state_task_service_for(service_name)


def _role_client(region: str, service: str, state_credentials: Any = None) -> Any:
    """Return a client whose calls carry the session of the execution role."""
    credentials = role_credentials(
        state_credentials.role_arn, service="states.amazonaws.com", session_name="execution"
    )
    return client(service, credentials)


def _text_of(parser_rule_context: Any) -> str | None:
    """Decode a string of a definition as the JSON it is; moto leaves the escapes in some of them."""
    text: str = parser_rule_context.getText()
    if text == "null":
        return None
    return str(json.loads(text)) if text.startswith('"') else text


def _eval_jsonata(expression: StringJSONata, env: Environment) -> None:
    """Evaluate a JSONata string of a state; moto's own way needs a Java virtual machine."""
    scopes = env.variable_store
    variables = scopes._outer_scope | scopes._inner_scope | {"states": env.states._states_data}
    try:
        env.stack.append(evaluate(expression.expression, variables))
    except JsonataError as error:
        name = StatesErrorName(typ=StatesErrorNameType.StatesQueryEvaluationError)
        details: Any = {
            "evaluationFailedEventDetails": {"cause": str(error), "error": name.error_name, "location": None}
        }
        raise FailureEventException(
            FailureEvent(
                env=env,
                error_name=name,
                event_type=HistoryEventType.EvaluationFailed,
                event_details=details,
            )
        ) from error


def _environment_with_context(moto_method: Callable[..., Any], worker: Any) -> Any:
    """Complete the context object as AWS has it."""
    environment = moto_method(worker)
    execution = environment.states.context_object.context_object_data["Execution"]
    execution["StartTime"] = iso_time(execution["StartTime"])
    execution["RedriveCount"] = getattr(worker._execution_communication.execution, "redrive_count", 0)
    return environment


def _state_data(*, EnteredTime: str, Name: str) -> dict[str, Any]:  # noqa: N803 - the context object's own names
    """Return `State` of the context object."""
    return {"EnteredTime": iso_time(dt.datetime.fromisoformat(EnteredTime)), "Name": Name, "RetryCount": 0}
