"""Checks of training scripts."""

import ast
import re
import shlex
from collections.abc import Collection, Mapping
from pathlib import Path

from cdk_sagemaker_pytorch.images.framework_version import ArgumentPassing, FrameworkVersion

from .arguments import Argument, Parser, parser_of
from .finding import Finding
from .main_guard import check_main_guard
from .script import HANDLERS, Script
from .shell_arguments import is_only_split, shell_reading

__all__ = ["check_training_script"]

_ACTIONS = {
    "store_true",
    "store_false",
    "store_const",
    "append",
    "append_const",
    "extend",
    "count",
    "BooleanOptionalAction",
}
_CONVERTERS = {"int": int, "float": float}


def check_training_script(
    path: str | Path,
    *,
    hyperparameters: Mapping[str, object] | None = None,
    channels: Collection[str] | None = None,
    framework_version: str | FrameworkVersion | None = None,
) -> list[Finding]:
    """Find what is wrong with a training script, without running it.

    Parameters
    ----------
    path : str or Path
        The script.
    hyperparameters : mapping of str to object, optional
        What the training job gives to the script. Defaults to unknown: then only the ways to declare
        arguments that cannot work are found.
    channels : collection of str, optional
        Names of the input channels of the training job. Defaults to unknown: then they are not checked.
    framework_version : str or FrameworkVersion, optional
        PyTorch version of the container. Defaults to unknown: then hyperparameters have to arrive both with
        and without a shell.

    Returns
    -------
    list of Finding
        In the order of lines; empty if nothing was found.

    Raises
    ------
    OSError
        When the file cannot be read.
    """
    script = Script(path)
    if script.is_parsed:
        check_main_guard(script)
        parser = parser_of(script)
        if parser:
            _check_arguments(script, parser, hyperparameters)
        if hyperparameters and _reads_command_line(script, parser):
            version = FrameworkVersion.of(framework_version) if framework_version else None
            passing = version.argument_passing if version else "unknown"
            _check_shell(script, parser, hyperparameters, passing)
        if channels is not None:
            _check_channels(script, {channel.upper() for channel in channels})
        _check_model_dir(script, parser)
    return script.sorted_findings()


def _check_arguments(script: Script, parser: Parser, hyperparameters: Mapping[str, object] | None) -> None:
    if hyperparameters is None:
        for argument in parser.arguments:
            _check_declaration(script, argument)
        return
    given: list[Argument] = []
    for name, value in hyperparameters.items():
        if name.startswith("sagemaker_"):
            continue  # for the container, which keeps it to itself
        option = f"-{name}" if len(name) == 1 else f"--{name}"
        found = parser.find(option)
        if len(found) == 1:
            given.append(found[0])
            _check_value(script, found[0], name, value)
        elif parser.is_complete:
            _note_unknown(script, parser, name, option)
    for argument in parser.arguments:
        if argument.is_positional and argument.nargs not in ("?", "*"):
            script.add(
                argument.line,
                "Training.positionalArgument",
                "error",
                f"argument {argument.options[-1]} is positional, and hyperparameters are passed as options",
                f"make it an option: --{argument.options[-1]}",
            )
        elif argument.is_required and argument not in given:
            script.add(
                argument.line,
                "Training.requiredArgument",
                "error",
                f"argument {argument.options[-1]} needs a value and no hyperparameter gives one",
                "give the argument a default, or add the hyperparameter",
            )


def _note_unknown(script: Script, parser: Parser, name: str, option: str) -> None:
    known = sorted(n for argument in parser.arguments for n in argument.options if n.startswith("-"))
    twin = next((n for n in known if n.replace("_", "-") == option.replace("_", "-")), None)
    if parser.strict_line:
        script.add(
            parser.strict_line,
            "Training.unknownHyperparameter",
            "error",
            f"hyperparameter {name} is passed as {option}, which the parser does not accept, only "
            f"{', '.join(known) or 'none'}",
            f"name it {twin.lstrip('-')}" if twin else f"add the argument {option}, or use parse_known_args",
        )
    elif twin:
        line = next(argument.line for argument in parser.arguments if twin in argument.options)
        script.add(
            line,
            "Training.unknownHyperparameter",
            "warning",
            f"hyperparameter {name} is passed as {option} and ignored: the argument is called {twin}",
            f"name it {twin.lstrip('-')}",
        )


