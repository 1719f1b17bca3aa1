"""Removes what a pipeline's executions made: a failed version, superseded versions, or everything.

Events of a state machine
    ``{"action": "remove_version", "endpoint_name", "version"}``: a version that could not be deployed.
    ``{"action": "prune", "endpoint_name", "name_prefix", "retain"}``: all but the newest ``retain``
    superseded versions.
Events of CloudFormation
    A custom resource with ``EndpointName`` and ``NamePrefix``; its deletion removes everything.

The variable ``ARTIFACTS`` holds the S3 prefix of the versions' packaged models; those of removed versions are
marked as superseded.
"""

import os
from typing import Any

import boto3
from artifacts import Artifacts
from cleanup import EndpointCleanup
from cloudformation import answer


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Handle one event; see the module."""
    cleanup = EndpointCleanup(
        boto3.client("sagemaker"),
        Artifacts(boto3.client("s3"), os.environ["ARTIFACTS"]),
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
    """Do what the stack's change asks for, and return the id of the custom resource."""
    properties = event["ResourceProperties"]
    if event["RequestType"] == "Delete":
        cleanup.remove_everything(properties["EndpointName"], properties["NamePrefix"])
    # Another name makes another resource: CloudFormation then deletes the old one, and with it what
    # was made under the old name.
    return f"{properties['EndpointName']}/{properties['NamePrefix']}"
