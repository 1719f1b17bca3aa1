"""Training that an import of a script would start."""

import ast
from collections.abc import Callable, Collection
from functools import partial

from .script import Script

__all__ = ["check_main_guard"]


def check_main_guard(script: Script) -> None:
    """Note training that an import of the script would start.

    Parameters
    ----------
    script : Script
        Gets the finding.
    """
    serves = bool(script.handlers)
    trains = partial(_trains, trainers=_names_of_trainers(script))
    looks = [(_Calls(script, trains), "training code runs")]
    if serves:  # alone, it harms none that is only trained with
        looks.append((_Calls(script, _reads_the_command_line), "the command line is read"))
    for statement in script.module_statements():
        if hasattr(statement, "body"):
            continue  # a definition does not run, and the parts of a block come by themselves
        for calls, what in looks:
            if any(calls.at(node) for node in ast.walk(statement)):
                script.add(
                    statement.lineno,
                    "Script.mainGuard",
                    "error" if serves else "warning",
                    f"{what} whenever the script is imported"
                    + (", which the model server does for its handler functions" if serves else ""),
                    'put it under if __name__ == "__main__":',
                )
                return


class _Calls:
    """Whether an expression makes calls of a kind, by itself or in a function of the script."""

    def __init__(self, script: Script, kind: Callable[[Script, ast.Call], bool]) -> None:
        self._script = script
        self._kind = kind
        self._known: dict[str, bool] = {}

    def at(self, node: ast.AST) -> bool:
        if not isinstance(node, ast.Call):
            return False
        return self._kind(self._script, node) or (
            isinstance(node.func, ast.Name) and self._in_function(node.func.id)
        )

    def _in_function(self, name: str) -> bool:
        if name not in self._known:
            self._known[name] = False  # while its own body is looked at: it may call itself
            function = self._script.functions.get(name)
            self._known[name] = function is not None and any(
                self.at(node) for statement in function.body for node in ast.walk(statement)
            )
        return self._known[name]


def _trains(script: Script, call: ast.Call, trainers: Collection[str]) -> bool:
    function = call.func
    if script.name_of(function) in ("torch.save", "torch.jit.save"):
        return True
    if not isinstance(function, ast.Attribute):
        return False
    # Label encoders and tokenizers have a fit too, which is quick and belongs to what serves.
    return function.attr == "backward" or (
        function.attr in ("fit", "train") and _is_trainer(script, function.value, trainers)
    )


def _reads_the_command_line(script: Script, call: ast.Call) -> bool:
    function = call.func
    # Given arguments, it reads those.
    return (
        isinstance(function, ast.Attribute)
        and function.attr in ("parse_args", "parse_known_args")
        and not (call.args or call.keywords)
    )


def _is_trainer(script: Script, node: ast.expr, trainers: Collection[str]) -> bool:
    if isinstance(node, ast.Call):
        return script.name_of(node.func).endswith("Trainer")
    return isinstance(node, ast.Name) and node.id in trainers


def _names_of_trainers(script: Script) -> set[str]:
    """Names that stand for a Trainer, as Lightning and transformers call theirs."""
    return {
        target.id
        for node in script.nodes
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Call)
        and script.name_of(node.value.func).endswith("Trainer")
        for target in node.targets
        if isinstance(target, ast.Name)
    }
