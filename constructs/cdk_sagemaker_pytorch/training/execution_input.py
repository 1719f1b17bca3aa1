"""What an execution may be given, and how it is told before anything starts what is wrong with it."""

from collections.abc import Collection

from cdk_sagemaker_pytorch.common.api_limits import API_LIMITS
from cdk_sagemaker_pytorch.states.jsonata import literal

__all__ = ["EXECUTION_INPUT", "input_problems"]

EXECUTION_INPUT = ("hyperparameters", "inputs", "training_job_name")
"""Members of an execution's input; null counts as absent."""

# What Step Functions itself adds where one execution starts another, and what its console does.
_LET_THROUGH = ("AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID", "Comment")


def input_problems(
    given: str,
    *,
    hyperparameters: Collection[str],
    own_hyperparameters: int,
    channels: Collection[str],
    own_channels: Collection[str] = (),
) -> str:
    """Write JSONata of what is wrong with an execution's input: a text, empty when nothing is.

    Parameters
    ----------
    given : str
        Path of the input.
    hyperparameters : collection of str
        Names of the construct's own hyperparameters.
    own_hyperparameters : int
        How many the library adds.
    channels : collection of str
        Names of the construct's own channels. Without any an execution can give none either.
    own_channels : collection of str, optional
        Names of channels that the library adds. Defaults to none.
    """
    most = API_LIMITS["HyperParameters"]["max"] - own_hyperparameters
    names = literal(dict.fromkeys(hyperparameters, ""))
    known_channels = literal(dict.fromkeys([*channels, *own_channels], ""))
    job_name, channel_name = API_LIMITS["TrainingJobName"], API_LIMITS["ChannelName"]
    members = ", ".join(EXECUTION_INPUT)
    checks = [
        (
            f"$unknown := $keys($in)[$not($ in {literal([*EXECUTION_INPUT, *_LET_THROUGH])})];"
            " $exists($unknown)"
            f" ? 'unknown ' & $join($unknown, ', ') & ': an execution takes {members}'"
        ),
        (
            "$given($in.hyperparameters) and $type($in.hyperparameters) != 'object'"
            " ? 'hyperparameters must be an object from name to value'"
        ),
        (
            "$wrong := $names($in.hyperparameters)[$contains($, /^sagemaker_/)]; $exists($wrong)"
            " ? 'hyperparameters beginning with sagemaker_ belong to the container, got '"
            " & $join($wrong, ', ')"
        ),
        _too_long("$in.hyperparameters"),
        (
            f"$count($keys($merge([{names}, $object($in.hyperparameters)]))) > {most}"
            f" ? 'hyperparameters must be at most {most} with those of the training job'"
        ),
        (
            "$given($in.inputs) and $type($in.inputs) != 'object'"
            " ? 'inputs must be an object from channel name to S3 URI'"
        ),
    ]
    if channels:
        checks += [
            (
                "$wrong := $names($in.inputs)[$not($type($lookup($in.inputs, $)) = 'string'"
                " and $contains($string($lookup($in.inputs, $)), /^s3:\\/\\/[^\\/]/))]; $exists($wrong)"
                " ? 'inputs must be S3 URIs such as s3://bucket/train/, got another for '"
                " & $join($wrong, ', ')"
            ),
            (
                f"$wrong := $names($in.inputs)[$not($contains($, /^{channel_name['pattern']}$/)"
                f" and $length($) <= {channel_name['max']})]; $exists($wrong)"
                " ? 'inputs must have names of letters, digits, dots, dashes and underscores, got '"
                " & $join($wrong, ', ')"
            ),
            (
                f"$count($keys($merge([{known_channels}, $object($in.inputs)])))"
                f" > {API_LIMITS['InputDataConfig']['max']}"
                f" ? 'inputs must be at most {API_LIMITS['InputDataConfig']['max']} channels"
                " with those of the training job'"
            ),
        ]
        checks += [
            f"$exists($lookup($object($in.inputs), '{name}'))"
            f" ? 'inputs must have another name than {name}, the channel of the source code'"
            for name in own_channels
        ]
    else:
        checks.append(
            "$given($in.inputs) ? 'inputs must be left out, for the training job declares no channel'"
        )
    checks += [
        (
            "$given($in.training_job_name) and $not($type($in.training_job_name) = 'string'"
            f" and $contains($string($in.training_job_name), /^{job_name['pattern']}$/))"
            " ? 'training_job_name must be the name of a training job'"
        ),
        (
            "$given($in.training_job_name) and ($given($in.hyperparameters) or $given($in.inputs))"
            " ? 'training_job_name is of a job that has been trained: leave out hyperparameters and inputs'"
        ),
    ]
    texts = ", ".join(f"({check} : '')" for check in checks)
    return (
        f"($in := {given};"
        " $given := function($value) {$exists($value) and $value != null};"
        " $object := function($value) {$type($value) = 'object' ? $value : {}};"
        " $names := function($value) {$keys($object($value))};"
        " $type($in) != 'object' ? 'the input must be an object'"
        f" : ($found := [{texts}][$ != '']; $exists($found) ? $join($found, '; ') : ''))"
    )


def _too_long(path: str) -> str:
    key, value = API_LIMITS["HyperParameterKey"]["max"], API_LIMITS["HyperParameterValue"]["max"]
    return (
        f"$wrong := $names({path})[$length($) > {key} or $length($string($lookup({path}, $))) > {value}];"
        f" $exists($wrong) ? 'hyperparameters must have names of up to {key} characters and values of up to"
        f" {value} as JSON, got a longer one for ' & $join($wrong.$substring($, 0, 40), ', ')"
    )
