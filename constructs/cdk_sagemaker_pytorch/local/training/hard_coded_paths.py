"""Find where source code says /opt/ml itself, instead of asking the environment."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from cdk_sagemaker_pytorch.local.base.container_view import CONTAINER_FOLDER

_ROOT = re.compile(rf"{CONTAINER_FOLDER}(/|$)")
# A shell's `${SM_MODEL_DIR:-/opt/ml/model}` asks first.
_SHELL_ROOT = re.compile(rf"(?<![-\w/.]){CONTAINER_FOLDER}(?![\w-])")
_ASKS = frozenset(["get", "getenv", "setdefault", "pop"])
_LOOKS = frozenset(["exists", "isdir", "isfile", "is_dir", "is_file", "startswith", "access"])


def find_hard_coded_paths(folder: Path) -> list[str]:
    """Return file and line of each place in Python and shell scripts that leads to the machine's /opt/ml.

    A default for a variable that SageMaker sets (`os.environ.get("SM_MODEL_DIR", "/opt/ml/model")`) leads
    nowhere, nor do docstrings and comments. A script that first looks whether such a folder exists is left
    alone where the machine has no /opt/ml.
    """
    return [
        f"{file.relative_to(folder).as_posix()}:{line}"
        for file in sorted(folder.rglob("*"))
        if file.suffix in (".py", ".sh") and file.is_file()
        for line in _lines(file)
    ]


def _lines(file: Path) -> list[int]:
    text = file.read_text(encoding="utf-8", errors="replace")
    if CONTAINER_FOLDER.as_posix() not in text:
        return []
    if file.suffix == ".sh":
        return [
            number
            for number, line in enumerate(text.splitlines(), 1)
            if _SHELL_ROOT.search(line.partition(" #")[0]) and not line.lstrip().startswith("#")
        ]
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return []  # it will not run either
    if not CONTAINER_FOLDER.exists() and any(_looks_first(node) for node in ast.walk(tree)):
        return []
    harmless = set(_harmless(tree))
    return sorted(
        {node.lineno for node in ast.walk(tree) if _is_path(node) and id(node) not in harmless}  # type: ignore[attr-defined]
    )


def _is_path(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and bool(_ROOT.match(node.value))


def _looks_first(node: ast.AST) -> bool:
    return _calls(node, _LOOKS) and any(_is_path(part) for part in ast.walk(node))


def _harmless(tree: ast.AST) -> Iterator[int]:
    """Constants that are read only where a variable is not set, or never."""
    for node in ast.walk(tree):
        parts: list[ast.AST] = []
        if isinstance(node, ast.Expr):
            parts = [node.value]
        elif isinstance(node, ast.Call) and _calls(node, _ASKS):
            parts = [*node.args[1:], *(keyword.value for keyword in node.keywords)]
        elif isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or):
            parts = list(node.values[1:])
        elif isinstance(node, ast.Compare):
            parts = [node]
        for part in parts:
            if isinstance(part, ast.Constant) or not isinstance(node, ast.Expr):
                yield from (id(leaf) for leaf in ast.walk(part))


def _calls(node: ast.AST, names: frozenset[str]) -> bool:
    if not isinstance(node, ast.Call):
        return False
    function = node.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    return name in names
