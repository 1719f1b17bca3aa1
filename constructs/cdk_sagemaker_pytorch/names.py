"""Names of what a state machine makes at run time."""

from aws_cdk import Names
from constructs import Construct

__all__ = ["RUN_SUFFIX", "name_prefix"]

# SageMaker allows 63 characters: prefix, dash, 14 digits, dash, 8 hex digits.
_LONGEST_PREFIX = 63 - 24

RUN_SUFFIX = (
    "$replace($substring($states.context.Execution.StartTime, 0, 19), /[^0-9]/, '')"
    " & '-' & $substring($hash($states.context.Execution.Id"
    " & $string($states.context.Execution.RedriveCount), 'MD5'), 0, 8)"
)
"""JSONata: the start of the execution to the second, and eight hex digits of its identity.

A redrive counts as another identity, for the training job of the first try keeps its name.
"""


def name_prefix(scope: Construct) -> str:
    """Prefix for the names of what `scope` makes at run time: unique in an account and region.

    It is in lower case, as SageMaker writes its ARNs.

    Parameters
    ----------
    scope : Construct
        The construct that owns them.
    """
    return Names.unique_resource_name(scope, max_length=_LONGEST_PREFIX, separator="-").lower()
