"""Builds the longer JSONata expressions of the states. Plain strings: nothing here knows the CDK."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = [
    "Expression",
    "evaluate",
    "expression",
    "function_error",
    "hyperparameters",
    "input_channels",
    "json_object",
    "literal",
    "metrics",
    "missing_metrics",
    "model_data",
    "or_null",
    "written_out",
]


class Expression(str):
    """A string of Amazon States Language that is JSONata because the library made it so."""

    __slots__ = ()


def evaluate(expression: str) -> Expression:
    """Mark a string as JSONata for Amazon States Language."""
    return Expression("{% " + expression + " %}")


def written_out(value: Any) -> Any:
    """Write a value for Amazon States Language, in which nothing but an `Expression` is evaluated.

    Text of a user's that looks like JSONata, such as a Jinja template, becomes the JSONata of a literal.

    Parameters
    ----------
    value : Any
        JSON with expressions in it.
    """
    if isinstance(value, Expression):
        return str(value)
    if isinstance(value, str) and value.startswith("{%") and value.endswith("%}"):
        return str(evaluate(literal(value)))
    if isinstance(value, Mapping):
        return {name: written_out(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [written_out(item) for item in value]
    return value


def literal(value: Any) -> str:
    """Write a value as a JSONata literal: JSON is one."""
    return json.dumps(value, ensure_ascii=False)


def expression(value: str) -> str:
    """Turn a string of Amazon States Language, plain or JSONata, into a JSONata expression."""
    if isinstance(value, Expression):
        return f"({value[2:-2].strip()})"
    return literal(value)


def json_object(fields: Mapping[str, str]) -> str:
    """Write an object whose values are strings of Amazon States Language as one JSONata expression."""
    return "{" + ", ".join(f"{literal(name)}: {expression(value)}" for name, value in fields.items()) + "}"


def or_null(path: str) -> str:
    """Read a path that may be absent: Step Functions refuses an expression without a value."""
    return f"($exists({path}) ? {path} : null)"


def function_error(caught: str) -> str:
    """Read why a task failed: the message of a function's error, which is JSON, else the cause as it is.

    Parameters
    ----------
    caught : str
        Path of what a catcher was given.
    """
    return (
        f"$contains({caught}.Cause, '\"errorMessage\"')"
        f" ? $parse({caught}.Cause).errorMessage : {caught}.Cause"
    )


def hyperparameters(defaults: Mapping[str, str], own: Mapping[str, str], given: str) -> str:
    """Merge hyperparameters: the construct's, those given at run time, and the library's own.

    SageMaker's containers and `PyTorch.attach` of the SageMaker Python SDK expect every value to be
    JSON in a string. ``$string`` would leave a plain string unquoted, so the value is encoded as
    the only member of an object, ``{"v":…}``, and cut out of it.

    Parameters
    ----------
    defaults : Mapping of str to str
        JSON-encoded values of the construct.
    own : Mapping of str to str
        JSONata expressions of the library's own entries, which nothing may override.
    given : str
        Path of an object with the values given at run time; it may be absent.
    """
    encode = (
        "function($value, $name) {("
        ' $json := $string({"v": $value});'
        " {$name: $substring($json, 5, $length($json) - 6)}"
        ")}"
    )
    own_entries = ", ".join(f"{literal(name)}: {expression}" for name, expression in own.items())
    return f"$merge([{literal(dict(defaults))}, $each({given}, {encode}), {{{own_entries}}}])"


def input_channels(declared: Sequence[Mapping[str, Any]], given: str) -> str:
    """List the channels: a URI given at run time replaces a declared one, or adds a channel.

    Parameters
    ----------
    declared : sequence of Mapping
        ``Channel`` structures of the SageMaker API.
    given : str
        Path of an object from channel name to S3 URI; it may be absent.
    """
    return (
        "("
        f"$declared := {literal(list(declared))};"
        f" $given := {given};"
        ' $source := function($uri) {{"S3DataType": "S3Prefix", "S3Uri": $uri,'
        ' "S3DataDistributionType": "FullyReplicated"}};'
        " ["
        "$map($declared, function($channel) {("
        " $uri := $lookup($given, $channel.ChannelName);"
        ' $exists($uri) ? $merge([$channel, {"DataSource": {"S3DataSource":'
        ' $merge([$channel.DataSource.S3DataSource, {"S3Uri": $uri}])}}]) : $channel)}),'
        " $each($given, function($uri, $name) {"
        ' $not($name in $declared.ChannelName) ? {"ChannelName": $name,'
        ' "DataSource": {"S3DataSource": $source($uri)}, "InputMode": "File"}})'
        "])"
    )


def metrics(training_job: str) -> str:
    """Read the final metrics of a training job as an object from name to value.

    What is no finite number has no JSON, and stays the text that the service makes of it.

    Parameters
    ----------
    training_job : str
        Path of a ``DescribeTrainingJob`` answer.
    """
    return f"$merge([{{}}, {training_job}.FinalMetricDataList.{{MetricName: Value}}])"


def missing_metrics(training_job: str, names: Sequence[str]) -> str:
    """List a warning where metrics were defined and the log had none of them; else nothing.

    Parameters
    ----------
    training_job : str
        Path of a ``DescribeTrainingJob`` answer.
    names : sequence of str
        Names of metrics that it should have.
    """
    if not names:
        return "[]"
    return (
        f"($job := {training_job}; $missing := {literal(list(names))}["
        "$ in $job.AlgorithmSpecification.MetricDefinitions.Name"
        " and $not($ in $job.FinalMetricDataList.MetricName)];"
        " [$exists($missing) ? 'no line of the log gave a number for ' & $join($missing, ', ')"
        " & ': compare the regular expressions in metric_definitions with what the script prints'])"
    )


def model_data(training_job: str) -> str:
    """Read where a training job's model artifact is; null without one. A prefix ends with a slash.

    Parameters
    ----------
    training_job : str
        Path of a ``DescribeTrainingJob`` answer.
    """
    artifact = f"{training_job}.ModelArtifacts.S3ModelArtifacts"
    uncompressed = f"{training_job}.OutputDataConfig.CompressionType = 'NONE'"
    return (
        f"($artifact := {or_null(artifact)};"
        f" {uncompressed} and $artifact and $substring($artifact, -1) != '/' ? $artifact & '/' : $artifact)"
    )
