"""How large policies may be: a role with too many grants cannot be deployed on AWS."""

import re
from collections.abc import Callable
from typing import Any

from moto.iam.exceptions import LimitExceededException
from moto.iam.models import IAMBackend

from cdk_sagemaker_pytorch.local.base.moto_parts import wrap

# "IAM and AWS STS quotas": all inline policies of a role, and one managed policy, without white space.
_MOST_OF_A_ROLE = 10_240
_MOST_OF_A_MANAGED_POLICY = 6_144


def install() -> None:
    """Let policies that are too large be refused."""
    wrap(IAMBackend, "put_role_policy", _put_role_policy)
    wrap(IAMBackend, "create_policy", _create_policy)
    wrap(IAMBackend, "create_policy_version", _create_policy_version)


def _put_role_policy(
    moto_method: Callable[..., None], backend: IAMBackend, role_name: str, policy_name: str, policy_json: str
) -> None:
    policies = {**backend.get_role(role_name).policies, policy_name: policy_json}
    if sum(map(_size, policies.values())) > _MOST_OF_A_ROLE:
        raise LimitExceededException(
            f"Maximum policy size of {_MOST_OF_A_ROLE} bytes exceeded for role {role_name}"
        )
    moto_method(backend, role_name, policy_name, policy_json)


def _create_policy(
    moto_method: Callable[..., Any],
    backend: IAMBackend,
    description: str,
    path: str,
    policy_document: str,
    *arguments: Any,
    **options: Any,
) -> Any:
    _check_managed(policy_document)
    return moto_method(backend, description, path, policy_document, *arguments, **options)


def _create_policy_version(
    moto_method: Callable[..., Any],
    backend: IAMBackend,
    policy_arn: str,
    policy_document: str,
    *arguments: Any,
    **options: Any,
) -> Any:
    _check_managed(policy_document)
    return moto_method(backend, policy_arn, policy_document, *arguments, **options)


def _check_managed(policy_document: str) -> None:
    if _size(policy_document) > _MOST_OF_A_MANAGED_POLICY:
        raise LimitExceededException(f"Cannot exceed quota for PolicySize: {_MOST_OF_A_MANAGED_POLICY}")


def _size(policy: str) -> int:
    return len(re.sub(r"\s", "", policy))
