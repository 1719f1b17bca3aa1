"""The syntax tree of a script, and questions about it that several checks ask."""

import ast
import contextlib
import re
from collections import Counter
from collections.abc import Iterator
from functools import cached_property, lru_cache
from pathlib import Path
from typing import NamedTuple, TypeVar

from .finding import Finding, Severity

__all__ = ["HANDLERS", "Script", "dotted_name"]

HANDLERS = {
    "model_fn": ("model_dir",),
    "input_fn": ("request_body", "request_content_type"),
    "predict_fn": ("input_object", "model"),
    "output_fn": ("prediction", "content_type"),
    "transform_fn": ("model", "request_body", "request_content_type", "accept"),
}

Function = ast.FunctionDef | ast.AsyncFunctionDef

# A comment that allows a finding, with the reason after a second colon.
_ALLOWED = re.compile(r"#\s*script-check:\s*allow\s+(?P<id>\w+\.\w+):\s*\S")
Node = TypeVar("Node", bound=ast.AST)


class Script:
    """A parsed script.

    Parameters
    ----------
    path : str or Path
        The file.

    Attributes
    ----------
    findings : list of Finding
        What the checks added so far; holds the syntax error if the file could not be parsed.

    Raises
    ------
    OSError
        When the file cannot be read.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.findings: list[Finding] = []
        self.is_parsed = True
        content = self.path.read_bytes()
        self._lines = content.decode("utf-8", "replace").splitlines()
        try:
            parsed = _parse(content)
        except (SyntaxError, ValueError) as error:
            # ValueError: null bytes, or an encoding that Python does not know.
            parsed = _parse(b"")
            self.is_parsed = False
            self.add(
                getattr(error, "lineno", None) or 1,
                "Script.syntax",
                "error",
                f"it is not valid Python: {getattr(error, 'msg', error)}",
                "correct the syntax",
            )
        self.tree = parsed.tree
        self.nodes = parsed.nodes
        self.functions = {node.name: node for node in self.tree.body if isinstance(node, Function)}
        self._full_names = parsed.full_names
        self.imported_names = parsed.imported_names
        self.star_imports = parsed.star_imports

    def add(self, line: int, finding_id: str, severity: Severity, message: str, remedy: str) -> None:
        """Note a finding."""
        self.findings.append(Finding(str(self.path), line, finding_id, severity, message, remedy))

    def sorted_findings(self) -> list[Finding]:
        """Everything found that no comment allows, in the order of lines, each once."""
        return sorted({finding for finding in self.findings if not self._is_allowed(finding)})

    def _is_allowed(self, finding: Finding) -> bool:
        """Whether a comment on the line, or on one of its own above, allows the finding and says why."""
        above = self._lines[finding.line - 2 : finding.line - 1] if finding.line > 1 else []
        comments = self._lines[finding.line - 1 : finding.line]
        comments += [line for line in above if line.lstrip().startswith("#")]
        return any(finding.id == found["id"] for line in comments for found in _ALLOWED.finditer(line))

    @property
    def handlers(self) -> dict[str, ast.stmt]:
        """Statements that define or import handler functions at the top level, by their names."""
        found: dict[str, ast.stmt] = {}
        for statement in self.module_statements():
            for name in _bound_names(statement):
                if name in HANDLERS:
                    found[name] = statement
        return found

    def module_statements(self) -> Iterator[ast.stmt]:
        """Statements that run when the script is imported, those under conditions and loops included."""
        yield from _running(self.tree.body)

    def name_of(self, node: ast.AST) -> str:
        """Full name that an expression refers to, such as ``torch.jit.load``; empty if it is no name.

        Imports are resolved, and names that stand for others, as after ``load = torch.jit.load``.
        """
        return _resolved(dotted_name(node), self._full_names)

    @cached_property
    def _by_type(self) -> dict[type, list[ast.AST]]:
        found: dict[type, list[ast.AST]] = {}
        for node in self.nodes:
            found.setdefault(type(node), []).append(node)
        return found

    def nodes_of(self, *kinds: type[Node]) -> list[Node]:
        """Nodes of some kinds, kind by kind."""
        return [node for kind in kinds for node in self._by_type.get(kind, [])]  # type: ignore[misc]

    @cached_property
    def bound_names(self) -> set[str]:
        """Names that the script gives a meaning of its own, at whatever place."""
        names = {node.id for node in self.nodes_of(ast.Name) if isinstance(node.ctx, ast.Store)}
        functions = {node.name for node in self._all_functions}
        return names | functions | {node.name for node in self.nodes_of(ast.ClassDef)}

    @cached_property
    def constants(self) -> dict[str, object]:
        """Literal values of names that are assigned once, at the top level."""
        stored = Counter(node.id for node in self.nodes_of(ast.Name) if isinstance(node.ctx, ast.Store))
        found: dict[str, object] = {}
        for statement in self.tree.body:
            if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
                target = statement.targets[0]
                if isinstance(target, ast.Name) and stored[target.id] == 1:
                    with contextlib.suppress(ValueError, TypeError, SyntaxError):
                        found[target.id] = ast.literal_eval(statement.value)
        return found

    @cached_property
    def texts(self) -> list[str]:
        """All literal texts."""
        return [
            node.value
            for node in self.nodes
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        ]

    @cached_property
    def called_names(self) -> set[str]:
        """Names of the functions and methods that the script calls, without what they belong to."""
        calls = [node.func for node in self.nodes_of(ast.Call)]
        return {self.name_of(function).rpartition(".")[2] for function in calls} | {
            function.attr for function in calls if isinstance(function, ast.Attribute)
        }

    @cached_property
    def _all_functions(self) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
        return [*self.nodes_of(ast.FunctionDef), *self.nodes_of(ast.AsyncFunctionDef)]

    def _innermost(self, line: int) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
        around = [node for node in self._all_functions if node.lineno <= line <= (node.end_lineno or 0)]
        return max(around, key=lambda node: node.lineno, default=None)

    def function_at(self, line: int) -> str:
        """Name of the innermost function that a line is in; empty for none."""
        function = self._innermost(line)
        return function.name if function is not None else ""

    def function_line_at(self, line: int) -> int:
        """First line of the innermost function that a line is in; 0 for none."""
        function = self._innermost(line)
        return function.lineno if function is not None else 0

    def is_module_name(self, node: ast.Attribute) -> bool:
        """Whether an expression such as ``json.loads`` begins with what the script imports."""
        return dotted_name(node).partition(".")[0] in self.imported_names

    def calls(self, *names: str) -> list[ast.Call]:
        """Find calls of functions by their full names."""
        return [
            node for node in self.nodes if isinstance(node, ast.Call) and self.name_of(node.func) in names
        ]


def dotted_name(node: ast.AST) -> str:
    """``a.b.c`` for attributes of a name; else empty."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    return ".".join([node.id, *reversed(parts)])


