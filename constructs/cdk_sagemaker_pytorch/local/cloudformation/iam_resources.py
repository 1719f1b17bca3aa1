"""CloudFormation resources of IAM: roles and policies."""

import json
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from cdk_sagemaker_pytorch.local.base.server_state import client

from .resource_type import Created, ResourceRequest, ResourceType, changed, ignoring


class Role(ResourceType):
    """`AWS::IAM::Role`."""

    type_name = "AWS::IAM::Role"

    def needs_replacement(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
        """See `ResourceType`."""
        return changed(before, after, "RoleName", "Path")

    def create(self, request: ResourceRequest) -> Created:
        """See `ResourceType`."""
        properties = request.properties
        name = properties.get("RoleName") or request.generated_name()
        role = client("iam").create_role(
            RoleName=name,
            Path=properties.get("Path", "/"),
            AssumeRolePolicyDocument=json.dumps(properties["AssumeRolePolicyDocument"]),
            Description=properties.get("Description", ""),
        )["Role"]
        try:
            self._put_policies(name, properties)
        except ClientError:
            self.delete(request, name)
            raise
        return Created(name, {"Arn": role["Arn"], "RoleId": role["RoleId"]})

    def update(self, request: ResourceRequest, physical_id: str, before: Mapping[str, Any]) -> Created:
        """See `ResourceType`."""
        properties, iam = request.properties, client("iam")
        iam.update_assume_role_policy(
            RoleName=physical_id, PolicyDocument=json.dumps(properties["AssumeRolePolicyDocument"])
        )
        for policy in before.get("Policies") or []:
            iam.delete_role_policy(RoleName=physical_id, PolicyName=policy["PolicyName"])
        for arn in before.get("ManagedPolicyArns") or []:
            iam.detach_role_policy(RoleName=physical_id, PolicyArn=arn)
        self._put_policies(physical_id, properties)
        role = iam.get_role(RoleName=physical_id)["Role"]
        return Created(physical_id, {"Arn": role["Arn"], "RoleId": role["RoleId"]})

    def delete(self, request: ResourceRequest, physical_id: str) -> None:
        """See `ResourceType`."""
        iam = client("iam")
        with ignoring("NoSuchEntity"):
            for policy in iam.list_role_policies(RoleName=physical_id)["PolicyNames"]:
                iam.delete_role_policy(RoleName=physical_id, PolicyName=policy)
            for attached in iam.list_attached_role_policies(RoleName=physical_id)["AttachedPolicies"]:
                iam.detach_role_policy(RoleName=physical_id, PolicyArn=attached["PolicyArn"])
            iam.delete_role(RoleName=physical_id)

    def _put_policies(self, name: str, properties: Mapping[str, Any]) -> None:
        iam = client("iam")
        for policy in properties.get("Policies") or []:
            iam.put_role_policy(
                RoleName=name,
                PolicyName=policy["PolicyName"],
                PolicyDocument=json.dumps(policy["PolicyDocument"]),
            )
        for arn in properties.get("ManagedPolicyArns") or []:
            iam.attach_role_policy(RoleName=name, PolicyArn=arn)


class InlinePolicy(ResourceType):
    """`AWS::IAM::Policy`; on roles."""

    type_name = "AWS::IAM::Policy"

    def needs_replacement(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
        """See `ResourceType`."""
        return changed(before, after, "PolicyName")

    def create(self, request: ResourceRequest) -> Created:
        """See `ResourceType`."""
        properties = request.properties
        for role in properties.get("Roles") or []:
            client("iam").put_role_policy(
                RoleName=role,
                PolicyName=properties["PolicyName"],
                PolicyDocument=json.dumps(properties["PolicyDocument"]),
            )
        return Created(properties["PolicyName"], {"Id": properties["PolicyName"]})

    def update(self, request: ResourceRequest, physical_id: str, before: Mapping[str, Any]) -> Created:
        """See `ResourceType`."""
        created = self.create(request)
        for role in set(before.get("Roles") or []) - set(request.properties.get("Roles") or []):
            self._remove(role, physical_id)
        return created

    def delete(self, request: ResourceRequest, physical_id: str) -> None:
        """See `ResourceType`."""
        for role in request.properties.get("Roles") or []:
            self._remove(role, physical_id)

    def _remove(self, role: str, policy: str) -> None:
        with ignoring("NoSuchEntity"):
            client("iam").delete_role_policy(RoleName=role, PolicyName=policy)


class ManagedPolicy(ResourceType):
    """`AWS::IAM::ManagedPolicy`; on roles."""

    type_name = "AWS::IAM::ManagedPolicy"

    def create(self, request: ResourceRequest) -> Created:
        """See `ResourceType`."""
        properties, iam = request.properties, client("iam")
        arn = iam.create_policy(
            PolicyName=properties.get("ManagedPolicyName") or request.generated_name(128),
            Path=properties.get("Path", "/"),
            Description=properties.get("Description", ""),
            PolicyDocument=json.dumps(properties["PolicyDocument"]),
        )["Policy"]["Arn"]
        for role in properties.get("Roles") or []:
            iam.attach_role_policy(RoleName=role, PolicyArn=arn)
        return Created(arn, {"PolicyArn": arn})

    def delete(self, request: ResourceRequest, physical_id: str) -> None:
        """See `ResourceType`."""
        iam = client("iam")
        for role in request.properties.get("Roles") or []:
            with ignoring("NoSuchEntity"):
                iam.detach_role_policy(RoleName=role, PolicyArn=physical_id)
        with ignoring("NoSuchEntity"):
            iam.delete_policy(PolicyArn=physical_id)
