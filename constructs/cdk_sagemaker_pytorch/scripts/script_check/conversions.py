"""What the ``type`` of an argument makes of a text, worked out without running the script.

Known functions are called, and small functions of the script's own are interpreted, as far as they do nothing
but look at their text.
"""

import ast
import json
import operator
from collections.abc import Callable, Mapping
from typing import Any

from .script import Script

__all__ = ["Conversion", "NotUnderstoodError", "RefusedError", "conversion_of"]

Conversion = Callable[[str], object]

_MOST_STEPS = 5_000
_MOST_SIZE = 100_000


class RefusedError(Exception):
    """The conversion raises an error: argparse refuses the text, or the script fails."""


class NotUnderstoodError(Exception):
    """What the conversion does cannot be told from the script's text."""


def conversion_of(script: Script, node: ast.expr | None) -> Conversion:
    """Read the ``type`` of an argument.

    Parameters
    ----------
    script : Script
        Where it is written.
    node : ast.expr or None
        The expression; None where there is none, and texts stay what they are.

    Returns
    -------
    Conversion
        It raises `RefusedError` or `NotUnderstoodError`.
    """
    if node is None:
        return str

    def convert(text: str) -> object:
        interpreter = _Interpreter(script)
        return interpreter.call(interpreter.function(node, {}), [text])

    return convert


def _strtobool(text: str) -> int:
    lowered = text.lower()
    if lowered in ("y", "yes", "t", "true", "on", "1"):
        return 1
    if lowered in ("n", "no", "f", "false", "off", "0"):
        return 0
    raise ValueError(f"invalid truth value {text!r}")


