"""Who calls the local AWS, and whether they may.

Every call of a state machine, function, training job or model server carries the session of its own role;
it is checked against that role's policies, and against bucket policies for S3. The user of the local AWS
and the roles of the CDK CLI may do everything.
"""

import contextlib
import json
import re
import threading
import urllib.parse
from dataclasses import dataclass
from typing import Any

from moto.core.authorization import ActionAuthenticatorMixin
from moto.core.exceptions import JsonRESTError, _RESTError
from moto.iam.access_control import PermissionResult
from moto.iam.exceptions import NotFoundException
from moto.iam.models import IAMBackend, iam_backends
from moto.s3.exceptions import S3ClientError
from moto.s3.models import FakeBucket, s3_backends
from moto.sts.models import sts_backends

from cdk_sagemaker_pytorch.local.base.moto_parts import replace
from cdk_sagemaker_pytorch.local.base.server_state import Credentials, settings

from .policy import PolicyDocument, PolicyRequest, is_allowed
from .requests import ApiCall, required_permissions

_CREDENTIAL = re.compile(r"Credential=([^/]+)/\d+/[^/]+/([^/]+)/aws4_request")
#: The roles of `cdk bootstrap`; the CDK CLI acts for the user.
_CDK_ROLE_PREFIX = "cdk-"

_sessions: dict[tuple[str, str, str], Credentials] = {}
_service_key_ids: set[str] = set()
_sessions_lock = threading.Lock()


class AccessDeniedError(Exception):
    """A call that its caller's policies do not allow."""


class RoleError(Exception):
    """A role that does not exist or that a service may not assume."""


@dataclass(frozen=True)
class Caller:
    """Who calls: `role_name` is None for the user, who may do everything."""

    arn: str
    role_name: str | None


def install() -> None:
    """Let moto ask here whether a call is allowed."""
    replace(ActionAuthenticatorMixin, "_authenticate_and_authorize_normal_action", _check_call)
    replace(ActionAuthenticatorMixin, "_authenticate_and_authorize_s3_action", _check_s3_call)
    # Bucket policies are evaluated here; moto takes a condition that it does not know for met.
    replace(FakeBucket, "get_permission", lambda bucket, action, resource: PermissionResult.NEUTRAL)


def role_credentials(role_arn: str, *, service: str, session_name: str) -> Credentials:
    """Return keys of a session of a role, as a service gets them.

    Parameters
    ----------
    role_arn
        The role to assume.
    service
        Principal that assumes it, for example `sagemaker.amazonaws.com`.
    session_name
        Name that shows in error messages as the last part of the caller's ARN.

    Raises
    ------
    RoleError
        If there is no such role, or its trust policy does not let the service assume it.
    """
    try:
        role = _iam().get_role_by_arn(role_arn)
    except NotFoundException:
        raise RoleError(f"the role {role_arn} does not exist") from None
    if settings().enforce_iam and not _trusts(json.loads(role.assume_role_policy_document), service):
        raise RoleError(f"{service} is not allowed to assume the role {role_arn} by its trust policy")
    key = (role_arn, service, session_name)
    with _sessions_lock:
        if key not in _sessions:
            session = sts_backends[settings().account]["aws"].assume_role(
                region_name=settings().region,
                role_session_name=session_name,
                role_arn=role_arn,
                policy="",
                duration=43_200,
                external_id="",
            )
            _sessions[key] = Credentials(
                session.access_key_id, session.secret_access_key, session.session_token
            )
            _service_key_ids.add(session.access_key_id)
        return _sessions[key]


def is_of_service(access_key_id: str) -> bool:
    """Return whether a key is of a session that a service has, and renews on AWS before it expires."""
    with _sessions_lock:
        return access_key_id in _service_key_ids


def _trusts(document: PolicyDocument, service: str) -> bool:
    name, _, suffix = service.partition(".")
    return any(
        is_allowed(
            [_without_source_arn(document)],
            PolicyRequest(action="sts:AssumeRole", principal=principal, context=_base_context(service)),
        )
        for principal in (service, f"{name}.{settings().region}.{suffix}")
    )


def _without_source_arn(document: PolicyDocument) -> PolicyDocument:
    """Leave out conditions on aws:SourceArn: which machine or job assumes a role is not known here."""
    statements = [
        statement
        | {
            "Condition": {
                operator: {key: value for key, value in keys.items() if key.lower() != "aws:sourcearn"}
                for operator, keys in statement.get("Condition", {}).items()
            }
        }
        for statement in document["Statement"]
    ]
    return {"Statement": statements}


def authorize(call: ApiCall, caller: Caller) -> None:
    """Raise AccessDeniedError unless the caller may make this call."""
    if caller.role_name is None or not settings().enforce_iam:
        return
    policies = _role_policies(caller.role_name)
    for permission in required_permissions(call):
        request = PolicyRequest(
            action=permission.action,
            resource=permission.resource,
            context=_base_context(caller.arn) | permission.context,
            principal=_role_arn(caller.role_name),
        )
        bucket_policy = _bucket_policy(permission.resource)
        if not _is_allowed_by(policies, bucket_policy, request):
            raise AccessDeniedError(
                f"User: {caller.arn} is not authorized to perform: {permission.action} on resource: "
                f"{permission.resource or '*'} because no identity-based policy allows the "
                f"{permission.action} action"
            )


