"""What CloudFormation refuses in a template before it makes anything, mostly in its words."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from cdk_sagemaker_pytorch.local.base.constraints import matches

from .templates import FUNCTIONS, TemplateError, depends_on, references

__all__ = ["check_parameters", "check_template", "required_capabilities"]

# "CloudFormation quotas".
_MOST_RESOURCES = 500
_MOST_PARAMETERS = _MOST_OUTPUTS = 200
_LONGEST_DESCRIPTION = 1024

_SECTIONS = {
    "AWSTemplateFormatVersion",
    "Conditions",
    "Description",
    "Hooks",
    "Mappings",
    "Metadata",
    "Outputs",
    "Parameters",
    "Resources",
    "Rules",
    "Transform",
}
_TRANSFORMS = {"AWS::LanguageExtensions"}
_NEEDED = {"Parameters": "Type", "Outputs": "Value"}
_RESOURCE_ATTRIBUTES = {
    "Condition",
    "CreationPolicy",
    "DeletionPolicy",
    "DependsOn",
    "Metadata",
    "Properties",
    "Type",
    "UpdatePolicy",
    "UpdateReplacePolicy",
}
_POLICIES = {
    "DeletionPolicy": {"Delete", "Retain", "RetainExceptOnCreate", "Snapshot"},
    "UpdateReplacePolicy": {"Delete", "Retain", "Snapshot"},
}
_TYPE = re.compile(r"\w+::\w+::\w+(::\w+)?|Custom::[\w@-]+")
_PSEUDO_PARAMETERS = {
    f"AWS::{name}"
    for name in (
        "AccountId",
        "NoValue",
        "NotificationARNs",
        "Partition",
        "Region",
        "StackId",
        "StackName",
        "URLSuffix",
    )
}
_NAMES_OF_IAM = {
    "AWS::IAM::Group": "GroupName",
    "AWS::IAM::InstanceProfile": "InstanceProfileName",
    "AWS::IAM::ManagedPolicy": "ManagedPolicyName",
    "AWS::IAM::Role": "RoleName",
    "AWS::IAM::User": "UserName",
}


def check_template(content: Mapping[str, Any]) -> None:
    """Refuse a template that no stack can be made of.

    Raises
    ------
    TemplateError
        With the first thing that is wrong, as CloudFormation does.
    """
    for problem in _template_problems(content):
        raise TemplateError(problem)


def check_parameters(content: Mapping[str, Any], values: Mapping[str, str]) -> None:
    """Refuse values that a template does not take.

    Raises
    ------
    TemplateError
        With the first value that is wrong.
    """
    declared = content.get("Parameters") or {}
    if unknown := sorted(values.keys() - declared.keys()):
        raise TemplateError(f"Parameters: [{', '.join(unknown)}] do not exist in the template")
    for name, slot in declared.items():
        value = values.get(name, slot.get("Default"))
        problem = None if value is None else _value_problem(slot, str(value))
        if problem is not None:
            described = slot.get("ConstraintDescription")
            raise TemplateError(
                f"Parameter {name} failed to satisfy constraint: {described}"
                if described
                else f"Parameter '{name}' must {problem}"
            )


def required_capabilities(content: Mapping[str, Any]) -> set[str]:
    """Return what the caller must acknowledge: empty, or one capability."""
    found = [
        resource for resource in content["Resources"].values() if resource["Type"].startswith("AWS::IAM::")
    ]
    if any(_NAMES_OF_IAM.get(item["Type"]) in (item.get("Properties") or {}) for item in found):
        return {"CAPABILITY_NAMED_IAM"}
    return {"CAPABILITY_IAM"} if found else set()


def _template_problems(content: Mapping[str, Any]) -> Iterator[str]:
    if unknown := sorted(content.keys() - _SECTIONS):
        yield f"Invalid template property or properties [{', '.join(unknown)}]"
    version = content.get("AWSTemplateFormatVersion", "2010-09-09")
    if str(version) != "2010-09-09":
        yield f"Template format error: Template format version {version} is not supported."
    if len(str(content.get("Description") or "")) > _LONGEST_DESCRIPTION:
        yield f"Template format error: 'Description' length is greater than {_LONGEST_DESCRIPTION}."
    yield from _transform_problems(content.get("Transform") or [])
    for section, most in (
        ("Resources", _MOST_RESOURCES),
        ("Parameters", _MOST_PARAMETERS),
        ("Outputs", _MOST_OUTPUTS),
    ):
        entries = content.get(section) or {}
        if not isinstance(entries, dict):
            yield f"Template format error: [/{section}] must be an object."
        if len(entries) > most:
            yield (
                f"Template format error: Number of {section.lower()}, {len(entries)}, is greater than maximum"
                f" allowed, {most}"
            )
        for name in map(str, entries):
            if not (name.isascii() and name.isalnum()):
                yield f"Template format error: {section[:-1]} name {name} is non alphanumeric."
        needed = _NEEDED.get(section)
        if needed and not all(isinstance(entry, dict) and needed in entry for entry in entries.values()):
            yield f"Template format error: Every {section} member must contain a {needed} object."
    for name, resource in content["Resources"].items():
        yield from _resource_problems(name, resource)
    yield from _reference_problems(content)


def _transform_problems(transforms: Any) -> Iterator[str]:
    for transform in transforms if isinstance(transforms, list) else [transforms]:
        name = transform.get("Name") if isinstance(transform, dict) else transform
        if name not in _TRANSFORMS:
            yield f"No transform named {name} found: the local AWS has {', '.join(_TRANSFORMS)} alone"


def _resource_problems(name: str, resource: Any) -> Iterator[str]:
    place = f"Template format error: [/Resources/{name}]"
    if not isinstance(resource, dict):
        yield f"{place} resource definition is malformed"
        return
    kind = resource.get("Type")
    if not isinstance(kind, str):
        yield f"{place} Every Resources object must contain a Type member."
    elif not _TYPE.fullmatch(kind):
        yield f"Template format error: Unrecognized resource types: [{kind}]"
    for attribute in sorted(resource.keys() - _RESOURCE_ATTRIBUTES):
        yield f"Invalid template resource property '{attribute}'"
    if not isinstance(resource.get("Properties") or {}, dict):
        yield f"{place}/Properties must be an object"
    for attribute, allowed in _POLICIES.items():
        value = resource.get(attribute)
        if isinstance(value, str) and value not in allowed:
            among = ", ".join(sorted(allowed))
            yield f"Template error: {attribute} of {name} must be one of {among}, got {value}"


def _reference_problems(content: Mapping[str, Any]) -> Iterator[str]:
    known = set(content["Resources"]) | set(content.get("Parameters") or {}) | _PSEUDO_PARAMETERS
    conditions = set(content.get("Conditions") or {})
    for section in ("Resources", "Outputs"):
        entries = content.get(section) or {}
        needed: set[str] = set()
        for entry in entries.values():
            needed.update(references({name: part for name, part in entry.items() if name != "Metadata"}))
            if section == "Resources":
                needed.update(depends_on(entry))
        if missing := sorted(needed - known):
            yield (
                f"Template format error: Unresolved resource dependencies [{', '.join(missing)}] in the"
                f" {section} block of the template"
            )
        used = {entry["Condition"] for entry in entries.values() if "Condition" in entry}
        if missing := sorted(used - conditions):
            yield (
                f"Template format error: Unresolved condition dependency {missing[0]} in the {section} block"
                " of the template"
            )
    for name, argument in _functions(
        {section: content.get(section) for section in ("Conditions", "Resources", "Outputs")}
    ):
        if name not in FUNCTIONS:
            yield f"Template validation error: the local AWS has no function {name}"
        if name == "Fn::If" and isinstance(argument, list) and argument and argument[0] not in conditions:
            yield f"Template error: unresolved condition dependency {argument[0]} in Fn::If"


def _functions(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, list):
        for item in value:
            yield from _functions(item)
    elif isinstance(value, dict):
        for name, item in value.items():
            if isinstance(name, str) and name.startswith("Fn::"):
                yield name, item
            yield from _functions(item)


def _value_problem(slot: Mapping[str, Any], value: str) -> str | None:
    """Return what a value must be and is not."""
    allowed = slot.get("AllowedValues")
    pattern = slot.get("AllowedPattern")
    is_list = slot["Type"] == "CommaDelimitedList" or slot["Type"].startswith("List<")
    for item in [part.strip() for part in value.split(",")] if is_list else [value]:
        if allowed is not None and item not in map(str, allowed):
            return f"be one of AllowedValues [{', '.join(map(str, allowed))}]"
        if pattern is not None and not matches(pattern, item):
            return f"match pattern {pattern}"
    if slot["Type"] == "Number":
        return _number_problem(slot, value)
    if slot["Type"] == "String":
        if len(value) < int(slot.get("MinLength", 0)):
            return f"contain at least {slot['MinLength']} characters"
        if "MaxLength" in slot and len(value) > int(slot["MaxLength"]):
            return f"contain at most {slot['MaxLength']} characters"
    return None


def _number_problem(slot: Mapping[str, Any], value: str) -> str | None:
    try:
        number = float(value)
    except ValueError:
        return "be a number"
    if "MinValue" in slot and number < float(slot["MinValue"]):
        return f"be a number not less than {slot['MinValue']}"
    if "MaxValue" in slot and number > float(slot["MaxValue"]):
        return f"be a number not greater than {slot['MaxValue']}"
    return None
