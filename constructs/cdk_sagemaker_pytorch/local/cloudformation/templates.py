"""CloudFormation templates: parameters, conditions and intrinsic functions."""

import base64
import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any

import yaml  # type: ignore[import-untyped]

_REFERENCE = re.compile(r"\$\{(!?)([^}]+)\}")
_NO_VALUE = object()

#: The value of `Fn::GetAtt` by logical id and attribute; of `Ref` where the attribute is None.
LookUp = Callable[[str, str | None], Any]


class TemplateError(ValueError):
    """A template that CloudFormation would refuse."""


def load_template(body: str) -> dict[str, Any]:
    """Read a template in JSON or YAML, short forms such as `!Ref` included.

    Raises
    ------
    TemplateError
        If it is neither, or has no resources.
    """
    try:
        template = json.loads(body)
    except ValueError:
        try:
            template = yaml.load(body, Loader=_Loader)  # noqa: S506 - a safe loader with the short forms
        except yaml.YAMLError as error:
            raise TemplateError(f"Template format error: {error}") from error
    if not isinstance(template, dict) or not template.get("Resources"):
        raise TemplateError("Template format error: At least one Resources member must be defined.")
    return template


class Template:
    """A template with the values of its parameters.

    Parameters
    ----------
    content
        The template.
    parameters
        Given values by name.
    pseudo_parameters
        Values of `AWS::Region` and the like.
    ssm_parameter
        Returns the value of a parameter in the parameter store.
    look_up
        Returns what resources give: see `LookUp`.
    import_value
        Returns the value of an export.

    Raises
    ------
    TemplateError
        If parameters have no value.
    """

    def __init__(
        self,
        content: Mapping[str, Any],
        parameters: Mapping[str, str],
        *,
        pseudo_parameters: Mapping[str, Any],
        ssm_parameter: Callable[[str], str],
        look_up: LookUp,
        import_value: Callable[[str], Any],
    ) -> None:
        self.content = content
        self._pseudo_parameters = pseudo_parameters
        self._ssm_parameter = ssm_parameter
        self._look_up = look_up
        self._import_value = import_value
        self._conditions: dict[str, bool] = {}
        self._condition_names = frozenset(content.get("Conditions") or {})
        declared = content.get("Parameters") or {}
        values = {name: parameters.get(name, slot.get("Default")) for name, slot in declared.items()}
        missing = [name for name, value in values.items() if value is None]
        if missing:
            raise TemplateError(f"Parameters: [{', '.join(missing)}] must have values")
        self.parameters = {
            name: _typed(declared[name], value, ssm_parameter) for name, value in values.items()
        }

    @cached_property
    def resources(self) -> dict[str, dict[str, Any]]:
        """The resources whose condition holds, each after those it refers to.

        Raises
        ------
        TemplateError
            If they refer to each other in a circle.
        """
        active = {
            name: resource
            for name, resource in self.content["Resources"].items()
            if self._holds(resource.get("Condition"))
        }
        ordered: dict[str, dict[str, Any]] = {}

        def visit(name: str, path: tuple[str, ...]) -> None:
            if name in path:
                raise TemplateError(f"Circular dependency between resources: [{', '.join(path)}]")
            if name not in ordered:
                for dependency in sorted(_dependencies(active[name]) & active.keys()):
                    visit(dependency, (*path, name))
                ordered[name] = active[name]

        for name in active:
            visit(name, ())
        return ordered

    def properties(self, logical_id: str) -> dict[str, Any]:
        """Return the properties of a resource with all functions evaluated."""
        properties: dict[str, Any] = self.evaluate(self.resources[logical_id].get("Properties") or {})
        return properties

    def outputs(self) -> list[dict[str, Any]]:
        """Return the outputs as DescribeStacks gives them."""
        result = []
        for name, output in (self.content.get("Outputs") or {}).items():
            if self._holds(output.get("Condition")):
                entry = {"OutputKey": name, "OutputValue": str(self.evaluate(output["Value"]))}
                if description := output.get("Description"):
                    entry["Description"] = description
                if export := output.get("Export"):
                    entry["ExportName"] = self.evaluate(export["Name"])
                result.append(entry)
        return result

    def evaluate(self, value: Any) -> Any:
        """Return a value with its functions evaluated; what is AWS::NoValue is left out."""
        result = self._evaluate(value)
        return None if result is _NO_VALUE else result

    def _evaluate(self, value: Any) -> Any:
        if isinstance(value, list):
            return [item for item in map(self._evaluate, value) if item is not _NO_VALUE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            name, argument = next(iter(value.items()))
            if name in FUNCTIONS:
                return FUNCTIONS[name](self, argument)
            if name == "Condition" and isinstance(argument, str) and argument in self._condition_names:
                return self._holds(argument)
        items = {name: self._evaluate(item) for name, item in value.items()}
        return {name: item for name, item in items.items() if item is not _NO_VALUE}

    def _ref(self, name: str) -> Any:
        if name == "AWS::NoValue":
            return _NO_VALUE
        if name in self._pseudo_parameters:
            return self._pseudo_parameters[name]
        if name in self.parameters:
            return self.parameters[name]
        return self._look_up(name, None)

    def _get_att(self, argument: str | list[Any]) -> Any:
        name, attribute = argument.split(".", 1) if isinstance(argument, str) else argument
        return self._look_up(name, self._evaluate(attribute))

    def _sub(self, argument: str | list[Any]) -> str:
        text, values = (argument, {}) if isinstance(argument, str) else argument

        def replace(match: re.Match[str]) -> str:
            literal, name = match.groups()
            if literal:
                return f"${{{name}}}"
            if name in values:
                return str(self._evaluate(values[name]))
            return str(self._get_att(name) if "." in name else self._ref(name))

        return _REFERENCE.sub(replace, text)

    def _find_in_map(self, argument: list[Any]) -> Any:
        name, first, second, *rest = argument
        names = [self._evaluate(part) for part in (name, first, second)]
        try:
            return self.content["Mappings"][names[0]][names[1]][names[2]]
        except KeyError:
            if rest and "DefaultValue" in rest[0]:
                return self._evaluate(rest[0]["DefaultValue"])
            raise TemplateError(
                f"Template error: Unable to get mapping for {'::'.join(map(str, names))}"
            ) from None

    def _holds(self, condition: str | None) -> bool:
        if condition is None:
            return True
        if condition not in self._conditions:
            self._conditions[condition] = bool(self._evaluate(self.content["Conditions"][condition]))
        return self._conditions[condition]


#: The functions that are evaluated, by name.
FUNCTIONS: Mapping[str, Callable[[Template, Any], Any]] = {
    "Ref": Template._ref,
    "Fn::GetAtt": Template._get_att,
    "Fn::Sub": Template._sub,
    "Fn::Join": lambda template, a: str(a[0]).join(str(part) for part in template._evaluate(a[1])),
    "Fn::Split": lambda template, a: template._evaluate(a[1]).split(a[0]),
    "Fn::Select": lambda template, a: template._evaluate(a[1])[int(template._evaluate(a[0]))],
    "Fn::If": lambda template, a: template._evaluate(a[1] if template._holds(a[0]) else a[2]),
    "Fn::Equals": lambda template, a: str(template._evaluate(a[0])) == str(template._evaluate(a[1])),
    "Fn::Not": lambda template, a: not template._evaluate(a[0]),
    "Fn::And": lambda template, a: all(template._evaluate(item) for item in a),
    "Fn::Or": lambda template, a: any(template._evaluate(item) for item in a),
    "Fn::Base64": lambda template, a: base64.b64encode(template._evaluate(a).encode()).decode(),
    "Fn::ToJsonString": lambda template, a: json.dumps(template._evaluate(a), separators=(",", ":")),
    "Fn::Length": lambda template, a: len(template._evaluate(a)),
    "Fn::FindInMap": Template._find_in_map,
    "Fn::ImportValue": lambda template, a: template._import_value(template._evaluate(a)),
    "Fn::GetAZs": lambda template, a: [
        f"{template._pseudo_parameters['AWS::Region']}{zone}" for zone in "abc"
    ],
}


def _typed(slot: Mapping[str, Any], value: Any, ssm_parameter: Callable[[str], str]) -> Any:
    kind = slot["Type"]
    if kind.startswith("AWS::SSM::Parameter::Value"):
        value = ssm_parameter(str(value))
    if kind == "CommaDelimitedList" or "List<" in kind:
        return [item.strip() for item in str(value).split(",")]
    return value


def _dependencies(resource: Mapping[str, Any]) -> set[str]:
    return {*references(resource.get("Properties")), *depends_on(resource)}


def depends_on(resource: Mapping[str, Any]) -> list[str]:
    """Return the names that a resource says it depends on."""
    explicit: str | list[str] = resource.get("DependsOn", [])
    return [explicit] if isinstance(explicit, str) else explicit


def references(value: Any) -> Iterator[str]:
    """Yield the names that functions in a value refer to, parameters and pseudo parameters included."""
    if isinstance(value, list):
        for item in value:
            yield from references(item)
    elif isinstance(value, dict):
        if len(value) == 1:
            yield from _referred(*next(iter(value.items())))
        for item in value.values():
            yield from references(item)


def _referred(function: str, argument: Any) -> Iterator[str]:
    if function == "Ref" and isinstance(argument, str):
        yield argument
    elif function == "Fn::GetAtt" and isinstance(argument, str | list):
        yield (argument.split(".") if isinstance(argument, str) else argument)[0]
    elif function == "Fn::Sub" and isinstance(argument, str | list):
        text, own = (argument, {}) if isinstance(argument, str) else argument
        names = [match[1] for match in _REFERENCE.findall(text) if not match[0]]
        yield from (name.split(".")[0] for name in names if name not in own)


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """A safe loader that knows the short forms of functions, and leaves dates as text."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - yaml's own protocol
        character: [item for item in resolvers if item[0] != "tag:yaml.org,2002:timestamp"]
        for character, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def _short_form(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _short_form)