class _Parsed(NamedTuple):
    tree: ast.Module
    nodes: list[ast.AST]
    full_names: dict[str, str]
    imported_names: set[str]
    star_imports: bool


@lru_cache(maxsize=256)  # several jobs of an app often have one script, and models the same modules
def _parse(content: bytes) -> _Parsed:
    tree = ast.parse(content)
    nodes = list(ast.walk(tree))
    names = _imported_names(nodes)
    aliases = {name: value for name, value in _aliases(nodes).items() if name not in names}
    names |= {name: _resolved(value, names) for name, value in aliases.items()}
    imported = _bound_by_imports(nodes)
    return _Parsed(tree, nodes, names, imported, star_imports="*" in imported)


def _resolved(name: str, full_names: dict[str, str]) -> str:
    first, dot, rest = name.partition(".")
    return full_names.get(first, first) + dot + rest


def _imported_names(nodes: list[ast.AST]) -> dict[str, str]:
    names: dict[str, str] = {}
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.asname: alias.name for alias in node.names if alias.asname}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return names


def _bound_by_imports(nodes: list[ast.AST]) -> set[str]:
    return {
        alias.asname or alias.name.partition(".")[0]
        for node in nodes
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }


def _aliases(nodes: list[ast.AST]) -> dict[str, str]:
    """Names that stand for something's attribute wherever they are assigned: ``get = os.environ.get``."""
    assigned: dict[str, set[str]] = {}
    for node in nodes:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    assigned.setdefault(target.id, set()).add(dotted_name(node.value))
    return {
        name: value
        for name, values in assigned.items()
        if len(values) == 1
        for value in values
        if "." in value
    }


def _running(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for statement in body:
        if isinstance(statement, ast.If) and _is_main_guard(statement.test):
            yield from _running(statement.orelse)
            continue
        yield statement
        if isinstance(statement, Function | ast.ClassDef):
            continue
        for part in ("body", "orelse", "finalbody"):
            yield from _running(getattr(statement, part, []))
        for handler in getattr(statement, "handlers", []):
            yield from _running(handler.body)


def _is_main_guard(test: ast.expr) -> bool:
    return any(isinstance(node, ast.Name) and node.id == "__name__" for node in ast.walk(test))


def _bound_names(statement: ast.stmt) -> list[str]:
    if isinstance(statement, Function):
        return [statement.name]
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return [alias.asname or alias.name for alias in statement.names]
    if isinstance(statement, ast.Assign):
        return [target.id for target in statement.targets if isinstance(target, ast.Name)]
    return []
