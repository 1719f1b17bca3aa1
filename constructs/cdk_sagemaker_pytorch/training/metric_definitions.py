"""Metrics that are read from a training job's log."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from cdk_sagemaker_pytorch.common.limits import check_limits, shown
from cdk_sagemaker_pytorch.common.problems import Problems

__all__ = ["check_metric_definitions", "metric_names"]

# What the bundled training script prints once an epoch.
_BUNDLED = {
    name: rf"{name}=([0-9.eE+-]+|nan|-?inf);"
    for name in ("train_loss", "test_loss", "test_accuracy", "test_rmse")
}


def check_metric_definitions(problems: Problems, given: Any, *, bundled: bool) -> dict[str, Any]:
    """Note what is wrong with definitions of metrics, and write them as members of the request.

    Parameters
    ----------
    problems : Problems
        Gets the findings.
    given : Any
        A mapping from name to regular expression, or the SageMaker Python SDK's list of
        ``{"Name": ..., "Regex": ...}``. None: the bundled script's, if that is what trains.
    bundled : bool
        Whether the bundled training script is run.
    """
    if given is None:
        given = _BUNDLED if bundled else {}
    definitions = _by_name(problems, given)
    check_limits(problems, "metric_definitions", definitions, "MetricDefinitionList")
    for name, regex in definitions.items():
        subject = f"metric_definitions[{name!r}]"
        if not isinstance(name, str) or not isinstance(regex, str):
            problems.add(f"{subject} must be a regular expression, got {shown(regex)}")
            continue
        check_limits(problems, "name of a metric", name, "MetricName")
        check_limits(problems, subject, regex, "MetricRegex")
        try:
            groups = re.compile(regex).groups
        except re.error as error:
            problems.add(f"{subject} must be a regular expression, got {regex!r}: {error}")
        else:
            problems.check(
                groups >= 1 or not regex,
                f"{subject} must have a group that holds the value, such as ([0-9.]+), got {regex!r}",
            )
    if not definitions:
        return {}
    rendered = [{"Name": name, "Regex": regex} for name, regex in definitions.items()]
    return {"AlgorithmSpecification.MetricDefinitions": rendered}


def metric_names(members: Mapping[str, Any]) -> list[str]:
    """Names of the metrics in what `check_metric_definitions` wrote.

    Parameters
    ----------
    members : Mapping of str to Any
        Members of the request.
    """
    return [definition["Name"] for definition in members.get("AlgorithmSpecification.MetricDefinitions", [])]


def _by_name(problems: Problems, given: Any) -> dict[str, Any]:
    if isinstance(given, Mapping):
        return dict(given)
    definitions: dict[str, Any] = {}
    for each in given if isinstance(given, Sequence) and not isinstance(given, str) else [given]:
        if not isinstance(each, Mapping) or set(each) != {"Name", "Regex"}:
            problems.add(
                "metric_definitions must be a dictionary from name to regular expression, or a list of"
                f' {{"Name": ..., "Regex": ...}}, got {shown(each)}'
            )
        elif each["Name"] in definitions:
            problems.add(f"metric_definitions must have different names, got {each['Name']} twice")
        else:
            definitions[each["Name"]] = each["Regex"]
    return definitions
