"""CloudFormation resources of Lambda and Step Functions."""

import io
import json
import time
import zipfile
from collections.abc import Mapping
from typing import Any

from moto.awslambda.utils import get_backend

from cdk_sagemaker_pytorch.local.base.server_state import client, settings

from .resource_type import Created, ResourceRequest, ResourceType, changed, ignoring

_POLL_SECONDS = 0.1
# Properties that CreateFunction and UpdateFunctionConfiguration take as they are.
_CONFIGURATION = (
    "Description",
    "Environment",
    "Handler",
    "Layers",
    "MemorySize",
    "Role",
    "Runtime",
    "Timeout",
)


class Function(ResourceType):
    """`AWS::Lambda::Function`."""

    type_name = "AWS::Lambda::Function"

    def needs_replacement(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
        """See `ResourceType`."""
        return changed(before, after, "FunctionName")

    def create(self, request: ResourceRequest) -> Created:
        """See `ResourceType`."""
        properties = request.properties
        name = properties.get("FunctionName") or request.generated_name()
        client("lambda").create_function(
            FunctionName=name,
            Code=_code(properties),
            Architectures=properties.get("Architectures", ["x86_64"]),
            Tags={tag["Key"]: tag["Value"] for tag in request.tags},
            **_configuration(properties),
        )
        return self._created(name, properties)

    def update(self, request: ResourceRequest, physical_id: str, before: Mapping[str, Any]) -> Created:
        """See `ResourceType`."""
        properties = request.properties
        if changed(before, properties, "Code"):
            client("lambda").update_function_code(FunctionName=physical_id, **_code(properties))
        configuration = {"Environment": {"Variables": {}}, "Layers": [], "Description": ""}
        client("lambda").update_function_configuration(
            FunctionName=physical_id, **(configuration | _configuration(properties))
        )
        return self._created(physical_id, properties)

    def delete(self, request: ResourceRequest, physical_id: str) -> None:
        """See `ResourceType`."""
        with ignoring("ResourceNotFoundException"):
            client("lambda").delete_function(FunctionName=physical_id)

    def _created(self, name: str, properties: Mapping[str, Any]) -> Created:
        function = get_backend(settings().account, settings().region).get_function(name)
        # moto does not know LoggingConfig.
        log_group = (properties.get("LoggingConfig") or {}).get("LogGroup")
        function.logs_group_name = log_group or f"/aws/lambda/{name}"
        return Created(name, {"Arn": str(function.function_arn)})


class LayerVersion(ResourceType):
    """`AWS::Lambda::LayerVersion`; every change makes a new one."""

    type_name = "AWS::Lambda::LayerVersion"

    def create(self, request: ResourceRequest) -> Created:
        """See `ResourceType`."""
        properties = dict(request.properties)
        name = properties.pop("LayerName", None) or request.generated_name()
        arn = client("lambda").publish_layer_version(LayerName=name, **properties)["LayerVersionArn"]
        return Created(arn, {"LayerVersionArn": arn})

    def delete(self, request: ResourceRequest, physical_id: str) -> None:
        """See `ResourceType`."""
        layer, _, version = physical_id.rpartition(":")
        with ignoring("ResourceNotFoundException"):
            client("lambda").delete_layer_version(LayerName=layer, VersionNumber=int(version))


class Permission(ResourceType):
    """`AWS::Lambda::Permission`; every change makes a new one."""

    type_name = "AWS::Lambda::Permission"

    def create(self, request: ResourceRequest) -> Created:
        """See `ResourceType`."""
        statement_id = request.generated_name(100)
        client("lambda").add_permission(StatementId=statement_id, **request.properties)
        return Created(statement_id, {"Id": statement_id})

    def delete(self, request: ResourceRequest, physical_id: str) -> None:
        """See `ResourceType`."""
        with ignoring("ResourceNotFoundException"):
            function = request.properties["FunctionName"]
            client("lambda").remove_permission(FunctionName=function, StatementId=physical_id)


class StateMachine(ResourceType):
    """`AWS::StepFunctions::StateMachine`."""

    type_name = "AWS::StepFunctions::StateMachine"

    def needs_replacement(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
        """See `ResourceType`."""
        return changed(before, after, "StateMachineName", "StateMachineType")

    def create(self, request: ResourceRequest) -> Created:
        """See `ResourceType`."""
        properties = request.properties
        name = properties.get("StateMachineName") or request.generated_name(80)
        arn = client("stepfunctions").create_state_machine(
            name=name,
            definition=_definition(properties),
            roleArn=properties["RoleArn"],
            type=properties.get("StateMachineType", "STANDARD"),
            tags=[{"key": tag["Key"], "value": tag["Value"]} for tag in request.tags],
        )["stateMachineArn"]
        return Created(arn, {"Arn": arn, "Name": name, "StateMachineRevisionId": "INITIAL"})

    def update(self, request: ResourceRequest, physical_id: str, before: Mapping[str, Any]) -> Created:
        """See `ResourceType`."""
        client("stepfunctions").update_state_machine(
            stateMachineArn=physical_id,
            definition=_definition(request.properties),
            roleArn=request.properties["RoleArn"],
        )
        return Created(physical_id, {"Arn": physical_id, "Name": physical_id.split(":")[-1]})

    def delete(self, request: ResourceRequest, physical_id: str) -> None:
        """See `ResourceType`."""
        client("stepfunctions").delete_state_machine(stateMachineArn=physical_id)
        with ignoring("StateMachineDoesNotExist"):
            while client("stepfunctions").describe_state_machine(stateMachineArn=physical_id):
                time.sleep(_POLL_SECONDS)  # its executions are being stopped


def _configuration(properties: Mapping[str, Any]) -> dict[str, Any]:
    configuration = {name: properties[name] for name in _CONFIGURATION if name in properties}
    for name in ("MemorySize", "Timeout"):
        if name in configuration:
            configuration[name] = int(configuration[name])
    return configuration


def _code(properties: Mapping[str, Any]) -> dict[str, Any]:
    code = dict(properties["Code"])
    if "ZipFile" in code:  # the source itself
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as content:
            content.writestr("index.py", code["ZipFile"])
            content.writestr("cfnresponse.py", _CFNRESPONSE)
        code["ZipFile"] = archive.getvalue()
    return code


def _definition(properties: Mapping[str, Any]) -> str:
    if location := properties.get("DefinitionS3Location"):
        found = client("s3").get_object(Bucket=location["Bucket"], Key=location["Key"])
        definition = found["Body"].read().decode()
    elif "DefinitionString" in properties:
        definition = properties["DefinitionString"]
    else:
        definition = json.dumps(properties["Definition"])
    for name, value in (properties.get("DefinitionSubstitutions") or {}).items():
        definition = definition.replace(f"${{{name}}}", str(value))
    return str(definition)


# The module that Lambda puts beside inline code.
_CFNRESPONSE = """\
import json
import urllib.request

SUCCESS = "SUCCESS"
FAILED = "FAILED"


def send(event, context, responseStatus, responseData, physicalResourceId=None, noEcho=False, reason=None):
    answer = {
        "Status": responseStatus,
        "Reason": reason or "See the details in CloudWatch Log Stream: " + context.log_stream_name,
        "PhysicalResourceId": physicalResourceId or context.log_stream_name,
        "StackId": event["StackId"],
        "RequestId": event["RequestId"],
        "LogicalResourceId": event["LogicalResourceId"],
        "NoEcho": noEcho,
        "Data": responseData,
    }
    request = urllib.request.Request(
        event["ResponseURL"], json.dumps(answer).encode(), {"Content-Type": ""}, method="PUT"
    )
    urllib.request.urlopen(request)
"""
