"""Patterns as in a ``.gitignore``, matched without asking the CDK about every file.

Plain Python: nothing here knows the CDK.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["ExcludePatterns"]

_PARTS = re.compile(
    r"""
    (?P<folders>(?:^|(?<=/))\*\*/)     # none, one or more folders
    | (?P<inside>(?:^|(?<=/))\*\*$)    # everything inside
    | (?P<characters>\*+)
    | (?P<character>\?)
    | \[(?P<negation>[!^]?)(?P<set>\]?[^\]]*)\]
    | \\(?P<escaped>.)
    | (?P<literal>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_TRAILING_SPACES = re.compile(r"(?<!\\) +$")


@dataclass(frozen=True)
class _Pattern:
    regex: re.Pattern[str]
    is_negated: bool
    is_for_folders: bool


class ExcludePatterns:
    """A list of patterns, of which the last one that matches decides.

    Upper and lower case differ, on every machine.

    Parameters
    ----------
    patterns : iterable of str
        Each as a line of a ``.gitignore``.

    Raises
    ------
    ValueError
        When a pattern cannot be understood, such as ``[z-a]``.
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        parsed = [_parse(pattern) for pattern in patterns]
        self._patterns = [pattern for pattern in reversed(parsed) if pattern is not None]

    def excludes(self, name: str, is_folder: bool) -> bool:
        """Tell whether a file or folder is left out; what lies in a folder that is, need not be asked for.

        Parameters
        ----------
        name : str
            Slash-separated path, relative to the folder that the patterns are for.
        is_folder : bool
            Whether it is a folder.
        """
        for pattern in self._patterns:
            if (is_folder or not pattern.is_for_folders) and pattern.regex.fullmatch(name):
                return not pattern.is_negated
        return False


def _parse(line: str) -> _Pattern | None:
    """Read a line; None for an empty one and a comment."""
    text = _TRAILING_SPACES.sub("", line)
    if not text or text.startswith("#"):
        return None
    is_negated = text.startswith("!")
    text = text.removeprefix("!")
    is_for_folders = text.endswith("/")
    text = text.removesuffix("/")
    # Without a slash a pattern is for names at any depth, with one for paths from the top.
    anywhere = "" if "/" in text else "(?:.*/)?"
    try:
        regex = re.compile(anywhere + _PARTS.sub(_translate, text.removeprefix("/")), re.DOTALL)
    except re.error as error:
        raise ValueError(f"{line!r} ({error.msg})") from None
    return _Pattern(regex, is_negated, is_for_folders)


def _translate(part: re.Match[str]) -> str:
    match part.lastgroup:
        case "folders":
            return "(?:.*/)?"
        case "inside":
            return ".+"
        case "characters":
            return "[^/]*"
        case "character":
            return "[^/]"
        case "set":
            members = part["set"].replace("[", r"\[")
            return f"(?!/)[{'^' if part['negation'] else ''}{members}]"
    return re.escape(part["escaped"] or part["literal"])
