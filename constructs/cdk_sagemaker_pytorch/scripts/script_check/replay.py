"""Lets argparse itself read arguments, with a parser made like the script's."""

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from .arguments import UNKNOWN, Argument, Parser
from .conversions import Conversion, NotUnderstoodError, RefusedError, conversion_of
from .script import Script

__all__ = ["NO_VALUE_ACTIONS", "Reading", "read_all", "read_one"]

NO_VALUE_ACTIONS = (
    "store_true",
    "store_false",
    "store_const",
    "append_const",
    "count",
    "BooleanOptionalAction",
)
"""Actions of options that take no value."""

_ACTIONS: dict[str, Any] = {
    name: name for name in ("store", "append", "extend", "help", "version", *NO_VALUE_ACTIONS)
} | {"": "store", "BooleanOptionalAction": argparse.BooleanOptionalAction}


@dataclass(frozen=True)
class Reading:
    """What argparse makes of arguments.

    Attributes
    ----------
    error : str
        Its message; empty where it reads them.
    value : object
        What the script gets; `UNKNOWN` where that cannot be told.
    left_over : tuple of str
        What it did not know.
    """

    error: str
    value: object = UNKNOWN
    left_over: tuple[str, ...] = ()


class _Refused(Exception):  # noqa: N818  # not an error of ours
    pass


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _Refused(message)

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        raise _Refused(message or "it prints something and ends")

    def print_help(self, file: Any = None) -> None:
        raise _Refused("it prints its help and ends")


def read_one(script: Script, parser: Parser, argument: Argument, given: Sequence[str]) -> Reading:
    """Read one option and its values, as if the script had this argument and only the names of the others.

    Parameters
    ----------
    script : Script
        The script.
    parser : Parser
        Its parser.
    argument : Argument
        The argument that the option stands for.
    given : sequence of str
        The option, and what follows it.
    """
    replayed = _new(parser)
    mine = set(argument.options)
    try:
        for other in parser.arguments:
            if other.is_positional:
                _add(replayed, script, other, as_required=False)
            elif names := [name for name in other.options if name not in mine]:
                # Abbreviations, and texts that begin with a dash, are read by what other names there are.
                replayed.add_argument(*names, nargs="?", dest="other")
        _add(replayed, script, argument, as_required=False)
    except (ValueError, TypeError):  # argparse makes no such argument, and the script fails by itself
        return Reading("")
    return _read(replayed, given, argument)


def read_all(script: Script, parser: Parser, given: Sequence[str]) -> Reading:
    """Read a whole command line, of a script with one parser."""
    replayed = _new(parser)
    groups = {
        name: replayed.add_mutually_exclusive_group(required=name in parser.required_groups)
        for name in dict.fromkeys(argument.group for argument in parser.arguments)
        if name
    }
    try:
        for argument in parser.arguments:
            _add(groups.get(argument.group, replayed), script, argument, as_required=True)
    except (ValueError, TypeError):
        return Reading("")
    return _read(replayed, given, None)


def _new(parser: Parser) -> _Parser:
    return _Parser(
        prog="",
        add_help=parser.adds_help,
        allow_abbrev=parser.allows_abbreviations,
        conflict_handler="resolve",
    )


def _add(container: Any, script: Script, argument: Argument, *, as_required: bool) -> None:
    action = _ACTIONS.get(argument.action, argparse._StoreAction)
    keywords: dict[str, Any] = {"action": action}
    if not argument.is_positional:
        keywords["required"] = as_required and argument.is_required
        keywords["dest"] = "mine"
        if as_required:
            del keywords["dest"]
    elif not as_required and argument.nargs not in ("?", "*"):
        keywords["nargs"] = "?"
    if argument.nargs is not None and argument.action not in NO_VALUE_ACTIONS and "nargs" not in keywords:
        # Of a computed number of values any is taken.
        keywords["nargs"] = "*" if argument.nargs is UNKNOWN else argument.nargs
    if argument.action in ("store_const", "append_const"):
        keywords["const"] = None if argument.const is UNKNOWN else argument.const
    elif argument.nargs == "?" and argument.const is not UNKNOWN:
        keywords["const"] = argument.const
    if argument.action == "version":
        keywords["version"] = ""
    takes_value = argument.action not in (*NO_VALUE_ACTIONS, "help", "version")
    if takes_value:
        keywords["type"] = _tolerant(conversion_of(script, argument.type_node), argument)
        if argument.choices is not None:
            keywords["choices"] = _Choices(argument.choices)
    container.add_argument(*argument.options, **keywords)


class _Choices(tuple[object, ...]):
    """Choices of which a value that cannot be told may be any."""

    def __contains__(self, value: object) -> bool:
        return value is UNKNOWN or super().__contains__(value)


def _tolerant(conversion: Conversion, argument: Argument) -> Conversion:
    def convert(text: str) -> object:
        try:
            return conversion(text)
        except NotUnderstoodError:
            return UNKNOWN
        except RefusedError as error:
            raise argparse.ArgumentTypeError(
                f"invalid {argument.type_name} value: {text!r} ({error})"
            ) from None

    return convert


def _read(parser: _Parser, given: Iterable[str], argument: Argument | None) -> Reading:
    try:
        namespace, left_over = parser.parse_known_args(list(given))
    except Exception as error:  # of an action too, such as extend with what is no list
        return Reading(str(error) or type(error).__name__)
    value = getattr(namespace, "mine", UNKNOWN) if argument is not None else UNKNOWN
    return Reading("", value, tuple(left_over))
