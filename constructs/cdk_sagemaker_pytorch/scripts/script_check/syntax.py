"""Whether a container's Python can read a script, and what it imports from beside it."""

import ast
from collections.abc import Collection
from pathlib import Path

from .finding import Finding
from .imports import imported_files
from .script import Script

__all__ = ["check_syntax"]


def check_syntax(script: Script, shipped: Collection[str], python: tuple[int, int] | None) -> list[Finding]:
    """Note syntax that is newer than a container's Python, and modules of the script's own that are broken.

    Parameters
    ----------
    script : Script
        Gets the findings in itself.
    shipped : collection of str
        What ships, by path relative to the folder of the script.
    python : tuple of int or None
        Python of the container, such as (3, 8). None: unknown.

    Returns
    -------
    list of Finding
        Those in the modules that it imports, directly or through others.
    """
    _check_version(script, python)
    found: list[Finding] = []
    seen = {script.path.name}
    waiting = list(imported_files(script, shipped))
    while waiting:
        name = waiting.pop()
        path = script.path.parent / name
        if name in seen or not path.is_file():
            continue
        seen.add(name)
        module = Script(path)
        _check_version(module, python)
        found += module.sorted_findings()
        waiting += imported_files(module, shipped)
    return found


def _check_version(script: Script, python: tuple[int, int] | None) -> None:
    if python is None or not script.is_parsed:
        return
    try:
        ast.parse(Path(script.path).read_bytes(), feature_version=python)
    except SyntaxError as error:
        version = ".".join(map(str, python))
        script.add(
            _line(script, error),
            "Script.newSyntax",
            "error",
            f"the container's Python {version} cannot read it: {error.msg}",
            f"write it for Python {version}, or use a newer framework_version",
        )


def _line(script: Script, error: SyntaxError) -> int:
    """Where a statement begins; Python tells the end of a match statement."""
    if error.msg.startswith("Pattern matching"):
        return min(node.lineno for node in script.nodes if isinstance(node, ast.Match))
    return error.lineno or 1
