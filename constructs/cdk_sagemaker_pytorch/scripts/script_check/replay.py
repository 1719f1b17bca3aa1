"""Lets argparse itself read arguments, with a parser made like the script's."""

import argparse
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NoReturn

from .arguments import UNKNOWN, Argument, Parser
from .conversions import Conversion, NotUnderstoodError, RefusedError, conversion_of
from .script import Script

__all__ = ["NO_VALUE_ACTIONS", "Reading", "Replay"]

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


class Replay:
    """Parsers made like those of a script, each once.

    Parameters
    ----------
    script : Script
        The script.
    parser : Parser
        What is known of its parsers.
    """

    def __init__(self, script: Script, parser: Parser) -> None:
        self._script, self._parser = script, parser
        counts = Counter(name for argument in parser.arguments for name in argument.options)
        # Arguments that share no name with another one stand side by side in one parser.
        self._apart = [
            argument
            for argument in parser.arguments
            if any(counts[name] > 1 for name in argument.options) and not argument.is_positional
        ]

    def read_one(self, argument: Argument, given: Sequence[str]) -> Reading:
        """Read one option and its values.

        Parameters
        ----------
        argument : Argument
            The argument that the option stands for.
        given : sequence of str
            The option, and what follows it.
        """
        try:
            replayed = self._with(argument) if argument in self._apart else self._together
        except (ValueError, TypeError):  # argparse makes no such argument, and the script fails by itself
            return Reading("")
        return _read(replayed, given, _result(argument))

    def read_all(self, given: Sequence[str]) -> Reading:
        """Read a whole command line, of a script with one parser whose arguments share no names."""
        replayed = _new(self._parser)
        groups = {
            name: replayed.add_mutually_exclusive_group(required=name in self._parser.required_groups)
            for name in dict.fromkeys(argument.group for argument in self._parser.arguments)
            if name
        }
        try:
            for argument in self._parser.arguments:
                _add(groups.get(argument.group, replayed), self._script, argument, as_required=True)
        except (ValueError, TypeError):
            return Reading("")
        return _read(replayed, given, None)

    @cached_property
    def _together(self) -> "_Parser":
        return self._with(None)

    def _with(self, mine: Argument | None) -> "_Parser":
        """Make a parser of what stands side by side, and one argument that does not; of others the names."""
        replayed = _new(self._parser)
        own = set(mine.options) if mine is not None else set()
        for other in self._apart:
            if other is not mine and (names := [name for name in other.options if name not in own]):
                # Abbreviations, and texts that begin with a dash, are read by what other names there are.
                replayed.add_argument(*names, nargs="?", dest="other")
        for argument in self._parser.arguments:
            if argument is mine or argument not in self._apart:
                _add(replayed, self._script, argument, as_required=False)
        return replayed


def _result(argument: Argument) -> str:
    return f"result of {argument.line} {argument.options[0]}"


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
        if not as_required:
            keywords["dest"] = _result(argument)
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


def _read(parser: _Parser, given: Iterable[str], result: str | None) -> Reading:
    try:
        namespace, left_over = parser.parse_known_args(list(given))
    except Exception as error:  # of an action too, such as extend with what is no list
        return Reading(str(error) or type(error).__name__)
    value = getattr(namespace, result, UNKNOWN) if result is not None else UNKNOWN
    return Reading("", value, tuple(left_over))
