"""The CloudFormation API of the local AWS, as far as the CDK CLI and SDKs need it to deploy stacks."""

import re
import threading
import uuid
from collections.abc import Collection, Mapping
from functools import partial
from typing import Any

from flask import Flask
from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult, BaseResponse, EmptyResult
from moto.core.utils import convert_to_flask_response
from moto.moto_server.werkzeug_app import BackendRequest

from cdk_sagemaker_pytorch.local.base.s3_transfer import split_uri
from cdk_sagemaker_pytorch.local.base.server_state import client, settings

from .stacks import Stack
from .template_rules import check_template, required_capabilities
from .templates import Template, TemplateError, load_template

_stacks: list[Stack] = []
_change_sets: dict[str, dict[str, Any]] = {}
_lock = threading.Lock()
# "CloudFormation quotas": of a template in the request, and of one in S3.
_LONGEST_BODY_BYTES, _LONGEST_OBJECT_BYTES = 51_200, 1_000_000
_MOST_TAGS = 50
_STACK_NAME = re.compile("[a-zA-Z][-a-zA-Z0-9]{0,127}")


class ValidationError(ServiceException):
    """A request that CloudFormation refuses."""

    code = "ValidationError"


class AlreadyExistsError(ServiceException):
    """A stack name that is taken."""

    code = "AlreadyExistsException"


class InsufficientCapabilitiesError(ServiceException):
    """A template with IAM resources that the caller did not acknowledge."""

    code = "InsufficientCapabilitiesException"


class ChangeSetNotFoundError(ServiceException):
    """A change set that does not exist."""

    code = "ChangeSetNotFound"


class InvalidChangeSetStatusError(ServiceException):
    """A change set that cannot be executed."""

    code = "InvalidChangeSetStatus"


def application() -> Flask:
    """Return the WSGI application that answers CloudFormation's API."""
    app = Flask(__name__)
    app.request_class = BackendRequest
    app.config["PROPAGATE_EXCEPTIONS"] = True  # an unknown operation is answered for all services alike
    view = convert_to_flask_response(CloudFormationResponse.dispatch)
    app.add_url_rule("/", "cloudformation", view, methods=["GET", "POST"])
    return app


