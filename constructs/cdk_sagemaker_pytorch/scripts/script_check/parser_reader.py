"""Reads the argparse parsers of a script."""

import argparse
import ast
from collections.abc import Iterator
from typing import Any

from .arguments import UNKNOWN, Argument, Parser, destination
from .dataclass_arguments import dataclass_parsers
from .script import Script, dotted_name

__all__ = ["parser_of"]

_NARGS = {
    "argparse.REMAINDER": argparse.REMAINDER,
    "argparse.OPTIONAL": argparse.OPTIONAL,
    "argparse.ZERO_OR_MORE": argparse.ZERO_OR_MORE,
    "argparse.ONE_OR_MORE": argparse.ONE_OR_MORE,
}
_LENIENT = ("parse_known_args", "parse_known_intermixed_args")
_STRICT = ("parse_args", "parse_intermixed_args")


def parser_of(script: Script) -> Parser | None:
    """Read the parsers of a script; None if it has none."""
    reader = _Reader(script)
    return reader.parser() if reader.makers or reader.dataclasses else None


class _Reader:
    """Goes through the calls of a script that make parsers and add arguments to them."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.calls = script.nodes_of(ast.Call)
        self.dataclasses = dataclass_parsers(script)
        own = _own_parsers(script)
        self.makers = [call for call in self.calls if script.name_of(call.func) in own]
        self._made = _assigned_calls(script)
        self._methods = [(call, self._method(call)) for call in self.calls]
        # Groups are names for their parser; what comes of add_parser is another parser.
        self._parents = {
            name: (_receiver(self.script, call), self._method(call))
            for name, call in self._made.items()
            if self._method(call) in ("add_argument_group", "add_mutually_exclusive_group")
        }

    def parser(self) -> Parser:
        subparsers = [call for call, method in self._methods if method == "add_subparsers"]
        added = [call for call, method in self._methods if method == "add_parser" and subparsers]
        of_subcommands = {name for name, call in self._made.items() if call in added}
        arguments: list[Argument | None] = [
            self._argument(call)
            for call, method in self._methods
            if method == "add_argument" and self._root(_receiver(self.script, call)) not in of_subcommands
        ]
        arguments += [field for maker in self.dataclasses for field in maker.fields]
        strict, lenient = self._parses(_STRICT), self._parses(_LENIENT)
        for maker in self.dataclasses:
            if maker.parse_line is not None:
                (lenient if maker.is_lenient else strict).append(maker.parse_line)
        is_lenient = bool(lenient) or any(method in _LENIENT for _, method in self._methods)
        return Parser(
            arguments=tuple(argument for argument in arguments if argument is not None),
            is_complete=None not in arguments and self._is_complete(),
            strict_line=min(strict) if strict and not is_lenient else None,
            lenient_line=min(lenient) if lenient else None,
            uses_leftovers=is_lenient and self._uses_leftovers(),
            allows_abbreviations=not any(_literal(call, "allow_abbrev") is False for call in self.makers),
            adds_help=not any(_literal(call, "add_help") is False for call in self.makers),
            required_groups=frozenset(
                name
                for name, call in self._made.items()
                if self._method(call) == "add_mutually_exclusive_group" and _literal(call, "required") is True
            ),
            subcommands=tuple(
                str(call.args[0].value)
                for call in added
                if call.args and isinstance(call.args[0], ast.Constant)
            ),
            subcommand_line=subparsers[0].lineno if subparsers else None,
            needs_subcommand=any(_literal(call, "required") is True for call in subparsers),
        )

    def _method(self, call: ast.Call) -> str:
        if isinstance(call.func, ast.Attribute):
            return call.func.attr
        return self.script.name_of(call.func).rpartition(".")[2]

    def _root(self, name: str) -> str:
        """Return the parser that a group belongs to, by its name."""
        seen = set()
        while name in self._parents and name not in seen:
            seen.add(name)
            name = self._parents[name][0]
        return name

    def _argument(self, call: ast.Call) -> Argument | None:
        names = [argument.value if isinstance(argument, ast.Constant) else None for argument in call.args]
        options = tuple(name for name in names if isinstance(name, str))
        if not options or len(options) != len(names) or any(keyword.arg is None for keyword in call.keywords):
            return None
        choices, action, receiver = (
            _literal(call, "choices"),
            _literal(call, "action"),
            _receiver(self.script, call),
        )
        nargs = _literal(call, "nargs")
        if nargs is UNKNOWN:
            nargs = _NARGS.get(self.script.name_of(_keyword(call, "nargs") or call), UNKNOWN)
        type_node = _keyword(call, "type")
        return Argument(
            line=call.lineno,
            options=options,
            type_name="" if type_node is None else dotted_name(type_node) or "<expression>",
            type_node=type_node,
            action=action if isinstance(action, str) else _name(call, "action").rpartition(".")[2],
            choices=tuple(choices) if isinstance(choices, list | tuple | set | range | str | dict) else None,
            is_required=_literal(call, "required") is True,
            nargs=nargs,
            const=_literal(call, "const"),
            default=_literal(call, "default"),
            dest=str(_literal(call, "dest") or destination(options)),
            owner=(self.script.function_line_at(call.lineno), self._root(receiver)),
            group=receiver
            if self._parents.get(receiver, ("", ""))[1] == "add_mutually_exclusive_group"
            else "",
        )

    def _parses(self, names: tuple[str, ...]) -> list[int]:
        return [
            call.lineno for call, method in self._methods if method in names and _reads_command_line(call)
        ]

    def _is_complete(self) -> bool:
        return (
            not any(_has_unknown_parts(call) for call in self.makers)
            and not any(_leaves_the_script(self.script, name, self.calls) for name in self._parser_names())
            and all(maker.is_complete for maker in self.dataclasses)
        )

    def _parser_names(self) -> Iterator[str]:
        for name, call in self._made.items():
            if call in self.makers or (
                self._method(call).startswith("add_") and self._method(call).endswith("group")
            ):
                yield name

    def _uses_leftovers(self) -> bool:
        """Whether the second result of parse_known_args is read, other than to print it."""
        names: set[str] = set()
        for node in self.script.nodes:
            if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Call):
                continue
            if self._method(node.value) in _LENIENT:
                for target in node.targets:
                    if isinstance(target, ast.Tuple) and len(target.elts) == 2:
                        names.update([target.elts[1].id] if isinstance(target.elts[1], ast.Name) else [])
                    elif isinstance(target, ast.Name):
                        names.add(target.id)  # args = parser.parse_known_args(); args[0], args[1]
        told = {
            id(part)
            for call in self.calls
            if self.script.name_of(call.func).rpartition(".")[2]
            in ("print", "info", "warning", "debug", "format", "len")
            for part in ast.walk(call)
        }
        return any(
            isinstance(node, ast.Name)
            and isinstance(node.ctx, ast.Load)
            and node.id in names
            and id(node) not in told
            and not self._is_first_of(node)
            for node in self.script.nodes
        )

    def _is_first_of(self, name: ast.Name) -> bool:
        """Whether a name is read as in ``args[0]``."""
        return any(
            isinstance(node, ast.Subscript)
            and node.value is name
            and isinstance(node.slice, ast.Constant)
            and node.slice.value == 0
            for node in self.script.nodes
        )


def _own_parsers(script: Script) -> set[str]:
    """Names of the classes that parsers are made of: argparse's, and those that derive from it."""
    found = {"argparse.ArgumentParser"}
    for node in script.nodes_of(ast.ClassDef):
        if any(script.name_of(base) in found for base in node.bases):
            found.add(node.name)
    return found


