"""Checks of training scripts."""

import shlex
from collections.abc import Collection, Mapping
from pathlib import Path

from cdk_sagemaker_pytorch.images.framework_version import ArgumentPassing, FrameworkVersion, newest_python

from .argument_findings import check_declarations, check_given
from .arguments import Argument, Parser
from .finding import Finding
from .imports import check_relative_imports
from .local_modules import local_modules
from .main_guard import check_main_guard
from .model_folder import check_model_folder
from .other_parsers import check_other_parsers, reads_command_line
from .parser_reader import parser_of
from .passing import as_passed, is_for_container, is_token, option_of
from .removed_modules import check_removed_modules
from .script import Script
from .shell_arguments import is_only_split, shell_reading
from .variables import check_variables

__all__ = ["check_training_script"]


def check_training_script(
    path: str | Path,
    *,
    hyperparameters: Mapping[str, object] | None = None,
    channels: Collection[str] | None = None,
    framework_version: str | FrameworkVersion | None = None,
    environment: Collection[str] | None = None,
    py_version: str | None = None,
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
    environment : collection of str, optional
        Names of the environment variables that the training job sets. Defaults to none.
    py_version : str, optional
        Python of the container, such as ``py312``. Defaults to the newest of the version's images.

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
    if not script.is_parsed:
        return script.sorted_findings()
    check_main_guard(script)
    version = FrameworkVersion.of(framework_version) if framework_version else None
    passing = version.argument_passing if version else "unknown"
    check_relative_imports(script)
    names = [py_version] if py_version else version.training_py_versions if version else ()
    if python := newest_python(names):
        check_removed_modules(script, python)
    parser = parser_of(script)
    read_in = script
    if parser is None:
        read_in, parser = _parser_beside(script)
    if parser is not None:
        if hyperparameters is None:
            check_declarations(read_in, parser)
        else:
            check_given(read_in, parser, hyperparameters, passing)
    elif hyperparameters and not _reads_variables_alone(script):
        check_other_parsers(script, [name for name in hyperparameters if not is_for_container(name)])
    if hyperparameters and (parser is not None or reads_command_line(script)):
        _check_shell(read_in, parser, hyperparameters, passing)
    check_variables(script, channels=channels, hyperparameters=hyperparameters, environment=environment)
    check_model_folder(script, parser, hyperparameters)
    return sorted({*script.sorted_findings(), *read_in.sorted_findings()})


def _parser_beside(script: Script) -> tuple[Script, Parser | None]:
    """Find the parser of a script in a module beside it, in a function that the script calls."""
    called = script.called_names
    for module in local_modules(script):
        parser = parser_of(module)
        lines = [line for line in (parser.strict_line, parser.lenient_line) if line] if parser else []
        if any(module.function_at(line) in called for line in lines):
            return module, parser
    return script, None


def _reads_variables_alone(script: Script) -> bool:
    return not reads_command_line(script)


def _check_shell(
    script: Script, parser: Parser | None, hyperparameters: Mapping[str, object], passing: ArgumentPassing
) -> None:
    """Note a hyperparameter that is another one after a shell has read it."""
    if passing == "exec":
        return
    for name, value in hyperparameters.items():
        option = option_of(name)
        if is_for_container(name) or is_token(value):
            continue
        text = as_passed(value)
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