class CloudFormationResponse(BaseResponse):
    """Answers one request; each method is the operation of that name."""

    def __init__(self) -> None:
        super().__init__(service_name="cloudformation")
        self.automated_parameter_parsing = True

    def create_stack(self) -> ActionResult:
        """Answer CreateStack."""
        name = self._get_param("StackName")
        body = self._template_body()
        with _lock:
            if any(stack.name == name for stack in _existing()):
                raise AlreadyExistsError(f"Stack [{name}] already exists")
            stack = Stack(_checked_name(name), self._tags(), _exports, _importers)
            template = self._prepare(stack, body, self._parameters())
            _stacks.append(stack)
        stack.deploy(template, body, self._parameters(), disable_rollback=self._disable_rollback())
        return ActionResult({"StackId": stack.stack_id})

    def update_stack(self) -> ActionResult:
        """Answer UpdateStack."""
        stack = _find(self._get_param("StackName"))
        _check_free(stack)
        use_previous = self._get_bool_param("UsePreviousTemplate", False)
        body = stack.template_body if use_previous else self._template_body()
        parameters = self._parameters(stack)
        template = self._prepare(stack, body, parameters)
        tags = self._tags()
        if not _differs(stack, body, parameters, tags):
            raise ValidationError("No updates are to be performed.")
        stack.deploy(template, body, parameters, tags=tags, disable_rollback=self._disable_rollback())
        return ActionResult({"StackId": stack.stack_id})

    def rollback_stack(self) -> ActionResult:
        """Answer RollbackStack."""
        return self._roll_back("CREATE_FAILED", "UPDATE_FAILED")

    def continue_update_rollback(self) -> ActionResult:
        """Answer ContinueUpdateRollback."""
        return self._roll_back("UPDATE_ROLLBACK_FAILED", skip=self._get_param("ResourcesToSkip") or [])

    def _roll_back(self, *statuses: str, skip: Collection[str] = ()) -> ActionResult:
        stack = _find(self._get_param("StackName"))
        if stack.status not in statuses:
            raise ValidationError(
                f"Stack:{stack.stack_id} is in {stack.status} state and can not be rolled back from."
            )
        stack.roll_back(skip)
        return ActionResult({"StackId": stack.stack_id})

    def delete_stack(self) -> ActionResult:
        """Answer DeleteStack."""
        names = self._get_param("StackName")
        for stack in _existing():
            if names in (stack.name, stack.stack_id) and stack.status != "DELETE_IN_PROGRESS":
                # The next stack of that name may have change sets of the same names.
                _forget_change_sets(stack)
                stack.delete()
        return EmptyResult()

    def describe_stacks(self) -> ActionResult:
        """Answer DescribeStacks."""
        name = self._get_param("StackName")
        stacks = [_find(name)] if name else _existing()
        return ActionResult({"Stacks": [stack.describe() for stack in stacks]})

    def list_stacks(self) -> ActionResult:
        """Answer ListStacks."""
        wanted = self._get_param("StackStatusFilter") or []
        summaries = [stack.describe() for stack in _stacks if not wanted or stack.status in wanted]
        return ActionResult({"StackSummaries": summaries})

    def describe_stack_events(self) -> ActionResult:
        """Answer DescribeStackEvents."""
        return ActionResult({"StackEvents": _find(self._get_param("StackName")).events[::-1]})

    def describe_stack_resources(self) -> ActionResult:
        """Answer DescribeStackResources."""
        wanted = self._get_param("LogicalResourceId")
        resources = _resources(_find(self._get_param("StackName")))
        selected = [item for item in resources if wanted in (None, item["LogicalResourceId"])]
        return ActionResult({"StackResources": selected})

    def describe_stack_resource(self) -> ActionResult:
        """Answer DescribeStackResource."""
        name, wanted = self._get_param("StackName"), self._get_param("LogicalResourceId")
        for item in _resources(_find(name)):
            if item["LogicalResourceId"] == wanted:
                return ActionResult(
                    {"StackResourceDetail": item | {"LastUpdatedTimestamp": item["Timestamp"]}}
                )
        raise ValidationError(f"Resource {wanted} does not exist for stack {name}")

    def list_stack_resources(self) -> ActionResult:
        """Answer ListStackResources."""
        resources = _resources(_find(self._get_param("StackName")))
        summaries = [item | {"LastUpdatedTimestamp": item["Timestamp"]} for item in resources]
        return ActionResult({"StackResourceSummaries": summaries})

    def get_template(self) -> ActionResult:
        """Answer GetTemplate."""
        return ActionResult({"TemplateBody": _find(self._get_param("StackName")).template_body})

    def get_template_summary(self) -> ActionResult:
        """Answer GetTemplateSummary."""
        name = self._get_param("StackName")
        body = _find(name).template_body if name else self._template_body()
        content = _load(body)
        parameters = [
            {
                "ParameterKey": key,
                "ParameterType": slot["Type"],
                "DefaultValue": slot.get("Default"),
                "NoEcho": slot.get("NoEcho", False),
            }
            for key, slot in (content.get("Parameters") or {}).items()
        ]
        types = sorted({resource["Type"] for resource in content["Resources"].values()})
        return ActionResult({"Parameters": parameters, "ResourceTypes": types})

    def validate_template(self) -> ActionResult:
        """Answer ValidateTemplate."""
        content = _load(self._template_body())
        return ActionResult({"Description": content.get("Description", ""), "Parameters": []})

    def list_imports(self) -> ActionResult:
        """Answer ListImports."""
        export = self._get_param("ExportName")
        if not (importers := _importers(export)):
            raise ValidationError(f"Export '{export}' is not imported by any stack.")
        return ActionResult({"Imports": importers})

    def list_exports(self) -> ActionResult:
        """Answer ListExports."""
        exports = [
            {"ExportingStackId": stack.stack_id, "Name": output["ExportName"], "Value": output["OutputValue"]}
            for stack in _existing()
            for output in stack.outputs
            if "ExportName" in output
        ]
        return ActionResult({"Exports": exports})

    def create_change_set(self) -> ActionResult:
        """Answer CreateChangeSet."""
        name, body = self._get_param("StackName"), self._template_body()
        change_set = self._get_param("ChangeSetName")
        if self._get_param("ChangeSetType") == "IMPORT":
            raise ValidationError("The local AWS does not import resources into stacks.")
        with _lock:
            stack = next((stack for stack in _existing() if name in (stack.name, stack.stack_id)), None)
            is_known = stack is not None
            stack = stack or Stack(_checked_name(name), self._tags(), _exports, _importers)
            _check_free(stack)
            if any(item["ChangeSetName"] == change_set for item in _change_sets_of(stack)):
                raise AlreadyExistsError(f"ChangeSet {change_set} already exists")
            parameters = self._parameters(stack)
            template = self._prepare(stack, body, parameters)
            if not is_known:  # a template that is refused leaves no stack
                _stacks.append(stack)
        place = f"{settings().region}:{settings().account}"
        arn = f"arn:aws:cloudformation:{place}:changeSet/{change_set}/{uuid.uuid4()}"
        is_new = stack.status == "REVIEW_IN_PROGRESS"
        changes = _changes(stack, template)
        tags = self._tags()
        no_changes = not is_new and not _differs(stack, body, parameters, tags)
        _change_sets[arn] = {
            "ChangeSetId": arn,
            "ChangeSetName": change_set,
            "StackId": stack.stack_id,
            "StackName": stack.name,
            "Status": "FAILED" if no_changes else "CREATE_COMPLETE",
            "StatusReason": "The submitted information didn't contain changes." if no_changes else None,
            "ExecutionStatus": "UNAVAILABLE" if no_changes else "AVAILABLE",
            "CreationTime": stack.creation_time,
            "Changes": changes,
            "_deploy": partial(stack.deploy, template, body, parameters, tags=tags),
        }
        return ActionResult({"Id": arn, "StackId": stack.stack_id})

    def describe_change_set(self) -> ActionResult:
        """Answer DescribeChangeSet."""
        change_set = self._change_set()
        return ActionResult(
            {name: value for name, value in change_set.items() if value is not None and name != "_deploy"}
        )

    def execute_change_set(self) -> ActionResult:
        """Answer ExecuteChangeSet."""
        change_set = self._change_set()
        if change_set["ExecutionStatus"] != "AVAILABLE":
            raise InvalidChangeSetStatusError(
                f"ChangeSet [{change_set['ChangeSetId']}] cannot be executed in its current status of "
                f"[{change_set['Status']}], execution status [{change_set['ExecutionStatus']}]"
            )
        stack = _find(change_set["StackId"])
        _check_free(stack)
        # The others were made for the stack as it was.
        _forget_change_sets(stack)
        _change_sets[change_set["ChangeSetId"]] = change_set | {"ExecutionStatus": "EXECUTE_COMPLETE"}
        change_set["_deploy"](disable_rollback=self._disable_rollback())
        return EmptyResult()

    def delete_change_set(self) -> ActionResult:
        """Answer DeleteChangeSet; as on AWS, one that does not exist is deleted already."""
        try:
            del _change_sets[self._change_set()["ChangeSetId"]]
        except ChangeSetNotFoundError:
            if name := self._get_param("StackName"):
                _find(name)  # but the stack has to exist
        return EmptyResult()

    def list_change_sets(self) -> ActionResult:
        """Answer ListChangeSets."""
        stack = _find(self._get_param("StackName"))
        names = ("ChangeSetId", "ChangeSetName", "StackId", "StackName", "Status", "ExecutionStatus")
        summaries = [{name: change_set[name] for name in names} for change_set in _change_sets_of(stack)]
        return ActionResult({"Summaries": summaries})

    def _change_set(self) -> dict[str, Any]:
        name, stack = self._get_param("ChangeSetName"), self._get_param("StackName")
        for arn, change_set in _change_sets.items():
            if name == arn or (
                name == change_set["ChangeSetName"]
                and stack in (change_set["StackName"], change_set["StackId"])
            ):
                return change_set
        raise ChangeSetNotFoundError(f"ChangeSet [{name}] does not exist")

    def _prepare(self, stack: Stack, body: str, parameters: Mapping[str, str]) -> Template:
        try:
            template = stack.prepare(body, parameters)
        except TemplateError as error:
            raise ValidationError(str(error)) from error
        given = set(self._get_param("Capabilities") or [])
        if "CAPABILITY_NAMED_IAM" in given:
            given.add("CAPABILITY_IAM")
        if missing := required_capabilities(template.content) - given:
            raise InsufficientCapabilitiesError(f"Requires capabilities : [{', '.join(missing)}]")
        return template

    def _template_body(self) -> str:
        if body := self._get_param("TemplateBody"):
            return _of_size(str(body), _LONGEST_BODY_BYTES)
        url = self._get_param("TemplateURL")
        if not url:
            raise ValidationError("Either Template URL or Template Body must be specified.")
        bucket, key = split_uri(_as_s3_uri(url))
        body = client("s3").get_object(Bucket=bucket, Key=key)["Body"].read().decode()
        return _of_size(body, _LONGEST_OBJECT_BYTES)

    def _parameters(self, stack: Stack | None = None) -> dict[str, str]:
        parameters = {}
        for item in self._get_param("Parameters") or []:
            key = item["ParameterKey"]
            if item.get("UsePreviousValue") and stack is not None:
                if key in stack.parameters:
                    parameters[key] = stack.parameters[key]
            else:
                parameters[key] = item["ParameterValue"]
        return parameters

    def _tags(self) -> dict[str, str]:
        tags = {tag["Key"]: tag["Value"] for tag in self._get_param("Tags") or []}
        if len(tags) > _MOST_TAGS:
            raise ValidationError(f"A stack can have at most {_MOST_TAGS} tags, got {len(tags)}")
        if any(key.lower().startswith("aws:") for key in tags):
            raise ValidationError("aws: prefixed tag key names are not allowed for external use.")
        return tags

    def _disable_rollback(self) -> bool:
        return (
            bool(self._get_bool_param("DisableRollback", False))
            or self._get_param("OnFailure") == "DO_NOTHING"
        )


