"""What a shell makes of an argument that is handed to it without quotes."""

import re
import shlex

__all__ = ["is_only_split", "shell_reading"]

_ENDS_COMMAND = re.compile(r"[;&|<>()\n]")
_EXPANDS = re.compile(r"[$`]")
_NAMES_FILES = re.compile(r"[*?]")
# Not by every shell.
_BRACES = re.compile(r"\{[^{}]*(,|\.\.)[^{}]*\}")
_PLAIN = re.compile(r"(?![#~])[^\s\"'\\]+")


def shell_reading(text: str) -> str | None:
    """Say what a POSIX shell makes of a text that stands by itself in a command line.

    Parameters
    ----------
    text : str
        The argument, without any quotes around it.

    Returns
    -------
    str or None
        None if it stays what it is. Patterns in brackets, which hardly ever are names of files, do.
    """
    if not text:
        return "nothing at all"
    try:
        words = shlex.split(text, comments=True)
    except ValueError:
        return "a syntax error: the job fails"
    # Quotes protect from some of this; what has them is changed by losing them in any case.
    if _ENDS_COMMAND.search(text):
        return "a command of its own, or a syntax error"
    if _EXPANDS.search(text):
        return "what variables and commands of the container expand to"
    if _NAMES_FILES.search(text) or text.startswith("~"):
        return "the names of files that it matches"
    if _BRACES.search(text):
        return "several arguments, if it is bash"
    if _PLAIN.fullmatch(text):
        return None
    if not words:
        return "nothing at all"
    return f"{len(words)} argument{'s' if len(words) > 1 else ''}: {' and '.join(words)}"


def is_only_split(text: str) -> bool:
    """Whether a shell makes several arguments of a text, or none, and changes nothing else."""
    return all(shell_reading(word) is None for word in text.split())
