"""Which permissions an API call needs: actions, the ARNs they act on, and condition keys.

Known are the services that an app of this library uses. For a call of another service the action is checked
and every resource is taken to match.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from moto.sagemaker.models import sagemaker_backends

from cdk_sagemaker_pytorch.local.base.server_state import settings

from .dynamodb_requests import dynamodb_permissions

# Names that policies use where the name in the signature or in the API differs.
_SERVICE_PREFIXES = {"monitoring": "cloudwatch"}
_ACTION_NAMES = {
    "lambda:Invoke": "lambda:InvokeFunction",
    "lambda:InvokeAsync": "lambda:InvokeFunction",
    "s3:HeadBucket": "s3:ListBucket",
}

# SageMaker: resource type by the parameter that names it.
_SAGEMAKER_RESOURCES = {
    "TrainingJobName": "training-job",
    "ProcessingJobName": "processing-job",
    "ModelName": "model",
    "EndpointConfigName": "endpoint-config",
    "EndpointName": "endpoint",
}
# Step Functions: resource type by the operation that makes it.
_STATES_CREATED = {"CreateStateMachine": "stateMachine", "CreateActivity": "activity"}
# Parameters that hand a role to a service.
_PASSED_ROLES = {
    "sagemaker:CreateTrainingJob": ("RoleArn", "sagemaker.amazonaws.com"),
    "sagemaker:CreateProcessingJob": ("RoleArn", "sagemaker.amazonaws.com"),
    "sagemaker:CreateModel": ("ExecutionRoleArn", "sagemaker.amazonaws.com"),
    "lambda:CreateFunction": ("Role", "lambda.amazonaws.com"),
    "states:CreateStateMachine": ("roleArn", "states.amazonaws.com"),
    "states:UpdateStateMachine": ("roleArn", "states.amazonaws.com"),
}


@dataclass(frozen=True)
class ApiCall:
    """A call as it arrives: service as signed for, operation, parameters, and the path for REST services."""

    service: str
    operation: str
    parameters: Mapping[str, Any]
    path: str = ""


@dataclass(frozen=True)
class Permission:
    """One permission: action, resource ARN (None if not known) and the condition keys of the call."""

    action: str
    resource: str | None
    context: dict[str, list[str]] = field(default_factory=dict)


def required_permissions(call: ApiCall) -> Iterator[Permission]:
    """Yield every permission that the call needs; `sts:GetCallerIdentity` needs none."""
    action = f"{_SERVICE_PREFIXES.get(call.service, call.service)}:{call.operation}"
    action = _ACTION_NAMES.get(action, action)
    if action == "sts:GetCallerIdentity":
        return
    context = _tag_context(call)
    if call.service == "dynamodb":
        for needed, arn, keys in dynamodb_permissions(call.operation, call.parameters):
            yield Permission(needed, arn, context | keys)
        return
    resources = _resources(call)
    for resource in resources:
        yield Permission(action, resource, context | _resource_tags(call.service, resource))
    if call.service == "sagemaker" and call.operation.startswith("Create") and call.parameters.get("Tags"):
        yield Permission("sagemaker:AddTags", resources[0], context)
    if action in _PASSED_ROLES:
        parameter, service = _PASSED_ROLES[action]
        if role := call.parameters.get(parameter):
            yield Permission("iam:PassRole", role, {"iam:PassedToService": [service]})


def _resources(call: ApiCall) -> list[str] | list[None]:
    find = _RESOURCES_BY_SERVICE.get(call.service)
    return (find(call) if find else []) or [None]


def _sagemaker(call: ApiCall) -> list[str]:
    parameters = call.parameters
    if "ResourceArn" in parameters:
        return [parameters["ResourceArn"]]
    if call.operation.startswith("List"):
        return ["*"]
    named = [
        _arn("sagemaker", f"{kind}/{parameters[name]}")
        for name, kind in _SAGEMAKER_RESOURCES.items()
        if name in parameters
    ]
    # What a call creates or changes comes first.
    return sorted(named, key=lambda arn: ":endpoint/" not in arn)


def _s3(call: ApiCall) -> list[str]:
    bucket, key = call.parameters.get("Bucket"), call.parameters.get("Key")
    if not bucket:
        return ["*"]
    return [f"arn:aws:s3:::{bucket}/{key}" if key else f"arn:aws:s3:::{bucket}"]


def _lambda(call: ApiCall) -> list[str]:
    _, _, rest = call.path.partition("/functions/")
    if not rest:
        return ["*"]
    if rest.startswith("arn:"):
        return [rest.split("/")[0]]
    return [_arn("lambda", f"function:{rest.split('/')[0]}")]


def _states(call: ApiCall) -> list[str]:
    for name in ("executionArn", "stateMachineArn", "activityArn", "resourceArn", "mapRunArn"):
        if name in call.parameters:
            return [call.parameters[name]]
    if kind := _STATES_CREATED.get(call.operation):
        return [_arn("states", f"{kind}:{call.parameters.get('name', '')}")]
    return ["*"]


def _events(call: ApiCall) -> list[str]:
    parameters = call.parameters
    if call.operation == "PutEvents":
        buses = [entry.get("EventBusName", "default") for entry in parameters.get("Entries") or []]
        return [bus if bus.startswith("arn:") else _arn("events", f"event-bus/{bus}") for bus in buses]
    rule = parameters.get("Rule") or (parameters.get("Name") if call.operation.endswith("Rule") else None)
    if rule is None:
        return ["*"] if call.operation.startswith("List") else []
    bus = parameters.get("EventBusName", "default").split("/")[-1]
    return [_arn("events", f"rule/{rule}" if bus == "default" else f"rule/{bus}/{rule}")]


def _logs(call: ApiCall) -> list[str]:
    group = call.parameters.get("logGroupName")
    if group is None:
        return ["*"]
    return [_arn("logs", f"log-group:{group}:log-stream:{call.parameters.get('logStreamName', '')}")]


def _ssm(call: ApiCall) -> list[str]:
    names = call.parameters.get("Names") or [call.parameters.get("Name")]
    return [_arn("ssm", f"parameter/{name.lstrip('/')}") for name in names if name]


def _kms(call: ApiCall) -> list[str]:
    key = call.parameters.get("KeyId")
    if key is None:
        return []
    return [key if key.startswith("arn:") else _arn("kms", key if key.startswith("alias/") else f"key/{key}")]


def _iam(call: ApiCall) -> list[str]:
    role = call.parameters.get("RoleName")
    return [f"arn:aws:iam::{settings().account}:role/{role}"] if role else []


def _sts(call: ApiCall) -> list[str]:
    role = call.parameters.get("RoleArn")
    return [role] if role else []


def _cloudwatch(call: ApiCall) -> list[str]:
    return ["*"] if call.operation in ("PutMetricData", "GetMetricData", "GetMetricStatistics") else []


_RESOURCES_BY_SERVICE = {
    "sagemaker": _sagemaker,
    "s3": _s3,
    "lambda": _lambda,
    "states": _states,
    "events": _events,
    "logs": _logs,
    "ssm": _ssm,
    "kms": _kms,
    "iam": _iam,
    "sts": _sts,
    "monitoring": _cloudwatch,
}


def _tag_context(call: ApiCall) -> dict[str, list[str]]:
    context: dict[str, list[str]] = {}
    if call.service == "s3" and call.operation in ("ListBucket", "ListBucketVersions"):
        context["s3:prefix"] = [call.parameters.get("Prefix", "")]
    tags = call.parameters.get("Tags")
    if isinstance(tags, list) and tags:
        context |= {f"aws:RequestTag/{tag['Key']}": [tag["Value"]] for tag in tags}
        context["aws:TagKeys"] = [tag["Key"] for tag in tags]
    return context


def _resource_tags(service: str, resource: str | None) -> dict[str, list[str]]:
    if service != "sagemaker" or not resource or not resource.startswith("arn:"):
        return {}
    backend = sagemaker_backends[settings().account][settings().region]
    kind, _, name = resource.split(":")[-1].partition("/")
    records: dict[str, Any] = {
        "training-job": backend.training_jobs,
        "processing-job": backend.processing_jobs,
        "model": backend._models,
        "endpoint-config": backend.endpoint_configs,
        "endpoint": backend.endpoints,
    }
    record = records.get(kind, {}).get(name)
    return {f"aws:ResourceTag/{tag['Key']}": [tag["Value"]] for tag in record.tags} if record else {}


def _arn(service: str, resource: str) -> str:
    return f"arn:aws:{service}:{settings().region}:{settings().account}:{resource}"