def _reads_command_line(parse: ast.Call) -> bool:
    """Whether a parse reads what SageMaker passes, going by a list that the script does not spell out."""
    given = [*parse.args[:1], *(keyword.value for keyword in parse.keywords if keyword.arg == "args")]
    return all(
        isinstance(argument, ast.Name | ast.Subscript | ast.Attribute)
        or (isinstance(argument, ast.Constant) and argument.value is None)
        for argument in given
    )


def _assigned_calls(script: Script) -> dict[str, ast.Call]:
    """Find calls whose result has a name."""
    found: dict[str, ast.Call] = {}
    assignments: list[ast.Assign | ast.AnnAssign] = [
        *script.nodes_of(ast.Assign),
        *script.nodes_of(ast.AnnAssign),
    ]
    for node in assignments:
        if isinstance(node.value, ast.Call):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {dotted_name(target): node.value for target in targets if dotted_name(target)}
    return found


def _receiver(script: Script, call: ast.Call) -> str:
    return script.name_of(call.func).rpartition(".")[0]


def _keyword(call: ast.Call, name: str) -> ast.expr | None:
    return next((keyword.value for keyword in call.keywords if keyword.arg == name), None)


def _literal(call: ast.Call, name: str) -> Any:
    value = _keyword(call, name)
    if value is None:
        return None
    try:
        return ast.literal_eval(value)
    except (ValueError, TypeError, SyntaxError):
        pass
    if (
        isinstance(value, ast.Call)
        and dotted_name(value.func) in ("range", "list", "tuple")
        and not value.keywords
    ):
        try:
            arguments = [ast.literal_eval(argument) for argument in value.args]
            return {"range": range, "list": list, "tuple": tuple}[dotted_name(value.func)](*arguments)
        except (ValueError, TypeError, SyntaxError):
            pass
    return UNKNOWN


def _name(call: ast.Call, name: str) -> str:
    value = _keyword(call, name)
    return "" if value is None else dotted_name(value) or "<expression>"


def _has_unknown_parts(maker: ast.Call) -> bool:
    return any(
        keyword.arg in (None, "parents", "prefix_chars", "fromfile_prefix_chars")
        for keyword in maker.keywords
    )


def _leaves_the_script(script: Script, name: str, calls: list[ast.Call]) -> bool:
    """Whether the parser is handed to a function that is defined elsewhere, which may add arguments."""
    for call in calls:
        given = [*call.args, *(keyword.value for keyword in call.keywords)]
        if any(isinstance(argument, ast.Name) and argument.id == name for argument in given) and not (
            isinstance(call.func, ast.Name) and call.func.id in script.functions
        ):
            return True
    return False
