"""What an execution may be given, and how it is told before anything starts what is wrong with it."""

from collections.abc import Collection, Iterator

from cdk_sagemaker_pytorch.common.api_limits import API_LIMITS
from cdk_sagemaker_pytorch.states.input_check import all_problems, not_matching, unknown_members
from cdk_sagemaker_pytorch.states.jsonata import literal

__all__ = ["EXECUTION_INPUT", "input_problems", "named_training_job"]

EXECUTION_INPUT = ("hyperparameters", "inputs", "training_job_name", "resume_from")
"""Members of an execution's input; null counts as absent."""


def input_problems(
    given: str,
    *,
    hyperparameters: Collection[str],
    own_hyperparameters: int,
    channels: Collection[str],
    own_channels: Collection[str] = (),
    has_checkpoints: bool = False,
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
    has_checkpoints : bool, optional
        Whether a job may begin with the checkpoints of another. Defaults to no.
    """
    checks = [
        unknown_members(EXECUTION_INPUT, ", ".join(EXECUTION_INPUT)),
        *_hyperparameter_checks(hyperparameters, own_hyperparameters),
        (
            "$given($in.inputs) and $type($in.inputs) != 'object'"
            " ? 'inputs must be an object from channel name to S3 URI'"
        ),
        *_input_checks(channels, own_channels),
        *_job_name_checks(),
        *_resume_checks(has_checkpoints),
    ]
    definitions = (
        " $object := function($value) {$type($value) = 'object' ? $value : {}};"
        " $names := function($value) {$keys($object($value))};"
    )
    return all_problems(given, checks, definitions)


def _hyperparameter_checks(names: Collection[str], own_count: int) -> Iterator[str]:
    most = API_LIMITS["HyperParameters"]["max"] - own_count
    known = literal(dict.fromkeys(names, ""))
    yield (
        "$given($in.hyperparameters) and $type($in.hyperparameters) != 'object'"
        " ? 'hyperparameters must be an object from name to value'"
    )
    yield (
        "$wrong := $names($in.hyperparameters)[$contains($, /^sagemaker_/)]; $exists($wrong)"
        " ? 'hyperparameters beginning with sagemaker_ belong to the container, got '"
        " & $join($wrong, ', ')"
    )
    yield _too_long("$in.hyperparameters")
    yield (
        f"$count($keys($merge([{known}, $object($in.hyperparameters)]))) > {most}"
        f" ? 'hyperparameters must be at most {most} with those of the training job'"
    )


def _input_checks(names: Collection[str], own_names: Collection[str]) -> Iterator[str]:
    if not names:
        yield "$given($in.inputs) ? 'inputs must be left out, for the training job declares no channel'"
        return
    limits, most = API_LIMITS["ChannelName"], API_LIMITS["InputDataConfig"]["max"]
    known = literal(dict.fromkeys([*names, *own_names], ""))
    yield (
        "$wrong := $names($in.inputs)[$not($type($lookup($in.inputs, $)) = 'string'"
        " and $contains($string($lookup($in.inputs, $)), /^s3:\\/\\/[^\\/]/))]; $exists($wrong)"
        " ? 'inputs must be S3 URIs such as s3://bucket/train/, got another for '"
        " & $join($wrong, ', ')"
    )
    yield (
        f"$wrong := $names($in.inputs)[$not($contains($, /^{limits['pattern']}$/)"
        f" and $length($) <= {limits['max']})]; $exists($wrong)"
        " ? 'inputs must have names of letters, digits, dots, dashes and underscores, got '"
        " & $join($wrong, ', ')"
    )
    yield (
        f"$count($keys($merge([{known}, $object($in.inputs)]))) > {most}"
        f" ? 'inputs must be at most {most} channels with those of the training job'"
    )
    for name in own_names:
        yield (
            f"$exists($lookup($object($in.inputs), '{name}'))"
            f" ? 'inputs must have another name than {name}, the channel of the source code'"
        )


def named_training_job(member: str = "training_job_name") -> str:
    """Write the check for what cannot be the name of a training job.

    Parameters
    ----------
    member : str, optional
        The member that has it. Defaults to ``training_job_name``.
    """
    pattern = f"^{API_LIMITS['TrainingJobName']['pattern']}$"
    return not_matching(member, pattern, "the name of a training job")


def _job_name_checks() -> Iterator[str]:
    yield named_training_job()
    yield (
        "$given($in.training_job_name) and ($given($in.hyperparameters) or $given($in.inputs))"
        " ? 'training_job_name is of a job that has been trained: leave out hyperparameters and inputs'"
    )


def _resume_checks(has_checkpoints: bool) -> Iterator[str]:
    if not has_checkpoints:
        yield (
            "$given($in.resume_from)"
            " ? 'resume_from must be left out, for the training job declares no checkpoints'"
        )
        return
    yield named_training_job("resume_from")
    yield (
        "$given($in.resume_from) and $given($in.training_job_name)"
        " ? 'resume_from begins a new job, training_job_name attaches to one: leave one of them out'"
    )


def _too_long(path: str) -> str:
    key, value = API_LIMITS["HyperParameterKey"]["max"], API_LIMITS["HyperParameterValue"]["max"]
    return (
        f"$wrong := $names({path})[$length($) > {key} or $length($string($lookup({path}, $))) > {value}];"
        f" $exists($wrong) ? 'hyperparameters must have names of up to {key} characters and values of up to"
        f" {value} as JSON, got a longer one for ' & $join($wrong.$substring($, 0, 40), ', ')"
    )
