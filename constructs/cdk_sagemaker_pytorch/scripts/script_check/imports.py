"""Whether what a script imports will be there, and is what it is taken for."""

import ast
import sys
from collections.abc import Collection, Iterator
from itertools import islice
from pathlib import Path

from .finding import Finding
from .script import Script

__all__ = [
    "check_imports",
    "check_relative_imports",
    "files_beside",
    "imported_files",
    "imported_modules",
    "requirements_left_behind",
    "statements_that_may_fail",
]

# Packages of the containers that the code that serves needs itself.
_CONTAINER_PACKAGES = frozenset(
    {"torch", "numpy", "ray", "starlette", "fastapi", "uvicorn", "ts", "mms", "sagemaker_inference"}
)
# Modules of Python that nobody misses: many projects have a folder of such a name.
_HARMLESS = frozenset({"__main__", "antigravity", "idlelib", "lib2to3", "test", "this", "turtledemo", "code"})
_MOST_LOOKED_AT = 10_000


def files_beside(path: Path) -> frozenset[str]:
    """Names of what lies in the folder of a script, by path relative to it, up to two folders deep.

    Parameters
    ----------
    path : Path
        The script.
    """
    folder = path.parent
    patterns = ("*.py", "*/*.py", "*/*/*.py")
    found = (file for pattern in patterns for file in folder.glob(pattern))
    return frozenset(file.relative_to(folder).as_posix() for file in islice(found, _MOST_LOOKED_AT))


def check_imports(script: Script, shipped: Collection[str]) -> None:
    """Note imports that fail in a container, and files that stand in front of packages.

    Parameters
    ----------
    script : Script
        Gets the findings.
    shipped : collection of str
        What ships, by path relative to the folder of the script.
    """
    modules = _Modules(shipped)
    prepared = statements_that_may_fail(script)
    for statement in script.module_statements():
        if id(statement) not in prepared:
            _check_import(script, statement, modules)
    for name in sorted(modules.top_level & (_CONTAINER_PACKAGES | sys.stdlib_module_names) - _HARMLESS):
        script.add(
            1,
            "Script.shadowedPackage",
            "error",
            f"{modules.file_of(name)} beside it is imported where the package {name} is meant",
            "give it another name",
        )


def check_relative_imports(script: Script) -> None:
    """Note imports that begin with a dot, which fail in an entry point.

    Parameters
    ----------
    script : Script
        The entry point.
    """
    prepared = statements_that_may_fail(script)
    for statement in script.module_statements():
        if id(statement) not in prepared:
            _check_relative_import(script, statement)


def imported_files(script: Script, shipped: Collection[str]) -> Iterator[str]:
    """Files of the source code that a script imports itself, by path relative to its folder."""
    modules = _Modules(shipped)
    for node in script.nodes:
        for name in imported_modules(node):
            file = modules.file_of(name)
            if file is not None and file != script.path.name:
                yield file


def requirements_left_behind(path: Path) -> Finding:
    """Say that requirements lie beside a single script and do not ship with it.

    Parameters
    ----------
    path : Path
        The requirements.txt.
    """
    return Finding(
        str(path),
        1,
        "Script.requirements",
        "warning",
        "requirements.txt lies beside the script and does not ship with it",
        "give it as one of the dependencies, or use SourceCode.from_directory",
    )


def _check_import(script: Script, statement: ast.stmt, modules: "_Modules") -> None:
    if _check_relative_import(script, statement):
        return
    for name in imported_modules(statement):
        top = name.partition(".")[0]
        if top in modules.top_level:
            if not modules.has(name):
                script.add(
                    statement.lineno,
                    "Script.missingModule",
                    "error",
                    f"{name} is no module of {top}, which ships beside the script",
                    "ship it, or correct the name",
                )
        elif top not in sys.stdlib_module_names:
            _check_neighbour(script, statement, top)


def _check_relative_import(script: Script, statement: ast.stmt) -> bool:
    if not isinstance(statement, ast.ImportFrom) or not statement.level:
        return False
    name = "." * statement.level + (statement.module or "")
    script.add(
        statement.lineno,
        "Script.relativeImport",
        "error",
        f"from {name} import fails in an entry point, which is no part of a package",
        f"write from {statement.module} import" if statement.module else "import by the full name",
    )
    return True


def _check_neighbour(script: Script, statement: ast.stmt, top: str) -> None:
    """Note a module that lies beside the script, or one folder above, and does not ship."""
    beside = script.path.parent
    for folder, where in ((beside, "beside the script"), (beside.parent, "one folder above")):
        if (folder / f"{top}.py").is_file() or (folder / top / "__init__.py").is_file():
            script.add(
                statement.lineno,
                "Script.missingModule",
                "warning",
                f"{top} lies {where} and does not ship with it",
                "give it as one of the dependencies, or use SourceCode.from_directory",
            )
            return


def imported_modules(node: ast.AST) -> list[str]:
    """Return the full names of modules that a statement imports, but for relative ones.

    Parameters
    ----------
    node : ast.AST
        Any node.
    """
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        return [node.module]
    return []


def statements_that_may_fail(script: Script) -> set[int]:
    """Identities of statements whose failure a script is prepared for, or that are for type checkers alone.

    Parameters
    ----------
    script : Script
        The script.
    """
    found: set[int] = set()
    for node in script.nodes:
        bodies: list[list[ast.stmt]] = []
        if isinstance(node, ast.Try):
            bodies = [node.body, *(handler.body for handler in node.handlers)]
        elif isinstance(node, ast.If):
            # Under a condition, such as TYPE_CHECKING or what a package's version is, it may not run at all.
            bodies = [node.body, node.orelse]
        found.update(id(statement) for body in bodies for statement in body)
    return found


class _Modules:
    """Modules among files, by dotted names."""

    def __init__(self, files: Collection[str]) -> None:
        self._files = {file for file in files if file.endswith(".py")}
        self._folders = {file.rpartition("/")[0] for file in self._files}
        self._folders |= {folder.split("/")[0] for folder in self._folders}
        packages = {file.split("/")[0] for file in self._files if file.count("/") == 1 and "__init__" in file}
        self.top_level = {file.removesuffix(".py") for file in self._files if "/" not in file} | packages

    def has(self, name: str) -> bool:
        path = name.replace(".", "/")
        # What a package's __init__.py makes a module of is not known.
        return self.file_of(name) is not None or path in self._folders or name.count(".") > 1

    def file_of(self, name: str) -> str | None:
        path = name.replace(".", "/")
        return next((file for file in (f"{path}.py", f"{path}/__init__.py") if file in self._files), None)
