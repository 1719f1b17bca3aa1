"""What an execution of a deployment may be given, and what is wrong with it."""

from cdk_sagemaker_pytorch.common.api_limits import API_LIMITS
from cdk_sagemaker_pytorch.states.jsonata import literal
from cdk_sagemaker_pytorch.states.names import RUN_SUFFIX_PATTERN

__all__ = ["deployment_input_problems"]

_WHAT = ("model_data", "training_job_name", "roll_back")
_KNOWN = (*_WHAT, "requested_at", "AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID", "Comment")


def deployment_input_problems(given: str, *, version_prefix: str, compressed: bool) -> str:
    """Write JSONata of what is wrong with an execution's input: a text, empty when nothing is.

    Parameters
    ----------
    given : str
        Path of the input.
    version_prefix : str
        Prefix of the endpoint's versions.
    compressed : bool
        Whether model data is an archive.
    """
    job_name = f"/^{API_LIMITS['TrainingJobName']['pattern']}$/"
    uri = "/^s3:\\/\\/[^\\/]+\\/.*" + ("[^\\/]$/" if compressed else "\\/$/")
    words = "the S3 URI of a model.tar.gz" if compressed else "an S3 URI with a slash at its end"
    checks = (
        (
            f"$unknown := $keys($in)[$not($ in {literal([*_KNOWN])})]; $exists($unknown)"
            f" ? 'unknown ' & $join($unknown, ', ') & ': an execution takes one of {', '.join(_WHAT)},"
            " and requested_at'"
        ),
        (
            f"$count($keys($in)[$ in {literal([*_WHAT])} and $given($lookup($in, $))]) != 1"
            f" ? 'one of {', '.join(_WHAT)} must be given, got '"
            f" & $string($count($keys($in)[$ in {literal([*_WHAT])} and $given($lookup($in, $))]))"
        ),
        _text("training_job_name", job_name, "the name of a training job"),
        _text("model_data", uri, words),
        _text(
            "roll_back",
            f"/^{version_prefix}-{RUN_SUFFIX_PATTERN}$/",
            f"a version such as {version_prefix}-20260131120000-0a1b2c3d",
        ),
        _text(
            "requested_at",
            "/^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z$/",
            "a time such as 2026-01-31T12:00:00.000Z",
        ),
    )
    texts = ", ".join(f"({check} : '')" for check in checks)
    return (
        f"($in := {given};"
        " $given := function($value) {$exists($value) and $value != null};"
        " $type($in) != 'object' ? 'the input must be an object'"
        f" : ($found := [{texts}][$ != '']; $exists($found) ? $join($found, '; ') : ''))"
    )


def _text(name: str, pattern: str, words: str) -> str:
    return (
        f"$given($in.{name}) and $not($type($in.{name}) = 'string' and"
        f" $contains($string($in.{name}), {pattern})) ? '{name} must be {words}'"
    )
