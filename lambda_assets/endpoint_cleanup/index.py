"""Removes what a pipeline's executions made: a failed version, superseded versions, or everything.

Events of a state machine
    ``{"action": "remove_version", "endpoint_name", "version"}``: a version that could not be deployed.
    ``{"action": "prune", "endpoint_name", "name_prefix", "retain"}``: all but the newest ``retain``
    superseded versions.
Events of CloudFormation
    A custom resource with ``EndpointName``, ``NamePrefix`` and ``RemovalPolicy``. It refuses an endpoint of
    another stack; its deletion removes everything that is this stack's, or, with the policy ``Retain``, lets
    the endpoint go.

The variable ``ARTIFACTS`` holds the S3 prefix of the versions' packaged models; those of removed versions are
marked as superseded.
"""

import os
from typing import Any

import boto3
from artifacts import Artifacts
from botocore.config import Config
from cleanup import EndpointCleanup
from cloudformation import answer

# Throttled calls are tried again for about two minutes.
_PATIENT = Config(retries={"mode": "standard", "total_max_attempts": 10})


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Handle one event; see the module."""
    cleanup = EndpointCleanup(
        boto3.client("sagemaker", config=_PATIENT),
        Artifacts(boto3.client("s3", config=_PATIENT), os.environ["ARTIFACTS"]),
        remaining_seconds=lambda: context.get_remaining_time_in_millis() / 1000,
    )
    if "RequestType" in event:
        return answer(event, lambda: _on_stack_change(cleanup, event))
    if event["action"] == "remove_version":
        return {"removed": cleanup.remove_version(event["endpoint_name"], event["version"])}
    if event["action"] == "prune":
        return {"removed": cleanup.prune(event["endpoint_name"], event["name_prefix"], event["retain"])}
    raise ValueError(f"action must be remove_version or prune, got {event['action']}")


def _on_stack_change(cleanup: EndpointCleanup, event: dict[str, Any]) -> str:
    """Do what the stack's change asks for, and return the id of the custom resource: the endpoint's name."""
    properties, owner = event["ResourceProperties"], event["StackId"]
    endpoint_name: str = properties["EndpointName"]
    if event["RequestType"] == "Create":
        cleanup.claim(endpoint_name, owner)
    elif event["RequestType"] == "Delete" and properties["RemovalPolicy"] == "Delete":
        cleanup.remove_everything(endpoint_name, properties["NamePrefix"], owner)
    elif event["RequestType"] == "Delete":
        cleanup.release(endpoint_name, owner)
    return endpoint_name
