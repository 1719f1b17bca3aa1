"""Arguments that ``HfArgumentParser`` of transformers makes of the fields of dataclasses."""

import ast
from dataclasses import dataclass
from typing import Any

from .arguments import UNKNOWN, Argument, destination
from .script import Script, dotted_name

__all__ = ["DataclassParser", "dataclass_parsers"]

_PLAIN = ("int", "float", "str")
_MAKERS = ("field", "dataclasses.field", "HfArg", "transformers.hf_argparser.HfArg")
# What `transformers.hf_argparser.string_to_bool` does.
_STRING_TO_BOOL = ast.parse(
    "lambda text: text.lower() in ('yes', 'true', 't', 'y', '1')"
    " or (False if text.lower() in ('no', 'false', 'f', 'n', '0') else int('not a boolean'))",
    mode="eval",
).body


@dataclass(frozen=True)
class DataclassParser:
    """One ``HfArgumentParser``.

    Attributes
    ----------
    fields : tuple of Argument
        Those of all its dataclasses that the script defines.
    is_complete : bool
        Whether the script defines all of them.
    parse_line : int or None
        Where it reads the command line.
    is_lenient : bool
        Whether it lets through what it does not know.
    """

    fields: tuple[Argument, ...]
    is_complete: bool
    parse_line: int | None
    is_lenient: bool


def dataclass_parsers(script: Script) -> list[DataclassParser]:
    """Find the parsers of a script that are made from dataclasses."""
    makers = [
        node
        for node in script.nodes_of(ast.Call)
        if dotted_name(node.func).rpartition(".")[2] == "HfArgumentParser"
    ]
    if not makers:
        return []
    classes = {node.name: node for node in script.nodes if isinstance(node, ast.ClassDef)}
    parses = [
        node
        for node in script.nodes
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "parse_args_into_dataclasses"
    ]
    is_lenient = any(
        keyword.arg == "return_remaining_strings" for node in parses for keyword in node.keywords
    )
    line = parses[0].lineno if parses else None
    return [_parser(maker, classes, line, is_lenient) for maker in makers]


def _parser(
    maker: ast.Call, classes: dict[str, ast.ClassDef], line: int | None, is_lenient: bool
) -> DataclassParser:
    given = maker.args[0] if maker.args else None
    parts = given.elts if isinstance(given, ast.Tuple | ast.List) else [given] if given else []
    fields: list[Argument] = []
    is_complete = bool(parts) and len(maker.args) == 1 and not maker.keywords
    for part in parts:
        found = classes.get(dotted_name(part)) if isinstance(part, ast.expr) else None
        while found is not None:
            fields += [_field(statement) for statement in found.body if _is_field(statement)]
            bases = [base for base in found.bases if dotted_name(base) != "object"]
            if len(bases) > 1:
                is_complete = False
            found = classes.get(dotted_name(bases[0])) if bases else None
            if bases and found is None:
                is_complete = False
            if not bases:
                break
        else:
            is_complete = False
    return DataclassParser(tuple(fields), is_complete, line, is_lenient)


def _is_field(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.AnnAssign)
        and isinstance(statement.target, ast.Name)
        and "ClassVar" not in ast.dump(statement.annotation)
    )


def _field(statement: ast.stmt) -> Argument:
    assert isinstance(statement, ast.AnnAssign)  # noqa: S101  # for the type checker
    assert isinstance(statement.target, ast.Name)  # noqa: S101
    name = statement.target.id
    options = tuple(dict.fromkeys([f"--{name}", f"--{name.replace('_', '-')}"]))
    annotation, is_optional = _without_optional(statement.annotation)
    is_required = not is_optional and not _has_default(statement.value)
    kind = dotted_name(annotation).rpartition(".")[2]
    choices = _choices(annotation, statement.value)

    def argument(type_name: str = "", type_node: ast.expr | None = None, **more: Any) -> Argument:
        given = {"is_required": is_required, "default": UNKNOWN, **more}
        return Argument(
            statement.lineno,
            options,
            type_name,
            type_node,
            dest=destination(options),
            owner=(-1, "HfArgumentParser"),
            **given,
        )

    if choices is not None:
        number = ast.Name(id="int", ctx=ast.Load()) if all(isinstance(c, int) for c in choices) else None
        return argument("", number, choices=choices)
    if kind == "bool":
        return argument("string_to_bool", _STRING_TO_BOOL, is_required=False, nargs="?", const=True)
    if kind in _PLAIN:
        return argument(kind, ast.Name(id=kind, ctx=ast.Load()))
    if (
        isinstance(annotation, ast.Subscript)
        and dotted_name(annotation.value).rpartition(".")[2].lower() == "list"
    ):
        item = dotted_name(annotation.slice)
        node = ast.Name(id=item, ctx=ast.Load()) if item in _PLAIN else None
        return argument(item, node, nargs="+")
    # An enumeration, a dictionary or a class: what it takes is not looked into.
    return argument(action="<field>")


def _without_optional(annotation: ast.expr) -> tuple[ast.expr, bool]:
    """Take ``Optional[...]`` or ``... | None`` off."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        try:
            annotation = ast.parse(annotation.value, mode="eval").body
        except SyntaxError:
            return annotation, False
    if (
        isinstance(annotation, ast.Subscript)
        and dotted_name(annotation.value).rpartition(".")[2] == "Optional"
    ):
        return annotation.slice, True
    if isinstance(annotation, ast.BinOp) and isinstance(annotation.op, ast.BitOr):
        sides = [annotation.left, annotation.right]
        rest = [side for side in sides if not (isinstance(side, ast.Constant) and side.value is None)]
        if len(rest) == 1:
            return rest[0], True
    return annotation, False


def _has_default(value: ast.expr | None) -> bool:
    if value is None:
        return False
    if isinstance(value, ast.Call) and dotted_name(value.func) in _MAKERS:
        return any(keyword.arg in ("default", "default_factory") for keyword in value.keywords)
    return True


def _choices(annotation: ast.expr, value: ast.expr | None) -> tuple[object, ...] | None:
    """Values of ``Literal[...]``, or of ``metadata={"choices": ...}``."""
    if (
        isinstance(annotation, ast.Subscript)
        and dotted_name(annotation.value).rpartition(".")[2] == "Literal"
    ):
        parts = annotation.slice.elts if isinstance(annotation.slice, ast.Tuple) else [annotation.slice]
        return tuple(part.value if isinstance(part, ast.Constant) else None for part in parts)
    if isinstance(value, ast.Call):
        for keyword in value.keywords:
            if keyword.arg == "metadata" and isinstance(keyword.value, ast.Dict):
                for key, item in zip(keyword.value.keys, keyword.value.values, strict=True):
                    if isinstance(key, ast.Constant) and key.value == "choices":
                        try:
                            return tuple(ast.literal_eval(item))
                        except (ValueError, TypeError, SyntaxError):
                            return None
    return None
