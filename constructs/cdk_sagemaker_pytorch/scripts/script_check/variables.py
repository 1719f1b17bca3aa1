"""Environment variables of a training container that a script reads."""

import ast
import difflib
from collections.abc import Collection, Iterator, Mapping

from .script import Script

__all__ = ["check_variables"]

# What sagemaker-training 5.1 sets on every host, besides SM_CHANNEL_x and SM_HP_x.
_ALWAYS = frozenset(
    f"SM_{name}"
    for name in (
        *("CHANNELS", "CURRENT_HOST", "CURRENT_INSTANCE_GROUP", "CURRENT_INSTANCE_GROUP_HOSTS"),
        *("CURRENT_INSTANCE_TYPE", "DISTRIBUTION_INSTANCE_GROUPS", "FRAMEWORK_MODULE", "FRAMEWORK_PARAMS"),
        *("HOSTS", "HPS", "INPUT_CONFIG_DIR", "INPUT_DATA_CONFIG", "INPUT_DIR", "INSTANCE_GROUPS"),
        *("INSTANCE_GROUPS_DICT", "IS_HETERO", "LOG_LEVEL", "MODEL_DIR", "MODULE_DIR", "MODULE_NAME"),
        *("NETWORK_INTERFACE_NAME", "NUM_CPUS", "NUM_GPUS", "NUM_NEURONS", "OUTPUT_DATA_DIR", "OUTPUT_DIR"),
        *("OUTPUT_INTERMEDIATE_DIR", "RESOURCE_CONFIG", "TRAINING_ENV", "USER_ARGS", "USER_ENTRY_POINT"),
    )
)
_READS = ("os.getenv", "os.environ.get")
_CATCHES = ("KeyError", "LookupError", "Exception", "BaseException")


def check_variables(
    script: Script,
    *,
    channels: Collection[str] | None,
    hyperparameters: Mapping[str, object] | None,
    environment: Collection[str] | None,
) -> None:
    """Note variables that the job will not have.

    Parameters
    ----------
    script : Script
        The script.
    channels, hyperparameters, environment : optional
        What the job has; None where that is not known.
    """
    known = _ALWAYS | set(environment or ())
    reads = [read for read in _reads(script) if read[0].startswith("SM_") and read[0] not in known]
    done_without = _done_without(script) if reads else set()
    for name, line, is_needed in reads:
        if name in done_without:
            continue
        if name.startswith("SM_CHANNEL_"):
            if channels is not None:
                _check_channel(script, name, line, is_needed, channels)
        elif name.startswith("SM_HP_"):
            if hyperparameters is not None:
                _check_hyperparameter(script, name, line, is_needed, hyperparameters)
        else:
            _check_other(script, name, line, is_needed)
    _check_deleted(script)


def _check_channel(script: Script, name: str, line: int, is_needed: bool, channels: Collection[str]) -> None:
    channel = name.removeprefix("SM_CHANNEL_")
    declared = {declared.upper() for declared in channels}
    if channel in declared:
        return
    script.add(
        line,
        "Training.unknownChannel",
        "error" if is_needed else "warning",
        f"{name} is read, while the input channels are {', '.join(sorted(declared)).lower() or 'none'}",
        f"add the channel {channel.lower()}, or read the variable with a default",
    )


def _check_hyperparameter(
    script: Script, name: str, line: int, is_needed: bool, hyperparameters: Mapping[str, object]
) -> None:
    declared = {f"SM_HP_{given.upper()}": given for given in hyperparameters}
    if name in declared:
        return
    twin = next((other for other in declared if other.replace("-", "_") == name.replace("-", "_")), None)
    close = [twin] if twin else difflib.get_close_matches(name, declared, 1, 0.8)
    # Without a look-alike it may well be one that is left out on purpose, and read with a default of None.
    if not is_needed and not close:
        return
    script.add(
        line,
        "Training.hyperparameterVariable",
        "error" if is_needed else "warning",
        f"{name} is read, while the hyperparameters have {', '.join(sorted(declared)) or 'none'}",
        f"read {close[0]}" if close else "add the hyperparameter, or read the variable with a default",
    )


def _check_other(script: Script, name: str, line: int, is_needed: bool) -> None:
    close = difflib.get_close_matches(name, _ALWAYS, 1, 0.75)
    if not is_needed and not close:
        return
    script.add(
        line,
        "Training.unknownVariable",
        "error" if is_needed else "warning",
        f"{name} is read, which SageMaker does not set",
        f"read {close[0]}" if close else "give it as environment, or read it with a default",
    )


def _check_deleted(script: Script) -> None:
    """Note a variable that is read after the script itself has deleted it."""
    if not script.nodes_of(ast.Delete):
        return
    for node in script.nodes:
        for body in (getattr(node, part, None) for part in ("body", "orelse", "finalbody")):
            if isinstance(body, list):
                _check_deleted_in(script, body)