def _check_declaration(script: Script, argument: Argument) -> None:
    """Note an argument that could not take any hyperparameter's value, or not every one."""
    name = argument.options[-1].lstrip("-")
    if argument.action in _ACTIONS:
        script.add(
            argument.line,
            "Training.argparseAction",
            "warning",
            f"argument {name} has the action {argument.action}, while SageMaker always passes a value",
            _boolean_remedy(name),
        )
    elif argument.type_name == "bool":
        script.add(
            argument.line,
            "Training.boolArgument",
            "warning",
            f"argument {name} has type=bool, which makes True of the text False",
            _boolean_remedy(name),
        )


def _check_value(script: Script, argument: Argument, name: str, value: object) -> None:
    """Note a hyperparameter whose value the argument misunderstands or refuses."""
    if _is_token(value):
        return
    text = _as_passed(value)
    if argument.action in _ACTIONS:
        script.add(
            argument.line,
            "Training.argparseAction",
            "error",
            f"argument {name} has the action {argument.action}, while SageMaker passes --{name} {text}",
            _boolean_remedy(name),
        )
    elif argument.type_name == "bool":
        if text in ("False", "false", "0"):
            script.add(
                argument.line,
                "Training.boolArgument",
                "error",
                f"argument {name} has type=bool, which makes True of the hyperparameter's value {text}",
                _boolean_remedy(name),
            )
    elif argument.type_name in ("list", "tuple", "dict", "set"):
        script.add(
            argument.line,
            "Training.containerArgument",
            "error",
            f"argument {name} has type={argument.type_name}, which takes the text {text} apart by characters",
            "use type=ast.literal_eval",
        )
    else:
        _check_conversion(script, argument, name, text)


def _check_conversion(script: Script, argument: Argument, name: str, text: str) -> None:
    converted: object = text
    if argument.type_name in _CONVERTERS:
        try:
            converted = _CONVERTERS[argument.type_name](text)
        except ValueError:
            script.add(
                argument.line,
                "Training.wrongType",
                "error",
                f"argument {name} has type={argument.type_name}, got the hyperparameter {text!r}",
                f"give a value that {argument.type_name}() reads, or change the type",
            )
            return
    elif argument.type_name not in ("", "str"):
        return  # a function of the script's own, which may read anything
    if argument.choices is not None and converted not in argument.choices:
        script.add(
            argument.line,
            "Training.wrongChoice",
            "error",
            f"argument {name} must be one of {', '.join(map(str, argument.choices))}, got {text}",
            "give one of the choices",
        )


def _check_shell(
    script: Script, parser: Parser | None, hyperparameters: Mapping[str, object], passing: ArgumentPassing
) -> None:
    """Note a hyperparameter that is another one after a shell has read it."""
    if passing == "exec":
        return
    for name, value in hyperparameters.items():
        option = f"-{name}" if len(name) == 1 else f"--{name}"
        if name.startswith("sagemaker_") or _is_token(value):
            continue
        text = _as_passed(value)
        reading = shell_reading(text)
        if reading is None:
            continue
        found = parser.find(option) if parser else []
        takes_several = any(argument.nargs in ("+", "*") for argument in found) and bool(text)
        if (takes_several and is_only_split(text)) or _has_errors(script, found):
            continue
        whose = (
            "this version's container" if passing == "shell" else "a container built before September 2026"
        )
        otherwise = "" if passing == "shell" else f", any other one passes {shlex.join([option, text])}"
        script.add(
            found[0].line if found else 1,
            "Training.shellArgument",
            "warning",
            f"hyperparameter {name}: {whose} lets a shell read {option} {text}, which makes it {reading}"
            f"{otherwise}",
            _shell_remedy(name, value),
        )


def _has_errors(script: Script, arguments: list[Argument]) -> bool:
    """Whether an argument has to be changed in any case."""
    lines = {finding.line for finding in script.findings if finding.severity == "error"}
    return any(argument.line in lines for argument in arguments)


def _shell_remedy(name: str, value: object) -> str:
    variable = f"SM_HP_{name.upper()}"
    if value is None or value == "":
        return "leave it out, and give the argument a default"
    if isinstance(value, list | tuple) and not any(shell_reading(str(item)) for item in value):
        joined = ",".join(map(str, value))
        return (
            f'give it as the text "{joined}" and split that in the script,'
            ' or use nargs="+" and join the parts'
        )
    return (
        "give a value without spaces, quotes and what else a shell reads, such as the name of a file of the"
        f" source code, or its urllib.parse.quote ({variable} has the value as it is, but the argument is"
        " passed all the same)"
    )


def _reads_command_line(script: Script, parser: Parser | None) -> bool:
    """Whether arguments matter: not where a script takes its hyperparameters from the variables alone."""
    if parser is not None or any(getattr(node, "attr", None) == "argv" for node in script.nodes):
        return True
    return not any(
        isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and any(mark in node.value for mark in ("SM_HP", "SM_TRAINING_ENV", "hyperparameters.json"))
        for node in script.nodes
    )


