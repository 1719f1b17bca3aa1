"""Arguments of argparse parsers, as far as the text of a script tells."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

__all__ = ["UNKNOWN", "Argument", "Owner", "Parser", "destination"]


class _Unknown:
    def __iter__(self) -> Iterator[object]:
        return iter(())  # it may be a list too


UNKNOWN = _Unknown()
"""A value that the script computes."""

# The parser that an argument belongs to: a function of the script, and a name in it.
Owner = tuple[int, str]


@dataclass(frozen=True)
class Argument:
    """One ``add_argument`` call, or one field of a dataclass.

    Attributes
    ----------
    line : int
        Its line.
    options : tuple of str
        ``--batch-size``, ``-b``; a single name without dashes for a positional argument.
    type_name : str
        What ``type`` names, such as ``int``; ``<expression>`` if it is no name, empty if there is none.
    type_node : ast.expr or None
        The expression itself.
    action : str
        What ``action`` names; empty for the ordinary one.
    choices : tuple or None
        The literal values of ``choices``; None if there are none or they are not literal.
    is_required : bool
        Whether it must be given.
    nargs, const, default : object
        Those keywords; None if they are not given, `UNKNOWN` if they are computed.
    dest : str
        Name of the result.
    owner : tuple
        Which parser it belongs to.
    group : str
        The mutually exclusive group it is in; empty for none.
    """

    line: int
    options: tuple[str, ...]
    type_name: str = ""
    type_node: ast.expr | None = None
    action: str = ""
    choices: tuple[object, ...] | None = None
    is_required: bool = False
    nargs: object = None
    const: object = None
    default: object = None
    dest: str = ""
    owner: Owner = (0, "")
    group: str = ""

    @property
    def is_positional(self) -> bool:
        """Whether it takes a value without a name."""
        return not self.options[0].startswith("-")


@dataclass(frozen=True)
class Parser:
    """All arguments of the parsers of a script.

    Attributes
    ----------
    arguments : tuple of Argument
        Those that are not a subcommand's.
    is_complete : bool
        Whether the arguments are all there are: none comes from elsewhere or has a computed name.
    strict_line : int or None
        Line of the call that refuses what it does not know; None if anything is let through.
    lenient_line : int or None
        Line of the call that lets it through.
    uses_leftovers : bool
        Whether the script looks at what was let through.
    allows_abbreviations : bool
        Whether the beginning of an option stands for it.
    adds_help : bool
        Whether there are ``-h`` and ``--help``.
    required_groups : frozenset of str
        The mutually exclusive groups one of whose arguments must be given.
    subcommands : tuple of str
        Names of the subcommands.
    subcommand_line : int or None
        Line where they are added.
    needs_subcommand : bool
        Whether one of them must be given.
    """

    arguments: tuple[Argument, ...]
    is_complete: bool
    strict_line: int | None
    lenient_line: int | None = None
    uses_leftovers: bool = False
    allows_abbreviations: bool = True
    adds_help: bool = True
    required_groups: frozenset[str] = field(default_factory=frozenset)
    subcommands: tuple[str, ...] = ()
    subcommand_line: int | None = None
    needs_subcommand: bool = False

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

    def has_positional(self, name: str) -> bool:
        """Whether an argument of this name takes a value without it."""
        return any(argument.is_positional and argument.dest == name for argument in self.arguments)

    def names_meant_by(self, option: str) -> set[str]:
        """Names of one and the same parser that an abbreviation could stand for."""
        by_owner: dict[Owner, set[str]] = {}
        for argument in self.find(option):
            if option in argument.options:
                return {option}
            names = {name for name in argument.options if name.startswith(option)}
            by_owner.setdefault(argument.owner, set()).update(names)
        return min(by_owner.values(), key=len, default=set())


def destination(options: tuple[str, ...]) -> str:
    """Name of the result that argparse makes of an argument's options.

    Parameters
    ----------
    options : tuple of str
        The options, such as ``-b`` and ``--batch-size``.
    """
    long = next((option for option in options if option.startswith("--")), options[0])
    return long.lstrip("-").replace("-", "_")
