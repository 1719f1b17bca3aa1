"""What ``torch.load`` does with a file: run its code, or refuse a model that is more than weights."""

import ast
from collections.abc import Iterator, Mapping

from cdk_sagemaker_pytorch.images.framework_version import FrameworkVersion

from .script import Script

__all__ = ["check_torch_load"]

# What is asked of a module, and neither of a state dict nor of a tensor.
_OF_MODULES = frozenset({"eval", "train", "forward", "half"})
# What gives the same model back.
_PASSED_ON = frozenset({"eval", "train", "to", "cpu", "cuda", "half", "float", "double"})


def check_torch_load(script: Script, version: FrameworkVersion | None) -> None:
    """Note loads that run code from the file, and models that are loaded whole where only weights are.

    Parameters
    ----------
    script : Script
        Gets the findings.
    version : FrameworkVersion, optional
        The container's. Defaults to not known: ``weights_only`` exists since 1.13, and is the default since
        2.6.
    """
    _check_code_from_files(script, version)
    if version is not None and version.release >= (2, 6):
        _check_whole_models(script)


def _check_code_from_files(script: Script, version: FrameworkVersion | None) -> None:
    needs_argument = version is None or (1, 13) <= version.release < (2, 6)
    for call in script.calls("torch.load"):
        given = {keyword.arg: keyword.value for keyword in call.keywords}
        value = given.get("weights_only")
        is_off = isinstance(value, ast.Constant) and value.value is False
        is_missing = value is None and None not in given
        if is_off or (is_missing and needs_argument):
            script.add(
                call.lineno,
                "Inference.torchLoad",
                "warning",
                f"torch.load {'with weights_only=False' if is_off else 'without weights_only'} "
                "runs whatever code the file holds",
                "save the state_dict and load it with weights_only=True",
            )


def _check_whole_models(script: Script) -> None:
    if script.calls("torch.serialization.add_safe_globals"):
        return
    loads = _Loads(script)
    used = [load for function in script.functions.values() for load in loads.used_as_modules(function)]
    for load in [*used, *_served(script, loads)]:
        script.add(
            load.lineno,
            "Inference.wholeModel",
            "error",
            "torch.load of a whole model fails since PyTorch 2.6, where it loads weights only",
            "save the state_dict and load it into the model, or, if you trust the file,"
            " use weights_only=False",
        )


def _served(script: Script, loads: "_Loads") -> Iterator[ast.Call]:
    """Return what model_fn loads and returns, where it is called as a module."""
    predict = next((name for name in ("transform_fn", "predict_fn") if name in script.handlers), None)
    load = loads.returned_by("model_fn")
    if load is None:
        return
    if predict is None:  # the default calls it
        yield load
        return
    function = script.functions.get(predict)
    position = 0 if predict == "transform_fn" else 1
    if function is not None and len(function.args.args) > position:
        given = {function.args.args[position].arg: load}
        yield from loads.used_as_modules(function, given)


class _Loads:
    """Values that come from ``torch.load`` with its default of weights only."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._returned: dict[str, ast.Call | None] = {}

    def used_as_modules(
        self, function: ast.FunctionDef | ast.AsyncFunctionDef, given: Mapping[str, ast.Call] | None = None
    ) -> Iterator[ast.Call]:
        """Find loads whose values a function calls, or asks what only a module can be asked."""
        names = self._names_in(function) if given is None else given
        for node in ast.walk(function):
            if isinstance(node, ast.Attribute) and node.attr in _OF_MODULES:
                load = self._of(node.value, names)
            elif isinstance(node, ast.Call) and not isinstance(node.func, ast.Attribute):
                load = self._of(node.func, names)
            else:
                continue
            if load is not None:
                yield load

    def returned_by(self, name: str) -> ast.Call | None:
        """Find the load whose value a function of the script returns."""
        if name not in self._returned:
            self._returned[name] = None  # while its own body is looked at: it may call itself
            function = self._script.functions.get(name)
            if function is not None:
                names = self._names_in(function)
                returned = (node.value for node in ast.walk(function) if isinstance(node, ast.Return))
                found = (self._of(value, names) for value in returned if value is not None)
                self._returned[name] = next(filter(None, found), None)
        return self._returned[name]

    def _names_in(self, function: ast.AST) -> dict[str, ast.Call]:
        """Return the names that stand for nothing else in a function."""
        values: dict[str, list[ast.Call | None]] = {}
        for node in ast.walk(function):
            if isinstance(node, ast.Assign):
                known = {name: found[0] for name, found in values.items() if found[0] is not None}
                for target in node.targets:
                    if isinstance(target, ast.Name):
                        values.setdefault(target.id, []).append(self._of(node.value, known))
        return {name: found[0] for name, found in values.items() if found[0] is not None and all(found)}

    def _of(self, node: ast.expr, names: Mapping[str, ast.Call]) -> ast.Call | None:
        """Find the load that an expression's value comes from."""
        if isinstance(node, ast.Name):
            return names.get(node.id)
        if not isinstance(node, ast.Call):
            return None
        if self._is_load(node):
            return node
        if isinstance(node.func, ast.Name):
            return self.returned_by(node.func.id)
        if isinstance(node.func, ast.Attribute) and node.func.attr in _PASSED_ON:
            return self._of(node.func.value, names)
        return None

    def _is_load(self, call: ast.Call) -> bool:
        return self._script.name_of(call.func) == "torch.load" and not any(
            keyword.arg in ("weights_only", None) for keyword in call.keywords
        )
