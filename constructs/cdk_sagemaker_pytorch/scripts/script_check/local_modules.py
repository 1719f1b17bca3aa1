"""Modules beside a script that it imports."""

import ast
from collections.abc import Iterator
from pathlib import Path

from .script import Script

__all__ = ["local_modules"]

_MOST = 50


def local_modules(script: Script) -> list[Script]:
    """Read the modules that a script imports, and that these import, as far as they lie beside it."""
    root = script.path.absolute().parent
    found: dict[Path, Script] = {}
    pending = [script]
    while pending and len(found) < _MOST:
        current = pending.pop(0)
        for path in _imported(current, root):
            if path not in found and path != script.path.absolute():
                try:
                    found[path] = Script(path)
                except OSError:
                    continue
                pending.append(found[path])
    return list(found.values())


def _imported(script: Script, root: Path) -> Iterator[Path]:
    for node in script.nodes:
        names: list[str] = []
        base = root
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                base = script.path.absolute().parents[node.level - 1]
            module = node.module or ""
            names = [module, *(f"{module}.{alias.name}".lstrip(".") for alias in node.names)]
        for name in names:
            if not name:
                continue
            place = base.joinpath(*name.split("."))
            for path in (place.with_name(f"{place.name}.py"), place / "__init__.py"):
                if path.is_file():
                    yield path