def caller_of(authorization: str) -> Caller:
    """Return who sent a request, by its Authorization header, which `authenticate` has verified.

    Raises
    ------
    AccessDeniedError
        If it is not signed, or by a key that is not known any more.
    """
    match = _CREDENTIAL.search(authorization)
    if match is None:
        raise AccessDeniedError("The request is not signed.")
    if match[1] == settings().user.access_key_id:
        return Caller(f"arn:aws:iam::{settings().account}:user/local", None)
    session = sts_backends[settings().account]["aws"].get_assumed_role_from_access_key(match[1])
    if session is None:
        raise AccessDeniedError("The security token included in the request is invalid.")
    name = session.role_arn.split("/")[-1]
    return Caller(session.arn, None if name.startswith(_CDK_ROLE_PREFIX) else name)


def signing_service(authorization: str) -> str:
    """Return the service that a request is signed for, or an empty string."""
    match = _CREDENTIAL.search(authorization)
    return match[2] if match else ""


def _check_call(response: Any, resource: str = "*") -> None:
    """Stand in for moto's check of every service but S3."""
    if not settings().enforce_iam:
        return
    authorization = response.headers.get("Authorization", "")
    service = signing_service(authorization)
    action = response._get_action()
    call = ApiCall(service, action or "", _parameters(response), path=urllib.parse.unquote(response.path))
    try:
        authorize(call, caller_of(authorization))
    except AccessDeniedError as error:
        raise _denial(response, str(error)) from error


def _check_s3_call(response: Any, bucket_name: str | None = None, key_name: str | None = None) -> None:
    """Stand in for moto's check of S3."""
    if not settings().enforce_iam:
        return
    query = {name: str(values[0]) for name, values in response.querystring.items() if values}
    call = ApiCall(
        "s3",
        response._get_action(),
        {"Bucket": bucket_name, "Key": key_name, "Prefix": query.get("prefix", "")},
    )
    try:
        authorize(call, caller_of(response.headers.get("Authorization", "")))
    except AccessDeniedError as error:
        raise S3ClientError("AccessDenied", str(error)) from error


def _denial(response: Any, message: str) -> Exception:
    """Return the error in the form that the service's protocol has."""
    denial: _RESTError
    if "Action" in response.querystring:  # the query protocol, in XML
        denial = _RESTError("AccessDenied", message)
        denial.code = 403
    else:
        denial = JsonRESTError("AccessDeniedException", message)
        denial.code = 400 if response.path == "/" else 403  # JSON and REST-JSON differ
    return denial


def _parameters(response: Any) -> dict[str, Any]:
    if getattr(response, "params", None):
        return dict(response.params)
    with contextlib.suppress(ValueError, TypeError):
        body = json.loads(response.body)
        if isinstance(body, dict):
            return body
    return {
        name: values[0]
        for name, values in response.querystring.items()
        if isinstance(values, list) and values
    }


def _is_allowed_by(
    identity: list[PolicyDocument], bucket_policy: PolicyDocument | None, request: PolicyRequest
) -> bool:
    """Within one account either side may allow, and a deny of either side wins."""
    if bucket_policy is None:
        return is_allowed(identity, request)
    return is_allowed([*identity, bucket_policy], request)


def _role_policies(role_name: str) -> list[PolicyDocument]:
    try:
        role = _iam().get_role(role_name)
    except NotFoundException:
        return []
    inline = [json.loads(document) for document in role.policies.values()]
    attached = [
        json.loads(version.document)
        for policy in role.managed_policies.values()
        for version in policy.versions
        if version.is_default
    ]
    return inline + attached


def _bucket_policy(resource: str | None) -> PolicyDocument | None:
    if resource is None or not resource.startswith("arn:aws:s3:::"):
        return None
    bucket = s3_backends[settings().account]["aws"].buckets.get(
        resource[len("arn:aws:s3:::") :].split("/")[0]
    )
    if bucket is None or not bucket.policy:
        return None
    document: PolicyDocument = json.loads(bucket.policy)
    return document


def _role_arn(role_name: str) -> str:
    with contextlib.suppress(NotFoundException):
        return str(_iam().get_role(role_name).arn)
    return f"arn:aws:iam::{settings().account}:role/{role_name}"


def _base_context(principal_arn: str) -> dict[str, list[str]]:
    return {
        "aws:PrincipalArn": [principal_arn],
        "aws:PrincipalAccount": [settings().account],
        "aws:SourceAccount": [settings().account],
        "aws:RequestedRegion": [settings().region],
        # Nothing leaves this machine, so that policies which insist on TLS hold.
        "aws:SecureTransport": ["true"],
    }


def _iam() -> IAMBackend:
    return iam_backends[settings().account]["aws"]
