"""Names of what a state machine makes at run time."""

import hashlib

from aws_cdk import Names
from constructs import Construct

__all__ = [
    "ENTRY_SUFFIX",
    "RUN_PATTERN",
    "RUN_SUFFIX",
    "RUN_SUFFIX_PATTERN",
    "name_prefix",
    "version_prefix",
]

# SageMaker allows 63 characters: prefix, dash, 14 digits, dash, 8 hex digits.
_LONGEST_PREFIX = 63 - 24

_START = "$replace($substring($states.context.Execution.StartTime, 0, 19), /[^0-9]/, '')"
_RUN = "$states.context.Execution.Id & $string($states.context.Execution.RedriveCount)"
_ENTRY = (
    f"{_RUN} & $states.context.State.EnteredTime"
    " & ($exists($states.context.Map) ? $string($states.context.Map.Item.Index) : '')"
)

RUN_SUFFIX = f"{_START} & '-' & $substring($hash({_RUN}, 'MD5'), 0, 8)"
"""JSONata: the start of the execution to the second, and eight hex digits of its identity.

A redrive counts as another identity, for the training job of the first try keeps its name.
"""

ENTRY_SUFFIX = f"{_START} & '-' & $substring($hash({_ENTRY}, 'MD5'), 0, 8)"
"""JSONata: as `RUN_SUFFIX`, but another one each time that a state is entered: in a Map, a loop, or again.

The retries of one entry share it, so that the call whose answer was lost is not made a second job.
"""

RUN_PATTERN = f"{'?' * 14}-{'?' * 8}"
"""What `RUN_SUFFIX` looks like, for the resources of IAM policies."""

RUN_SUFFIX_PATTERN = "[0-9]{14}-[0-9a-f]{8}"
"""The same as a regular expression."""


def name_prefix(scope: Construct) -> str:
    """Prefix for the names of what `scope` makes at run time: unique in an account and region.

    It is in lower case, as SageMaker writes its ARNs.

    Parameters
    ----------
    scope : Construct
        The construct that owns them.
    """
    return Names.unique_resource_name(scope, max_length=_LONGEST_PREFIX, separator="-").lower()


def version_prefix(endpoint_name: str) -> str:
    """Prefix for the names of an endpoint's versions: the endpoint's own name, shortened where it is long.

    Parameters
    ----------
    endpoint_name : str
        Up to 63 lower-case letters, digits and dashes.
    """
    if len(endpoint_name) <= _LONGEST_PREFIX:
        return endpoint_name
    digest = hashlib.sha256(endpoint_name.encode()).hexdigest()[:8]
    return f"{endpoint_name[: _LONGEST_PREFIX - 9].rstrip('-')}-{digest}"
