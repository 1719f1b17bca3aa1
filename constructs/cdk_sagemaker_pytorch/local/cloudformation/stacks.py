"""Stacks of the local CloudFormation: create, update, replace, roll back and delete their resources."""

import datetime as dt
import logging
import threading
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from cdk_sagemaker_pytorch.local.base.server_state import client, settings

from .resource_type import ResourceError, ResourceRequest
from .resource_types import resource_type
from .template_rules import check_parameters, check_template
from .templates import Template, TemplateError, load_template

_PATIENCE_SECONDS = 10.0

_logger = logging.getLogger(__name__)


@dataclass
class DeployedResource:
    """A resource of a stack that exists."""

    logical_id: str
    type: str
    physical_id: str
    attributes: dict[str, Any]
    properties: dict[str, Any]
    deletion_policy: str
    stack_tags: dict[str, str]
    status: str = "CREATE_COMPLETE"
    timestamp: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC))


@dataclass
class _Undo:
    """How to take one step of a deployment back."""

    logical_id: str
    before: DeployedResource | None
    after: DeployedResource


class Stack:
    """A stack.

    Parameters
    ----------
    name
        Its name.
    tags
        Tags of the stack by name.
    exports
        Returns the values that all stacks export, by name.
    importers
        Returns the names of the stacks that import an export of that name.
    """

    def __init__(
        self,
        name: str,
        tags: Mapping[str, str],
        exports: Callable[[], Mapping[str, str]],
        importers: Callable[[str], Collection[str]],
    ) -> None:
        self.name = name
        self.stack_id = (
            f"arn:aws:cloudformation:{settings().region}:{settings().account}:stack/{name}/{uuid.uuid4()}"
        )
        self.tags = dict(tags)
        self.status = "REVIEW_IN_PROGRESS"
        self.status_reason: str | None = None
        self.creation_time = _now()
        self.last_updated_time: dt.datetime | None = None
        self.events: list[dict[str, Any]] = []
        self.outputs: list[dict[str, Any]] = []
        self.resources: dict[str, DeployedResource] = {}
        self.template_body = ""
        self.parameters: dict[str, str] = {}
        self.imports: set[str] = set()
        self._exports = exports
        self._importers = importers
        # What is to be taken back before the stack is as it last was: of a deployment that stopped where it
        # failed, or of a rollback that failed itself.
        self._pending: list[_Undo] = []
        self._tags_before = self.tags

    def prepare(self, template_body: str, parameters: Mapping[str, str]) -> Template:
        """Return the template with these parameters.

        Raises
        ------
        TemplateError
            If CloudFormation would refuse it.
        """
        content = load_template(template_body)
        check_template(content)
        check_parameters(content, parameters)
        template = Template(
            content,
            parameters,
            pseudo_parameters={
                "AWS::AccountId": settings().account,
                "AWS::Region": settings().region,
                "AWS::Partition": "aws",
                "AWS::URLSuffix": "amazonaws.com",
                "AWS::StackId": self.stack_id,
                "AWS::StackName": self.name,
                "AWS::NotificationARNs": [],
            },
            ssm_parameter=_ssm_parameter,
            look_up=self._look_up,
            import_value=self._import_value,
        )
        _ = template.resources  # circles are found here
        return template

    def deploy(
        self,
        template: Template,
        template_body: str,
        parameters: Mapping[str, str],
        *,
        tags: Mapping[str, str] | None = None,
        disable_rollback: bool = False,
    ) -> None:
        """Bring the resources to what a template says, in the background; `status` tells how it goes.

        Parameters
        ----------
        template, template_body, parameters
            What `prepare` returned, and took.
        tags
            Tags of the stack from now on. Defaults to those it has.
        disable_rollback
            Whether a deployment that fails stops there.
        """
        if not self._pending:
            self._tags_before = self.tags
        self.tags = dict(tags or self.tags)
        verb = "UPDATE" if self.resources or self.status.endswith("COMPLETE") else "CREATE"
        self._set_status(f"{verb}_IN_PROGRESS", "User Initiated")
        self._in_background(self._deploy, verb, template, template_body, dict(parameters), disable_rollback)

    def roll_back(self, skip: Collection[str] = ()) -> None:
        """Take back, in the background, what a failed deployment left that was not rolled back wholly.

        Parameters
        ----------
        skip
            Logical ids of resources that stay as they are.
        """
        prefix = "UPDATE_" if self.status.startswith("UPDATE") else ""
        self._set_status(f"{prefix}ROLLBACK_IN_PROGRESS", "User Initiated")
        steps = [step for step in self._pending if step.logical_id not in skip]
        self._in_background(self._roll_back, prefix, "User Initiated", steps)

    def delete(self) -> None:
        """Delete the resources, in the background."""
        self._set_status("DELETE_IN_PROGRESS", "User Initiated")
        self._in_background(self._delete)

    def describe(self) -> dict[str, Any]:
        """Return the stack as DescribeStacks gives it."""
        description = {
            "StackId": self.stack_id,
            "StackName": self.name,
            "StackStatus": self.status,
            "StackStatusReason": self.status_reason,
            "CreationTime": self.creation_time,
            "LastUpdatedTime": self.last_updated_time,
            "Parameters": [
                {"ParameterKey": key, "ParameterValue": value} for key, value in self.parameters.items()
            ],
            "Outputs": self.outputs,
            "Tags": [{"Key": key, "Value": value} for key, value in self.tags.items()],
            "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
            "EnableTerminationProtection": False,
            "DisableRollback": False,
            "DriftInformation": {"StackDriftStatus": "NOT_CHECKED"},
        }
        return {name: value for name, value in description.items() if value is not None}

    def _in_background(self, work: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=work, args=args, name=f"stack-{self.name}", daemon=True)
        thread.start()
        # The CDK CLI looks every five seconds: what is done by the time of its first look is done at once.
        thread.join(_PATIENCE_SECONDS)

    def _deploy(
        self,
        verb: str,
        template: Template,
        template_body: str,
        parameters: dict[str, str],
        disable_rollback: bool,
    ) -> None:
        undo = self._pending
        imports_before, self.imports = self.imports, set()
        try:
            for logical_id in template.resources:
                self._deploy_resource(template, logical_id, undo)
            outputs = template.outputs()
            self._check_exports(outputs)
        except Exception as error:
            if not isinstance(error, ResourceError | TemplateError):
                _logger.exception("stack %s", self.name)
            self.imports |= imports_before
            self._fail(verb, str(error), undo, disable_rollback)
            return
        if verb == "UPDATE":
            self._set_status("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
            self._clean_up(template, undo)
            self.last_updated_time = _now()
        # Each after what it needs, so that it is deleted before that.
        order = {name: place for place, name in enumerate(template.resources)}
        self.resources = dict(sorted(self.resources.items(), key=lambda item: order.get(item[0], -1)))
        self.template_body, self.parameters, self.outputs = template_body, parameters, outputs
        self._pending = []
        self._set_status(f"{verb}_COMPLETE")

    def _deploy_resource(self, template: Template, logical_id: str, undo: list[_Undo]) -> None:
        definition = template.resources[logical_id]
        before = self.resources.get(logical_id)
        verb = "CREATE"
        try:
            properties = template.properties(logical_id)
            request = ResourceRequest(
                self.name, self.stack_id, logical_id, definition["Type"], properties, self.tags
            )
            handler = resource_type(definition["Type"])
            if before is not None and before.type != definition["Type"]:
                raise ResourceError(
                    f"Update of resource type is not permitted: {before.type} to {definition['Type']}"
                )
            policy = definition.get("DeletionPolicy", "Delete")
            if before is not None and before.properties == properties:
                before.deletion_policy = policy
                # Tags of a stack reach what can be changed; for them alone nothing is made anew.
                if before.stack_tags == self.tags or handler.needs_replacement(properties, properties):
                    return
            if before is None or handler.needs_replacement(before.properties, properties):
                verb = "CREATE" if before is None else "UPDATE"
                self._add_event(logical_id, definition["Type"], f"{verb}_IN_PROGRESS", "")
                created = handler.create(request)
            else:
                verb = "UPDATE"
                self._add_event(logical_id, definition["Type"], "UPDATE_IN_PROGRESS", before.physical_id)
                created = handler.update(request, before.physical_id, before.properties)
        except Exception as error:
            reason = _reason(error)
            if not isinstance(error, ResourceError | ClientError):
                _logger.exception("resource %s of stack %s", logical_id, self.name)
            self._add_event(
                logical_id, definition["Type"], f"{verb}_FAILED", before.physical_id if before else "", reason
            )
            raise ResourceError(
                f"The following resource(s) failed to {verb.lower()}: [{logical_id}]. {reason}"
            ) from error
        after = DeployedResource(
            logical_id,
            definition["Type"],
            created.physical_id,
            created.attributes,
            properties,
            policy,
            self.tags,
            f"{verb}_COMPLETE",
        )
        undo.append(_Undo(logical_id, before, after))
        self.resources[logical_id] = after
        if created.warning is not None:
            _logger.warning("%s", created.warning)
        self._add_event(logical_id, after.type, f"{verb}_COMPLETE", after.physical_id, created.warning)

    def _clean_up(self, template: Template, steps: list[_Undo]) -> None:
        """Delete what the update replaced or removed; what cannot be deleted stays, as on AWS."""
        removed = [resource for name, resource in self.resources.items() if name not in template.resources]
        for resource in reversed(removed):
            if self._delete_resource(resource):
                del self.resources[resource.logical_id]
        for step in reversed(steps):
            if step.before is not None and step.before.physical_id != step.after.physical_id:
                self._delete_resource(step.before)

    def _fail(self, verb: str, reason: str, undo: list[_Undo], disable_rollback: bool) -> None:
        if disable_rollback:
            self._set_status(f"{verb}_FAILED", reason)
            return
        prefix = "UPDATE_" if verb == "UPDATE" else ""
        self._set_status(f"{prefix}ROLLBACK_IN_PROGRESS", reason)
        self._roll_back(prefix, reason, undo)

    def _roll_back(self, prefix: str, reason: str, steps: list[_Undo]) -> None:
        self.tags = self._tags_before
        self._pending = [step for step in reversed(steps) if not self._take_back(step)][::-1]
        self._set_status(f"{prefix}ROLLBACK_{'FAILED' if self._pending else 'COMPLETE'}", reason)

    def _take_back(self, step: _Undo) -> bool:
        before, after = step.before, step.after
        if before is not None and before.physical_id == after.physical_id:
            return self._restore(before, after)
        deleted = self._delete_resource(after, created_just_now=True)
        if before is not None:
            self.resources[step.logical_id] = before
        elif deleted:
            self.resources.pop(step.logical_id, None)
        return deleted

    def _restore(self, before: DeployedResource, after: DeployedResource) -> bool:
        request = ResourceRequest(
            self.name, self.stack_id, before.logical_id, before.type, before.properties, self.tags
        )
        self.resources[before.logical_id] = before
        try:
            resource_type(before.type).update(request, after.physical_id, after.properties)
        except Exception as error:
            self._add_event(
                before.logical_id, before.type, "UPDATE_FAILED", before.physical_id, _reason(error)
            )
            return False
        self._add_event(before.logical_id, before.type, "UPDATE_COMPLETE", before.physical_id)
        return True

    def _delete(self) -> None:
        try:
            self._check_exports([])
        except ResourceError as error:
            self._set_status("DELETE_FAILED", str(error))
            return
        for resource in list(reversed(self.resources.values())):
            if not self._delete_resource(resource):
                # What is left may be needed by it.
                reason = f"The following resource(s) failed to delete: [{resource.logical_id}]."
                self._set_status("DELETE_FAILED", reason)
                return
            del self.resources[resource.logical_id]
        self.outputs = []
        self.imports = set()
        self._set_status("DELETE_COMPLETE")

    def _check_exports(self, outputs: Sequence[Mapping[str, Any]]) -> None:
        """Refuse outputs without an export, or with another value of it, that some other stack imports."""
        after = {output["ExportName"]: output["OutputValue"] for output in outputs if "ExportName" in output}
        own = {output.get("ExportName") for output in self.outputs}
        if taken := sorted(after.keys() & self._exports().keys() - own):
            raise ResourceError(f"Export with name {taken[0]} is already exported by another stack.")
        for output in self.outputs:
            name = output.get("ExportName")
            if name is None or after.get(name) == output["OutputValue"]:
                continue
            if users := sorted(set(self._importers(name)) - {self.name}):
                verb = "updated" if name in after else "deleted"
                raise ResourceError(f"Export {name} cannot be {verb} as it is in use by {', '.join(users)}")

    def _delete_resource(self, resource: DeployedResource, *, created_just_now: bool = False) -> bool:
        """Delete a resource unless its policy says that it stays; return False if it cannot be deleted."""
        name, kind, physical_id = resource.logical_id, resource.type, resource.physical_id
        if resource.deletion_policy == "Retain" or (
            resource.deletion_policy == "RetainExceptOnCreate" and not created_just_now
        ):
            self._add_event(name, kind, "DELETE_SKIPPED", physical_id)
            return True
        self._add_event(name, kind, "DELETE_IN_PROGRESS", physical_id)
        request = ResourceRequest(self.name, self.stack_id, name, kind, resource.properties, self.tags)
        try:
            resource_type(kind).delete(request, physical_id)
        except Exception as error:
            if not isinstance(error, ResourceError | ClientError):
                _logger.exception("resource %s of stack %s", name, self.name)
            self._add_event(name, kind, "DELETE_FAILED", physical_id, _reason(error))
            return False
        self._add_event(name, kind, "DELETE_COMPLETE", physical_id)
        return True

    def _look_up(self, logical_id: str, attribute: str | None) -> Any:
        resource = self.resources.get(logical_id)
        if resource is None:
            raise TemplateError(f"Template error: unresolved resource dependency [{logical_id}]")
        if attribute is None:
            return resource.physical_id
        if attribute in resource.attributes:
            return resource.attributes[attribute]
        raise TemplateError(
            f"Template error: resource {logical_id} does not support attribute type {attribute} in Fn::GetAtt"
        )

    def _import_value(self, name: str) -> Any:
        exports = self._exports()
        if name not in exports:
            raise TemplateError(f"No export named {name} found.")
        self.imports.add(name)
        return exports[name]

    def _set_status(self, status: str, reason: str | None = None) -> None:
        self._add_event(self.name, "AWS::CloudFormation::Stack", status, self.stack_id, reason)
        self.status_reason = reason
        self.status = status  # last: who sees it sees the rest

    def _add_event(
        self, logical_id: str, kind: str, status: str, physical_id: str, reason: str | None = None
    ) -> None:
        event = {
            "StackId": self.stack_id,
            "StackName": self.name,
            "EventId": str(uuid.uuid4()),
            "LogicalResourceId": logical_id,
            "PhysicalResourceId": physical_id,
            "ResourceType": kind,
            "ResourceStatus": status,
            "Timestamp": _now(),
        }
        self.events.append(event | ({"ResourceStatusReason": reason} if reason else {}))


def _reason(error: Exception) -> str:
    if isinstance(error, ClientError):
        return f"{error.response['Error']['Message']} ({error.response['Error']['Code']})"
    return str(error) or type(error).__name__


def _ssm_parameter(name: str) -> str:
    try:
        return str(client("ssm").get_parameter(Name=name)["Parameter"]["Value"])
    except ClientError as error:
        raise TemplateError(
            f"Unable to fetch parameters [{name}] from parameter store for this account."
        ) from error


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