def _literal(text: str) -> object:
    """Do what `eval` does of a literal; anything else could be whatever it likes."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError) as error:
        if text.isidentifier() or not text.strip():
            raise ValueError(str(error)) from None
        raise NotUnderstoodError from None


_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "int": int,
    "float": float,
    "complex": complex,
    "str": str,
    "bool": bool,
    "list": list,
    "tuple": tuple,
    "set": set,
    "frozenset": frozenset,
    "dict": dict,
    "len": len,
    "sorted": sorted,
    "any": any,
    "all": all,
    "sum": sum,
    "min": min,
    "max": max,
    "abs": abs,
    "round": round,
    "isinstance": isinstance,
    "enumerate": lambda *arguments: list(enumerate(*arguments)),
    "zip": lambda *arguments: list(zip(*arguments, strict=False)),
    "ast.literal_eval": ast.literal_eval,
    "json.loads": json.loads,
    "eval": _literal,
    "builtins.eval": _literal,
    "distutils.util.strtobool": _strtobool,
    "setuptools._distutils.util.strtobool": _strtobool,
    "pathlib.Path": str,
    "pathlib.PurePath": str,
    "os.path.expanduser": str,
    "os.path.abspath": str,
}
_TYPES = {"int": int, "float": float, "str": str, "bool": bool, "list": list, "tuple": tuple, "dict": dict}
_TEXT_METHODS = (
    *("lower", "upper", "title", "capitalize", "casefold", "strip", "lstrip", "rstrip", "replace"),
    *("split", "rsplit", "splitlines", "partition", "rpartition", "join", "removeprefix", "removesuffix"),
    *("startswith", "endswith", "isdigit", "isnumeric", "isdecimal", "isalpha", "count", "find", "index"),
)
_METHODS: Mapping[type, frozenset[str]] = {
    str: frozenset(_TEXT_METHODS),
    dict: frozenset(["get", "items", "keys", "values"]),
    list: frozenset(["index", "count"]),
    tuple: frozenset(["index", "count"]),
}
_OPERATORS: Mapping[type, Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.In: lambda one, many: one in many,
    ast.NotIn: lambda one, many: one not in many,
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}


class _Return(Exception):  # noqa: N818  # not an error
    def __init__(self, value: object) -> None:
        self.value = value


class _Interpreter:
    """Evaluates expressions and statements that have no effects."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._steps = 0

    def call(self, function: Callable[..., Any], arguments: list[Any]) -> Any:
        try:
            return function(*arguments)
        except (RefusedError, NotUnderstoodError, _Return):
            raise
        except RecursionError:
            raise NotUnderstoodError from None
        except Exception as error:
            raise RefusedError(str(error)) from None

    def function(self, node: ast.expr, names: Mapping[str, Any]) -> Callable[..., Any]:
        """Find what an expression calls."""
        if isinstance(node, ast.Lambda):
            return self._defined(node.args, lambda inner: self.value(node.body, inner), names)
        if isinstance(node, ast.Attribute) and not self._script.is_module_name(node):
            return self._method(self.value(node.value, names), node.attr)
        name = self._script.name_of(node)
        defined = self._script.functions.get(name)
        if isinstance(defined, ast.FunctionDef) and not defined.decorator_list:
            body = defined.body
            return self._defined(defined.args, lambda inner: self._run(body, inner), {})
        if name == "map":
            return lambda one, *many: [self.call(one, list(each)) for each in zip(*many, strict=False)]
        if name in self._script.bound_names or name not in _FUNCTIONS:
            raise NotUnderstoodError
        return _FUNCTIONS[name]

    def _defined(
        self, parameters: ast.arguments, body: Callable[[dict[str, Any]], Any], names: Mapping[str, Any]
    ) -> Callable[..., Any]:
        takes = [parameter.arg for parameter in (*parameters.posonlyargs, *parameters.args)]
        if parameters.vararg or parameters.kwarg or parameters.kwonlyargs:
            raise NotUnderstoodError
        defaults = [self.value(default, names) for default in parameters.defaults]

        def call(*arguments: Any) -> Any:
            missing = len(takes) - len(arguments)
            if missing < 0 or missing > len(defaults):
                raise RefusedError(f"takes {len(takes)} arguments")
            given = [*arguments, *defaults[len(defaults) - missing :]]
            return body({**names, **dict(zip(takes, given, strict=True))})

        return call

    def _method(self, owner: Any, name: str) -> Callable[..., Any]:
        if not hasattr(owner, name):
            raise RefusedError(f"{type(owner).__name__} has no attribute {name}")
        if name not in _METHODS.get(type(owner), ()):
            raise NotUnderstoodError
        method: Callable[..., Any] = getattr(owner, name)
        return method

    def value(self, node: ast.expr, names: Mapping[str, Any]) -> Any:
        """Evaluate an expression."""
        self._steps += 1
        if self._steps > _MOST_STEPS:
            raise NotUnderstoodError
        evaluate = getattr(self, f"_{type(node).__name__.lower()}", None)
        if evaluate is None:
            raise NotUnderstoodError
        result = evaluate(node, names)
        if isinstance(result, str | list | tuple) and len(result) > _MOST_SIZE:
            raise NotUnderstoodError
        return result

    def _constant(self, node: ast.Constant, names: Mapping[str, Any]) -> Any:
        return node.value

    def _name(self, node: ast.Name, names: Mapping[str, Any]) -> Any:
        if node.id in names:
            return names[node.id]
        if node.id in self._script.constants:
            return self._script.constants[node.id]
        if node.id in _TYPES and node.id not in self._script.bound_names:
            return _TYPES[node.id]
        return self.function(node, names)

    def _attribute(self, node: ast.Attribute, names: Mapping[str, Any]) -> Any:
        return self.function(node, names)

    def _lambda(self, node: ast.Lambda, names: Mapping[str, Any]) -> Any:
        return self.function(node, names)

    def _call(self, node: ast.Call, names: Mapping[str, Any]) -> Any:
        if node.keywords or any(isinstance(argument, ast.Starred) for argument in node.args):
            raise NotUnderstoodError
        if isinstance(node.func, ast.Name) and callable(names.get(node.func.id)):
            function = names[node.func.id]
        else:
            function = self.function(node.func, names)
        return self.call(function, [self.value(argument, names) for argument in node.args])

    def _compare(self, node: ast.Compare, names: Mapping[str, Any]) -> Any:
        left = self.value(node.left, names)
        for operation, right_node in zip(node.ops, node.comparators, strict=True):
            right = self.value(right_node, names)
            if not self._apply(operation, left, right):
                return False
            left = right
        return True

    def _boolop(self, node: ast.BoolOp, names: Mapping[str, Any]) -> Any:
        stops = isinstance(node.op, ast.Or)
        result: Any = None
        for part in node.values:
            result = self.value(part, names)
            if bool(result) is stops:
                break
        return result

    def _unaryop(self, node: ast.UnaryOp, names: Mapping[str, Any]) -> Any:
        operand = self.value(node.operand, names)
        if isinstance(node.op, ast.Not):
            return not operand
        if isinstance(node.op, ast.USub):
            return self.call(operator.neg, [operand])
        raise NotUnderstoodError

    def _binop(self, node: ast.BinOp, names: Mapping[str, Any]) -> Any:
        left, right = self.value(node.left, names), self.value(node.right, names)
        if isinstance(node.op, ast.Mult) and all(isinstance(part, int | float) for part in (left, right)):
            return left * right
        return self._apply(node.op, left, right)

    def _apply(self, operation: ast.AST, left: Any, right: Any) -> Any:
        if type(operation) not in _OPERATORS:
            raise NotUnderstoodError
        return self.call(_OPERATORS[type(operation)], [left, right])

    def _ifexp(self, node: ast.IfExp, names: Mapping[str, Any]) -> Any:
        return self.value(node.body if self.value(node.test, names) else node.orelse, names)

    def _list(self, node: ast.List, names: Mapping[str, Any]) -> Any:
        return [self.value(part, names) for part in node.elts]

    def _tuple(self, node: ast.Tuple, names: Mapping[str, Any]) -> Any:
        return tuple(self._list(node, names))  # type: ignore[arg-type]  # it has elts too

    def _set(self, node: ast.Set, names: Mapping[str, Any]) -> Any:
        return set(self._list(node, names))  # type: ignore[arg-type]

    def _dict(self, node: ast.Dict, names: Mapping[str, Any]) -> Any:
        if None in node.keys:
            raise NotUnderstoodError
        pairs = zip(node.keys, node.values, strict=True)
        return {self.value(key, names): self.value(value, names) for key, value in pairs if key}

    def _subscript(self, node: ast.Subscript, names: Mapping[str, Any]) -> Any:
        return self.call(operator.getitem, [self.value(node.value, names), self.value(node.slice, names)])

    def _slice(self, node: ast.Slice, names: Mapping[str, Any]) -> Any:
        return slice(*(part and self.value(part, names) for part in (node.lower, node.upper, node.step)))

    def _listcomp(self, node: ast.ListComp | ast.GeneratorExp | ast.SetComp, names: Mapping[str, Any]) -> Any:
        if len(node.generators) != 1:
            raise NotUnderstoodError
        loop, results = node.generators[0], []
        for item in self.call(list, [self.value(loop.iter, names)]):
            inner = {**names, **self._bound(loop.target, item)}
            if all(self.value(test, inner) for test in loop.ifs):
                results.append(self.value(node.elt, inner))
        return results

    def _generatorexp(self, node: ast.GeneratorExp, names: Mapping[str, Any]) -> Any:
        return self._listcomp(node, names)

    def _setcomp(self, node: ast.SetComp, names: Mapping[str, Any]) -> Any:
        return self.call(set, [self._listcomp(node, names)])

    def _dictcomp(self, node: ast.DictComp, names: Mapping[str, Any]) -> Any:
        pair = ast.Tuple(elts=[node.key, node.value], ctx=ast.Load())
        return self.call(dict, [self._listcomp(ast.ListComp(elt=pair, generators=node.generators), names)])

    def _joinedstr(self, node: ast.JoinedStr, names: Mapping[str, Any]) -> Any:
        raise NotUnderstoodError

    def _bound(self, target: ast.expr, value: Any) -> dict[str, Any]:
        if isinstance(target, ast.Name):
            return {target.id: value}
        if isinstance(target, ast.Tuple | ast.List):
            values = self.call(list, [value])
            if len(values) != len(target.elts):
                raise RefusedError("wrong number of values to unpack")
            found: dict[str, Any] = {}
            for part, item in zip(target.elts, values, strict=True):
                found |= self._bound(part, item)
            return found
        raise NotUnderstoodError

    def _run(self, body: list[ast.stmt], names: dict[str, Any]) -> Any:
        try:
            self._statements(body, names)
        except _Return as returned:
            return returned.value
        return None

    def _statements(self, body: list[ast.stmt], names: dict[str, Any]) -> None:
        for statement in body:
            self._steps += 1
            if isinstance(statement, ast.Return):
                raise _Return(statement.value and self.value(statement.value, names))
            if isinstance(statement, ast.If):
                self._statements(
                    statement.body if self.value(statement.test, names) else statement.orelse, names
                )
            elif isinstance(statement, ast.Raise):
                raise RefusedError("it raises an error")
            elif isinstance(statement, ast.Assert):
                if not self.value(statement.test, names):
                    raise RefusedError("an assertion fails")
            elif isinstance(statement, ast.Assign) and len(statement.targets) == 1:
                names.update(self._bound(statement.targets[0], self.value(statement.value, names)))
            elif isinstance(statement, ast.Try) and not statement.finalbody:
                self._try(statement, names)
            elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
                pass  # a docstring
            elif not isinstance(statement, ast.Pass):
                raise NotUnderstoodError

    def _try(self, statement: ast.Try, names: dict[str, Any]) -> None:
        try:
            self._statements(statement.body, names)
        except RefusedError:
            if len(statement.handlers) != 1:
                raise NotUnderstoodError from None
            self._statements(statement.handlers[0].body, names)
        else:
            self._statements(statement.orelse, names)
