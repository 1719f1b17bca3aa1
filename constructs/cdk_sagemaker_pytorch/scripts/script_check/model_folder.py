"""Whether a training script uses the folder for its model."""

import ast
from collections.abc import Mapping

from .arguments import Parser
from .local_modules import local_modules
from .script import HANDLERS, Script

__all__ = ["check_model_folder"]

_FOLDER = "/opt/ml/model"
_MARKS = ("SM_MODEL_DIR", "model_dir", "model-dir", _FOLDER)


def check_model_folder(
    script: Script, parser: Parser | None, hyperparameters: Mapping[str, object] | None
) -> None:
    """Note a script that has the folder for the model and never uses it, so that nothing is kept."""
    if script.star_imports or not _trains(script):
        return
    declarations = _declarations(script)
    of_folder = _arguments_of_folder(script, parser, declarations, hyperparameters or {})
    beside_the_point = {id(node) for call in declarations for node in ast.walk(call)} | {
        id(node)
        for name, function in script.functions.items()
        if name in HANDLERS
        for node in ast.walk(function)
    }
    for node in script.nodes:
        if id(node) not in beside_the_point and (_uses(node, of_folder) or _hands_arguments_on(script, node)):
            return
    if any(_uses(node, of_folder) for module in local_modules(script) for node in module.nodes):
        return
    argument = next((a for a in (parser.arguments if parser else ()) if "--model-dir" in a.options), None)
    script.add(
        argument.line if argument else 1,
        "Training.modelDir",
        "warning",
        "nothing is written to the model directory, so that model.tar.gz will be empty",
        'save the model in os.environ["SM_MODEL_DIR"]',
    )


def _declarations(script: Script) -> list[ast.Call]:
    return [
        call
        for call in script.nodes_of(ast.Call)
        if isinstance(call.func, ast.Attribute) and call.func.attr == "add_argument"
    ]


def _arguments_of_folder(
    script: Script, parser: Parser | None, declarations: list[ast.Call], hyperparameters: Mapping[str, object]
) -> set[str]:
    """Names of arguments that are the folder, by their default or by a hyperparameter."""
    lines = {
        call.lineno
        for call in declarations
        if any(
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and any(mark in node.value for mark in ("SM_MODEL_DIR", _FOLDER))
            for node in ast.walk(call)
        )
    }
    named = {name for name, value in hyperparameters.items() if _FOLDER in str(value)}
    found = {name.replace("-", "_") for name in named}
    for argument in parser.arguments if parser else ():
        if argument.line in lines or any(option.lstrip("-") in named for option in argument.options):
            found.add(argument.dest)
    return found


def _trains(script: Script) -> bool:
    return any(node.attr in ("backward", "fit", "train", "step") for node in script.nodes_of(ast.Attribute))


def _uses(node: ast.AST, of_folder: set[str]) -> bool:
    if isinstance(node, ast.Attribute):
        return "model_dir" in node.attr or node.attr in of_folder
    if isinstance(node, ast.Name):
        return "model_dir" in node.id.lower()
    if isinstance(node, ast.arg):
        return "model_dir" in node.arg or node.arg in of_folder
    return (
        isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and (any(mark in node.value for mark in _MARKS) or node.value in of_folder)
    )


def _hands_arguments_on(script: Script, node: ast.AST) -> bool:
    """Whether code that is not in this file gets all the arguments, the folder among them."""
    if not isinstance(node, ast.Call) or (
        isinstance(node.func, ast.Name) and node.func.id in script.functions
    ):
        return False
    if script.name_of(node.func).split(".")[0] in ("print", "logging", "logger", "json", "pprint"):
        return False
    given = [*node.args, *(keyword.value for keyword in node.keywords)]
    return any(
        isinstance(value, ast.Name) and value.id in ("args", "arguments", "opt", "opts") for value in given
    )
