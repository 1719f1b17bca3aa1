"""Whether the handler functions of a script can be called as the model server calls them."""

import ast

from .script import HANDLERS, Script

__all__ = ["check_handler_functions"]

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda

_NEVER_FUNCTIONS = (
    ast.Constant,
    ast.Dict,
    ast.List,
    ast.Set,
    ast.Tuple,
    ast.JoinedStr,
    ast.DictComp,
    ast.ListComp,
)

# Names that people give to parameters, by what they are for.
_ROLES = {
    "model": {"model", "net", "network", "loaded_model"},
    "input": {"input_object", "input_data", "inputs", "input", "data", "x", "input_tensor", "input_batch"},
    "body": {"request_body", "body", "serialized_input_data", "request", "input_data", "data", "payload"},
    "type": {"request_content_type", "content_type", "accept", "response_content_type", "accept_type"},
    "prediction": {
        "prediction",
        "predictions",
        "prediction_output",
        "output",
        "outputs",
        "pred",
        "preds",
        "result",
    },
}
_ORDER = {
    "input_fn": ("body", "type"),
    "predict_fn": ("input", "model"),
    "output_fn": ("prediction", "type"),
    "transform_fn": ("model", "body"),
}
_OTHER_HANDLERS = ("pre_model_fn", "model_warmup_fn")
_MOST_SLIPS = 2


def check_handler_functions(script: Script) -> None:
    """Note handler functions that cannot be called, take their parameters in another order, or are misspelt.

    Parameters
    ----------
    script : Script
        Gets the findings.
    """
    for name in HANDLERS:
        function = _function(script, name)
        if function is not None:
            _check_signature(script, name, function)
    _check_transform_fn(script)
    _check_names(script)


def _function(script: Script, name: str) -> Function | None:
    """Find the function of a name, noting what is none."""
    if name in script.functions:
        return script.functions[name]
    statement = script.handlers.get(name)
    value = statement.value if isinstance(statement, ast.Assign) else None
    if isinstance(value, ast.Lambda):
        return value
    if isinstance(value, _NEVER_FUNCTIONS) and not _is_none(value):
        script.add(
            value.lineno,
            "Inference.handlerSignature",
            "error",
            f"{name} must be a function, and is a value",
            f"define it with def {name}({', '.join(HANDLERS[name])})",
        )
    return None


def _is_none(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value is None


def _check_signature(script: Script, name: str, function: Function) -> None:
    parameters = HANDLERS[name]
    expected = f"{name}({', '.join(parameters)})"
    if isinstance(function, ast.AsyncFunctionDef):
        script.add(
            function.lineno,
            "Inference.handlerSignature",
            "error",
            f"{name} is a coroutine, which the model server does not await",
            f"define it with def {expected}",
        )
    elif not _accepts(function.args, len(parameters)):
        script.add(
            function.lineno,
            "Inference.handlerSignature",
            "error",
            f"{name} must take {len(parameters)} arguments, and may take context after them",
            f"define it as {expected} or {name}({', '.join(parameters)}, context)",
        )
    elif _is_swapped(name, function.args):
        script.add(
            function.lineno,
            "Inference.handlerOrder",
            "error",
            f"{name} is called with ({', '.join(parameters)}), and its names say another order",
            f"define it as {expected}",
        )


def _accepts(arguments: ast.arguments, count: int) -> bool:
    """Whether a function can be called with `count` positional arguments, or with one more, the context."""
    positional = len(arguments.posonlyargs) + len(arguments.args)
    required = positional - len(arguments.defaults)
    if any(default is None for default in arguments.kw_defaults):
        return False
    enough = positional >= count or arguments.vararg is not None
    return enough and required <= count + 1


def _is_swapped(name: str, arguments: ast.arguments) -> bool:
    if name not in _ORDER:
        return False
    names = [argument.arg for argument in (*arguments.posonlyargs, *arguments.args)]
    first, second = (_ROLES[role] for role in _ORDER[name])
    if len(names) < 2 or names[0] in first or names[1] in second:
        return False
    return names[0] in second and (names[1] in first or name in ("predict_fn", "transform_fn"))


def _check_transform_fn(script: Script) -> None:
    handlers = script.handlers
    others = [name for name in ("input_fn", "predict_fn", "output_fn") if name in handlers]
    if "transform_fn" in handlers and others:
        script.add(
            handlers["transform_fn"].lineno,
            "Inference.transformFn",
            "error",
            f"transform_fn excludes {', '.join(others)}, which it stands for",
            "keep either transform_fn or the others",
        )


def _check_names(script: Script) -> None:
    """Note functions that nothing in the script uses, and whose names are almost those of handlers."""
    used = {node.id for node in script.nodes if isinstance(node, ast.Name)}
    used |= {node.attr for node in script.nodes if isinstance(node, ast.Attribute)}
    for name, function in script.functions.items():
        if name in HANDLERS or name in _OTHER_HANDLERS or name in used:
            continue
        meant = next((known for known in HANDLERS if _slips(name, known) <= _MOST_SLIPS), None)
        if meant is not None and meant not in script.handlers:
            script.add(
                function.lineno,
                "Inference.handlerName",
                "warning",
                f"{name} is called by nothing: the model server knows {', '.join(HANDLERS)}",
                f"name it {meant}, if that is what it is",
            )


def _slips(one: str, other: str) -> int:
    """How many letters have to be put in, left out, replaced, or swapped with their neighbour."""
    if abs(len(one) - len(other)) > _MOST_SLIPS:
        return _MOST_SLIPS + 1
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, left in enumerate(one, 1):
        before, last, row = row, before, [i]
        for j, right in enumerate(other, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (left != right))
            if i > 1 and j > 1 and left == other[j - 2] and one[i - 2] == right:
                cost = min(cost, last[j - 2] + 1)
            row.append(cost)
    return row[-1]
