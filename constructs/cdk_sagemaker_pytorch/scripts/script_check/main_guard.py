"""Training that an import of a script would start."""

import ast

from .script import Script

__all__ = ["check_main_guard"]


def check_main_guard(script: Script) -> None:
    """Note training that an import of the script would start.

    Parameters
    ----------
    script : Script
        Gets the finding.
    """
    trains = _Trains(script)
    for statement in script.module_statements():
        if hasattr(statement, "body"):
            continue  # a definition does not run, and the parts of a block come by themselves
        if any(trains.at(node) for node in ast.walk(statement)):
            serves = bool(script.handlers)
            script.add(
                statement.lineno,
                "Script.mainGuard",
                "error" if serves else "warning",
                "training code runs whenever the script is imported"
                + (", which the model server does for its handler functions" if serves else ""),
                'put it under if __name__ == "__main__":',
            )
            return


class _Trains:
    """Whether an expression trains or reads the command line, by itself or in a function of the script."""

    _PARSERS = frozenset({"parse_args", "parse_known_args"})
    _FUNCTIONS = frozenset({"torch.save", "torch.jit.save"})

    def __init__(self, script: Script) -> None:
        self._script = script
        self._known: dict[str, bool] = {}
        self._trainers = _names_of_trainers(script)

    def at(self, node: ast.AST) -> bool:
        if not isinstance(node, ast.Call):
            return False
        if isinstance(node.func, ast.Attribute) and self._method(node, node.func):
            return True
        if self._script.name_of(node.func) in self._FUNCTIONS:
            return True
        return isinstance(node.func, ast.Name) and self._in_function(node.func.id)

    def _method(self, call: ast.Call, function: ast.Attribute) -> bool:
        if function.attr == "backward":
            return True
        if function.attr in self._PARSERS:
            return not call.args and not call.keywords  # given arguments, it does not read the command line
        # Label encoders and tokenizers have a fit too, which is quick and belongs to what serves.
        return function.attr in ("fit", "train") and self._is_trainer(function.value)

    def _is_trainer(self, node: ast.expr) -> bool:
        if isinstance(node, ast.Call):
            return self._script.name_of(node.func).endswith("Trainer")
        return isinstance(node, ast.Name) and node.id in self._trainers

    def _in_function(self, name: str) -> bool:
        if name not in self._known:
            self._known[name] = False  # while its own body is looked at: it may call itself
            function = self._script.functions.get(name)
            self._known[name] = function is not None and any(
                self.at(node) for statement in function.body for node in ast.walk(statement)
            )
        return self._known[name]


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
