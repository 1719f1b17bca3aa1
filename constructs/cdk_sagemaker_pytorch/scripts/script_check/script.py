"""The syntax tree of a script, and questions about it that several checks ask."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

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
        self.tree = ast.Module(body=[], type_ignores=[])
        self.is_parsed = True
        content = self.path.read_bytes()
        self._lines = content.decode("utf-8", "replace").splitlines()
        try:
            self.tree = ast.parse(content, str(path))
        except (SyntaxError, ValueError) as error:
            # ValueError: null bytes, or an encoding that Python does not know.
            self.is_parsed = False
            self.add(
                getattr(error, "lineno", None) or 1,
                "Script.syntax",
                "error",
                f"it is not valid Python: {getattr(error, 'msg', error)}",
                "correct the syntax",
            )
        self.nodes = list(ast.walk(self.tree))
        self.functions = {node.name: node for node in self.tree.body if isinstance(node, Function)}
        self._full_names = _imported_names(self.nodes)
        self._full_names |= {
            name: self._resolved(value)
            for name, value in _aliases(self.nodes).items()
            if name not in self._full_names
        }
        self.star_imports = any(
            isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names)
            for node in self.nodes
        )

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
        return self._resolved(dotted_name(node))

    def _resolved(self, name: str) -> str:
        first, dot, rest = name.partition(".")
        return self._full_names.get(first, first) + dot + rest

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


def _imported_names(nodes: list[ast.AST]) -> dict[str, str]:
    names: dict[str, str] = {}
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.asname: alias.name for alias in node.names if alias.asname}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return names


def _aliases(nodes: list[ast.AST]) -> dict[str, str]:
    """Names that are assigned once, and something's attribute: ``get = os.environ.get``."""
    assigned: dict[str, list[str]] = {}
    for node in nodes:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    assigned.setdefault(target.id, []).append(dotted_name(node.value))
    return {name: values[0] for name, values in assigned.items() if len(values) == 1 and "." in values[0]}


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