def _check_deleted_in(script: Script, body: list[ast.stmt]) -> None:
    deleted: dict[str, int] = {}
    for statement in body:
        if not isinstance(statement, ast.Expr | ast.Assign | ast.Delete | ast.AnnAssign | ast.AugAssign):
            deleted.clear()  # what a block does is not followed
            continue
        for name, line, _ in _reads_of(script, statement):
            if name in deleted:
                script.add(
                    line,
                    "Training.unknownVariable",
                    "error",
                    f"{name} is read, which the script deletes in line {deleted[name]}",
                    "read it before",
                )
        for node in ast.walk(statement):
            if isinstance(node, ast.Delete):
                deleted |= {name: node.lineno for target in node.targets if (name := _key(script, target))}
        for name in _assigned(script, statement):
            deleted.pop(name, None)


def _reads(script: Script) -> Iterator[tuple[str, int, bool]]:
    yield from _reads_of(script, script.tree)


def _reads_of(script: Script, tree: ast.AST) -> Iterator[tuple[str, int, bool]]:
    """Name, line, and whether it must be there, of each variable that is read without a default."""
    nodes = script.nodes_of(ast.Subscript, ast.Call) if tree is script.tree else ast.walk(tree)
    for node in nodes:
        if isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Store):
            if name := _key(script, node):
                yield name, node.lineno, True
        elif isinstance(node, ast.Call) and len(node.args) == 1 and not node.keywords:
            function = script.name_of(node.func)
            if function in _READS and (name := _text(script, node.args[0])):
                yield name, node.lineno, False
            elif function in ("os.environ.pop", "os.environ.__getitem__") and (
                name := _text(script, node.args[0])
            ):
                yield name, node.lineno, True


def _key(script: Script, node: ast.AST) -> str:
    """Name of the variable in ``os.environ[...]``; else empty."""
    if isinstance(node, ast.Subscript) and script.name_of(node.value) == "os.environ":
        return _text(script, node.slice)
    return ""


def _text(script: Script, node: ast.AST) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.Name) and isinstance(script.constants.get(node.id), str):
        return str(script.constants[node.id])
    return ""


def _assigned(script: Script, tree: ast.AST) -> set[str]:
    """Variables that the script sets itself."""
    found: set[str] = set()
    for node in script.nodes if tree is script.tree else ast.walk(tree):
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
            found.add(_key(script, node))
        elif isinstance(node, ast.Call):
            function = script.name_of(node.func)
            if function == "os.environ.setdefault" and node.args:
                found.add(_text(script, node.args[0]))
            elif function == "os.environ.update":
                found.update(keyword.arg for keyword in node.keywords if keyword.arg)
                for argument in node.args:
                    if isinstance(argument, ast.Dict):
                        found.update(_text(script, key) for key in argument.keys if key)
    return found - {""}


def _done_without(script: Script) -> set[str]:
    """Variables that a script sets, or looks for before it reads them, or goes on without."""
    found = _assigned(script, script.tree)
    looked_up = _names_of_lookups(script)
    for node in script.nodes:
        parts: list[ast.AST] = []
        if isinstance(node, ast.Compare) and any(isinstance(op, ast.In | ast.NotIn) for op in node.ops):
            parts = [node]
        elif _goes_on_without(script, node):
            parts = list(node.body)  # type: ignore[attr-defined]  # both kinds have one
        elif isinstance(node, ast.BoolOp):
            parts = [value for value in node.values if isinstance(value, ast.Call)]
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            parts = [node.operand]
        elif isinstance(node, ast.If | ast.IfExp | ast.While | ast.Assert):
            parts = [node.test]
        elif isinstance(node, ast.comprehension):
            parts = list(node.ifs)
        for part in parts:
            for leaf in ast.walk(part):
                found.add(_text(script, leaf))
                if isinstance(leaf, ast.Name):
                    found.update(looked_up.get(leaf.id, ()))
    return found - {""}


def _names_of_lookups(script: Script) -> dict[str, set[str]]:
    """Variables that a name tells of, as after ``val = os.environ.get("SM_CHANNEL_VAL")``."""
    found: dict[str, set[str]] = {}
    for node in script.nodes:
        if isinstance(node, ast.Assign | ast.NamedExpr | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = {name for name, _, is_needed in _reads_of(script, node.value) if not is_needed}
            if isinstance(node.value, ast.Compare):
                names |= {_text(script, leaf) for leaf in ast.walk(node.value)}
            for target in targets:
                if isinstance(target, ast.Name):
                    found.setdefault(target.id, set()).update(names)
    return found


def _goes_on_without(script: Script, node: ast.AST) -> bool:
    """Whether a missing variable does not end the script within a block."""
    if isinstance(node, ast.Try):
        return any(_catches_key_error(handler) for handler in node.handlers)
    return isinstance(node, ast.With | ast.AsyncWith) and any(
        _suppresses_key_error(script, item.context_expr) for item in node.items
    )


def _catches_key_error(handler: ast.ExceptHandler) -> bool:
    return handler.type is None or any(
        isinstance(node, ast.Name) and node.id in _CATCHES for node in ast.walk(handler.type)
    )


def _suppresses_key_error(script: Script, expression: ast.expr) -> bool:
    return (
        isinstance(expression, ast.Call)
        and script.name_of(expression.func) == "contextlib.suppress"
        and any(isinstance(argument, ast.Name) and argument.id in _CATCHES for argument in expression.args)
    )
