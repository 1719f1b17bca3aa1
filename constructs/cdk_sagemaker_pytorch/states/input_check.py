"""How the input of an execution is checked before anything starts, with all that is wrong at once."""

from collections.abc import Iterable, Sequence

from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from . import jsonata

__all__ = ["all_problems", "check_input", "not_matching", "unknown_members"]

# What Step Functions itself adds where one execution starts another, and what its console does.
_LET_THROUGH = ("AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID", "Comment")


def check_input(scope: Construct, problems: str, understood: sfn.IChainable, outputs: str) -> sfn.Choice:
    """Make the states that refuse an input that is not understood.

    Parameters
    ----------
    scope : Construct
        Where they live.
    problems : str
        JSONata of what is wrong with the input: a text, empty when nothing is; see `all_problems`.
    understood : sfn.IChainable
        What follows otherwise.
    outputs : str
        JSONata of what that is given.
    """
    refused = sfn.Fail.jsonata(scope, "Input refused", error="InputRefused", cause=jsonata.evaluate(problems))
    return (
        sfn.Choice.jsonata(scope, "Input understood?")
        .when(
            sfn.Condition.jsonata(jsonata.evaluate(f"{problems} = ''")),
            understood,
            outputs=jsonata.evaluate(outputs),
        )
        .otherwise(refused)
    )


def all_problems(given: str, checks: Iterable[str], definitions: str = "") -> str:
    """Write JSONata of what is wrong with an input: a text, empty when nothing is.

    Parameters
    ----------
    given : str
        Path of the input.
    checks : iterable of str
        JSONata of the form ``condition ? text``, without the other branch. It may read the input as ``$in``
        and ask whether a value is there with ``$given``; null counts as absent.
    definitions : str, optional
        Further JSONata that defines functions for the checks. Defaults to none.
    """
    texts = ", ".join(f"({check} : '')" for check in checks)
    return (
        f"($in := {given};"
        " $given := function($value) {$exists($value) and $value != null};"
        f"{definitions}"
        " $type($in) != 'object' ? 'the input must be an object'"
        f" : ($found := [{texts}][$ != '']; $exists($found) ? $join($found, '; ') : ''))"
    )


def unknown_members(known: Sequence[str], takes: str) -> str:
    """Write the check for members that nobody knows.

    Parameters
    ----------
    known : sequence of str
        The members that there are.
    takes : str
        What an execution takes, for the message.
    """
    return (
        f"$unknown := $keys($in)[$not($ in {jsonata.literal([*known, *_LET_THROUGH])})];"
        f" $exists($unknown) ? 'unknown ' & $join($unknown, ', ') & ': an execution takes {takes}'"
    )


def not_matching(name: str, pattern: str, words: str) -> str:
    """Write the check for a member that is no text of some form.

    Parameters
    ----------
    name : str
        The member.
    pattern : str
        Regular expression of the form.
    words : str
        What it must be, for the message.
    """
    return (
        f"$given($in.{name}) and $not($type($in.{name}) = 'string'"
        f" and $contains($string($in.{name}), /{pattern}/)) ? '{name} must be {words}'"
    )