def _boolean_remedy(name: str) -> str:
    return f'use type=lambda text: text.lower() == "true" and give {name} as True or False'


def _as_passed(value: object) -> str:
    """Text of a hyperparameter on the command line of the script, as the container writes it."""
    if value is None:
        return ""
    if isinstance(value, dict):
        return ",".join(f"{key}={item}" for key, item in value.items())
    return str(value)


def _is_token(value: object) -> bool:
    """Whether CDK replaces the value at deployment; its tokens are marked texts and huge negative numbers."""
    if isinstance(value, float):
        return value < -1e288
    return isinstance(value, str) and bool(re.search(r"[$#]\{Token\[", value))


def _check_channels(script: Script, declared: set[str]) -> None:
    optional = _variables_done_without(script)
    for node in script.nodes:
        name = _variable_read(script, node)
        channel = name.removeprefix("SM_CHANNEL_")
        if channel == name or channel in declared or name in optional:
            continue
        script.add(
            getattr(node, "lineno", 1),
            "Training.unknownChannel",
            "error" if isinstance(node, ast.Subscript) else "warning",
            f"{name} is read, while the input channels are {', '.join(sorted(declared)).lower() or 'none'}",
            f"add the channel {channel.lower()}, or read the variable with a default",
        )


def _variable_read(script: Script, node: ast.AST) -> str:
    """Name of the environment variable that an expression reads without a default; else empty."""
    if isinstance(node, ast.Subscript) and script.name_of(node.value) == "os.environ":
        key: ast.AST = node.slice
    elif (
        isinstance(node, ast.Call)
        and len(node.args) == 1
        and not node.keywords
        and script.name_of(node.func) in ("os.getenv", "os.environ.get")
    ):
        key = node.args[0]
    else:
        return ""
    return key.value if isinstance(key, ast.Constant) and isinstance(key.value, str) else ""


def _variables_done_without(script: Script) -> set[str]:
    """Variables that a script looks for before it reads them, or goes on without."""
    found: set[str] = set()
    for node in script.nodes:
        parts: list[ast.AST] = []
        if isinstance(node, ast.Compare) and any(isinstance(op, ast.In | ast.NotIn) for op in node.ops):
            parts = [node]
        elif isinstance(node, ast.Try) and any(_catches_key_error(handler) for handler in node.handlers):
            parts = list(node.body)
        elif isinstance(node, ast.BoolOp):
            parts = [value for value in node.values if isinstance(value, ast.Call)]
        for part in parts:
            found.update(
                leaf.value
                for leaf in ast.walk(part)
                if isinstance(leaf, ast.Constant) and isinstance(leaf.value, str)
            )
    return found


def _catches_key_error(handler: ast.ExceptHandler) -> bool:
    return handler.type is None or any(
        isinstance(node, ast.Name) and node.id == "KeyError" for node in ast.walk(handler.type)
    )


def _check_model_dir(script: Script, parser: Parser | None) -> None:
    """Note a script that has the folder for the model and never uses it, so that nothing is kept."""
    if script.star_imports or not _trains(script):
        return
    in_handlers = {
        id(node)
        for name, function in script.functions.items()
        if name in HANDLERS
        for node in ast.walk(function)
    }
    declarations = {
        id(node)
        for call in script.nodes
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr == "add_argument"
        for node in ast.walk(call)
    }
    for node in script.nodes:
        if id(node) in in_handlers:
            continue
        if id(node) not in declarations and _uses_model_dir(node):
            return
        if _hands_arguments_on(script, node):
            return
    argument = next((a for a in (parser.arguments if parser else ()) if "--model-dir" in a.options), None)
    script.add(
        argument.line if argument else 1,
        "Training.modelDir",
        "warning",
        "nothing is written to the model directory, so that model.tar.gz will be empty",
        'save the model in os.environ["SM_MODEL_DIR"]',
    )


def _trains(script: Script) -> bool:
    return any(
        isinstance(node, ast.Attribute) and node.attr in ("backward", "fit", "train", "step")
        for node in script.nodes
    )


def _uses_model_dir(node: ast.AST) -> bool:
    if isinstance(node, ast.Attribute):
        return "model_dir" in node.attr
    if isinstance(node, ast.Name):
        return "model_dir" in node.id.lower()
    if isinstance(node, ast.arg):
        return "model_dir" in node.arg
    return (
        isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and any(mark in node.value for mark in ("SM_MODEL_DIR", "model_dir", "model-dir", "/opt/ml/model"))
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
