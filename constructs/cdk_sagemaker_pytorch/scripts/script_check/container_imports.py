"""Imports that fail in the container."""

import ast
from collections.abc import Iterator

from .script import Script

__all__ = ["check_container_imports"]

# https://docs.python.org/3/whatsnew/3.12.html and 3.13, "Removed". distutils is missing on purpose:
# setuptools, which the images have, brings it back.
_REMOVED = {
    **dict.fromkeys(["asynchat", "asyncore", "imp", "smtpd"], (3, 12)),
    **dict.fromkeys(
        [
            *("aifc", "audioop", "cgi", "cgitb", "chunk", "crypt", "imghdr", "lib2to3", "mailcap", "msilib"),
            *(
                "nis",
                "nntplib",
                "ossaudiodev",
                "pipes",
                "sndhdr",
                "spwd",
                "sunau",
                "telnetlib",
                "uu",
                "xdrlib",
            ),
        ],
        (3, 13),
    ),
}


def check_container_imports(script: Script, python: tuple[int, int]) -> None:
    """Note what the container's Python, or a script that is started by its name, cannot import.

    Parameters
    ----------
    script : Script
        The entry point.
    python : tuple of int
        Version of the container's Python.
    """
    beside = {path.stem for path in script.path.absolute().parent.glob("*.py")}
    for statement, names in _imports(script):
        for name in names:
            removed_in = _REMOVED.get(name)
            if removed_in is not None and python >= removed_in and name not in beside:
                script.add(
                    statement.lineno,
                    "Script.removedModule",
                    "error",
                    f"the module {name} is imported, which Python {removed_in[0]}.{removed_in[1]} removed;"
                    f" the container has {python[0]}.{python[1]}",
                    "do without it, or bring it back with requirements.txt",
                )
        if isinstance(statement, ast.ImportFrom) and statement.level:
            script.add(
                statement.lineno,
                "Script.relativeImport",
                "error",
                f"the import begins with {'.' * statement.level}, and an entry point is part of no package",
                "import by the name from the top of the source code",
            )


def _imports(script: Script) -> Iterator[tuple[ast.Import | ast.ImportFrom, list[str]]]:
    """Find imports that nothing catches the failure of, with the top-level names of modules."""
    caught = {
        id(node)
        for attempt in script.nodes
        if isinstance(attempt, ast.Try) and attempt.handlers
        for statement in attempt.body
        for node in ast.walk(statement)
    }
    for statement in script.module_statements():
        if id(statement) in caught:
            continue
        if isinstance(statement, ast.Import):
            yield statement, [alias.name.partition(".")[0] for alias in statement.names]
        elif isinstance(statement, ast.ImportFrom):
            yield statement, [] if statement.level else [(statement.module or "").partition(".")[0]]
