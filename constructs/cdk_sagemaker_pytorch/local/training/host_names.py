"""Find where source code connects to another host by its name, which does not resolve everywhere."""

import ast
from collections.abc import Iterator
from pathlib import Path


def find_host_names(folder: Path) -> list[str]:
    """Return file and line of each place in Python scripts that makes the address of rank 0 from SM_HOSTS.

    That is `os.environ["MASTER_ADDR"] = hosts[0]`, or a text with `tcp://` and one of the hosts in it.
    """
    return [
        f"{file.relative_to(folder).as_posix()}:{line}"
        for file in sorted(folder.rglob("*.py"))
        if file.is_file()
        for line in sorted(set(_lines(file.read_text(encoding="utf-8", errors="replace"))))
    ]


def _lines(text: str) -> Iterator[int]:
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return  # it will not run either
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            is_address = any(_is_master_address(target) for target in node.targets)
        else:
            is_address = isinstance(node, ast.JoinedStr | ast.BinOp) and _has_text(node, "tcp://")
        if is_address and _has_host(node):
            yield node.lineno  # type: ignore[attr-defined]


def _is_master_address(target: ast.expr) -> bool:
    return isinstance(target, ast.Subscript) and _has_text(target.slice, "MASTER_ADDR")


def _has_text(node: ast.AST, text: str) -> bool:
    return any(
        isinstance(part, ast.Constant) and isinstance(part.value, str) and text in part.value
        for part in ast.walk(node)
    )


def _has_host(node: ast.AST) -> bool:
    names = (
        getattr(part, "id", None) or getattr(part, "attr", None) or getattr(part, "value", None)
        for part in ast.walk(node)
    )
    return any(isinstance(name, str) and "hosts" in name.lower() for name in names)