def _of_size(body: str, most: int) -> str:
    if len(body.encode()) > most:
        raise ValidationError(f"Template may not exceed {most} bytes in size.")
    return body


def _existing() -> list[Stack]:
    return [stack for stack in _stacks if stack.status != "DELETE_COMPLETE"]


def _checked_name(name: str) -> str:
    """Return the name of a new stack if CloudFormation would take it."""
    if not _STACK_NAME.fullmatch(name):
        raise ValidationError(
            f"1 validation error detected: Value {name!a} at 'stackName' failed to satisfy constraint: "
            f"Member must satisfy regular expression pattern: {_STACK_NAME.pattern}"
        )
    return name


def _find(name: str) -> Stack:
    for stack in _existing():
        if name in (stack.name, stack.stack_id):
            return stack
    for stack in _stacks:  # a deleted stack is still known by its id
        if name == stack.stack_id:
            return stack
    raise ValidationError(f"Stack with id {name} does not exist")


def _change_sets_of(stack: Stack) -> list[dict[str, Any]]:
    return [item for item in list(_change_sets.values()) if item["StackId"] == stack.stack_id]


def _forget_change_sets(stack: Stack) -> None:
    for change_set in _change_sets_of(stack):
        del _change_sets[change_set["ChangeSetId"]]


