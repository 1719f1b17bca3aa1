"""What an argparse parser in a script accepts, as far as the text alone tells."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from .script import Script, dotted_name

__all__ = ["Argument", "Parser", "parser_of"]

_UNKNOWN = object()


@dataclass(frozen=True)
class Argument:
    """One ``add_argument`` call.

    Attributes
    ----------
    options : tuple of str
        ``--batch-size``, ``-b``; a single name without dashes for a positional argument.
    type_name : str
        What ``type`` names, such as ``int``; ``<expression>`` if it is no name, empty if there is none.
    action : str
        What ``action`` names; empty for the ordinary one.
    choices : tuple or None
        The literal values of ``choices``; None if there are none or they are not literal.
    """

    line: int
    options: tuple[str, ...]
    type_name: str
    action: str
    choices: tuple[object, ...] | None
    is_required: bool
    nargs: object

    @property
    def is_positional(self) -> bool:
        """Whether it takes a value without a name."""
        return not self.options[0].startswith("-")


@dataclass(frozen=True)
class Parser:
    """All arguments of the parsers of a script.

    Attributes
    ----------
    is_complete : bool
        Whether the arguments are all there are: none comes from elsewhere or has a computed name.
    strict_line : int or None
        Line of the ``parse_args`` call that refuses what it does not know; None if anything is let through.
    """

    arguments: tuple[Argument, ...]
    is_complete: bool
    strict_line: int | None
    allows_abbreviations: bool

    def find(self, option: str) -> list[Argument]:
        """Arguments that an option stands for: by its name, else by a prefix of its name."""
        exact = [argument for argument in self.arguments if option in argument.options]
        if exact or not self.allows_abbreviations or not option.startswith("--"):
            return exact
        return [
            argument
            for argument in self.arguments
            if any(name.startswith(option) for name in argument.options)
        ]


def parser_of(script: Script) -> Parser | None:
    """Read the parsers of a script; None if it has none."""
    calls = [node for node in script.nodes if isinstance(node, ast.Call)]
    methods = [(call, _method(script, call)) for call in calls]
    makers = [call for call in calls if script.name_of(call.func) == "argparse.ArgumentParser"]
    if not makers:
        return None
    arguments = [_argument(call) for call, method in methods if method == "add_argument"]
    strict = [call for call, method in methods if method == "parse_args"]
    lenient = any(
        method in ("parse_known_args", "parse_intermixed_args", "parse_known_intermixed_args")
        for _, method in methods
    )
    return Parser(
        arguments=tuple(argument for argument in arguments if argument is not None),
        is_complete=None not in arguments
        and not any(_has_unknown_parts(call) for call in makers)
        and not any(_leaves_the_script(script, name, calls) for name in _parser_names(script, makers))
        and not any(method == "add_subparsers" for _, method in methods),
        strict_line=strict[0].lineno if strict and not lenient and _reads_command_line(strict[0]) else None,
        allows_abbreviations=not any(_literal(call, "allow_abbrev") is False for call in makers),
    )


def _method(script: Script, call: ast.Call) -> str:
    if isinstance(call.func, ast.Attribute):
        return call.func.attr
    return script.name_of(call.func).rpartition(".")[2]


def _reads_command_line(parse: ast.Call) -> bool:
    """Whether a parse reads what SageMaker passes, going by a list that the script does not spell out."""
    return all(isinstance(argument, ast.Name | ast.Subscript) for argument in parse.args)


def _argument(call: ast.Call) -> Argument | None:
    names = [argument.value if isinstance(argument, ast.Constant) else None for argument in call.args]
    options = tuple(name for name in names if isinstance(name, str))
    if not options or len(options) != len(names) or any(keyword.arg is None for keyword in call.keywords):
        return None
    choices = _literal(call, "choices")
    action = _literal(call, "action")
    return Argument(
        line=call.lineno,
        options=options,
        type_name=_name(call, "type"),
        action=action if isinstance(action, str) else _name(call, "action").rpartition(".")[2],
        choices=tuple(choices) if isinstance(choices, list | tuple | set | range) else None,
        is_required=_literal(call, "required") is True,
        nargs=_literal(call, "nargs"),
    )


def _keyword(call: ast.Call, name: str) -> ast.expr | None:
    return next((keyword.value for keyword in call.keywords if keyword.arg == name), None)


def _literal(call: ast.Call, name: str) -> object:
    value = _keyword(call, name)
    if value is None:
        return None
    try:
        return ast.literal_eval(value)
    except (ValueError, TypeError, SyntaxError):
        return _UNKNOWN


def _name(call: ast.Call, name: str) -> str:
    value = _keyword(call, name)
    return "" if value is None else dotted_name(value) or "<expression>"


def _has_unknown_parts(maker: ast.Call) -> bool:
    return any(
        keyword.arg in (None, "parents", "prefix_chars", "fromfile_prefix_chars")
        for keyword in maker.keywords
    )


def _parser_names(script: Script, makers: list[ast.Call]) -> Iterator[str]:
    for node in script.nodes:
        if isinstance(node, ast.Assign) and node.value in makers:
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))


def _leaves_the_script(script: Script, name: str, calls: list[ast.Call]) -> bool:
    """Whether the parser is handed to a function that is defined elsewhere, which may add arguments."""
    for call in calls:
        given = [*call.args, *(keyword.value for keyword in call.keywords)]
        if any(isinstance(argument, ast.Name) and argument.id == name for argument in given) and not (
            isinstance(call.func, ast.Name) and call.func.id in script.functions
        ):
            return True
    return False