def _exports() -> Mapping[str, str]:
    return {
        output["ExportName"]: output["OutputValue"]
        for stack in _existing()
        for output in stack.outputs
        if "ExportName" in output
    }


def _importers(export: str) -> list[str]:
    return [stack.name for stack in _existing() if export in stack.imports]


def _check_free(stack: Stack) -> None:
    if (stack.status.endswith("IN_PROGRESS") and stack.status != "REVIEW_IN_PROGRESS") or stack.status in (
        "ROLLBACK_COMPLETE",
        "ROLLBACK_FAILED",
        "UPDATE_ROLLBACK_FAILED",
        "DELETE_FAILED",
    ):
        raise ValidationError(f"Stack:{stack.stack_id} is in {stack.status} state and can not be updated.")


def _load(body: str) -> dict[str, Any]:
    try:
        content = load_template(body)
        check_template(content)
    except TemplateError as error:
        raise ValidationError(str(error)) from error
    return content


def _differs(stack: Stack, body: str, parameters: Mapping[str, str], tags: Mapping[str, str]) -> bool:
    before = load_template(stack.template_body) if stack.template_body else {}
    after = load_template(body)
    return (before, stack.parameters, stack.tags) != (after, dict(parameters), dict(tags or stack.tags))


def _changes(stack: Stack, template: Template) -> list[dict[str, Any]]:
    """Return what a change set changes, going by the templates."""
    old = load_template(stack.template_body)["Resources"] if stack.template_body else {}
    new = template.resources
    actions = {name: "Add" for name in new if name not in old}
    actions |= {name: "Modify" for name in new if name in old and new[name] != old[name]}
    actions |= {name: "Remove" for name in old if name not in new}
    return [
        {
            "Type": "Resource",
            "ResourceChange": {
                "Action": action,
                "LogicalResourceId": name,
                "ResourceType": (new.get(name) or old[name])["Type"],
            },
        }
        for name, action in actions.items()
    ]


def _resources(stack: Stack) -> list[dict[str, Any]]:
    return [
        {
            "StackId": stack.stack_id,
            "StackName": stack.name,
            "LogicalResourceId": resource.logical_id,
            "PhysicalResourceId": resource.physical_id,
            "ResourceType": resource.type,
            "ResourceStatus": resource.status,
            "Timestamp": resource.timestamp,
        }
        for resource in list(stack.resources.values())
    ]


def _as_s3_uri(url: str) -> str:
    """Turn the URL of an object, by path or by host, into an S3 URI."""
    _, _, rest = url.partition("://")
    host, _, path = rest.partition("/")
    if ".s3." in host:
        return f"s3://{host.split('.s3.')[0]}/{path}"
    return f"s3://{path}"
