"""What is wrong with the arguments of a training script, and with the hyperparameters they are given."""

import re
from collections.abc import Mapping
from decimal import Decimal

from cdk_sagemaker_pytorch.images.framework_version import ArgumentPassing

from .arguments import UNKNOWN, Argument, Parser
from .passing import as_passed, is_for_container, is_token, option_of, words_of
from .replay import NO_VALUE_ACTIONS, Reading, Replay
from .script import Script
from .shell_arguments import shell_reading
from .truth_tests import is_tested_for_truth

__all__ = ["check_declarations", "check_given"]

_CONTAINERS = ("list", "tuple", "set", "frozenset", "dict")
_FALSE = ("false", "no", "n", "f", "off", "0", "0.0", "none", "")
_TRUE = ("true", "yes", "y", "t", "on", "1", "1.0")
_PLAIN_TYPES = ("int", "float", "str")


def check_declarations(script: Script, parser: Parser) -> None:
    """Note arguments that could not take any hyperparameter's value, or not every one."""
    for argument in parser.arguments:
        name = argument.options[-1].lstrip("-")
        if argument.action in NO_VALUE_ACTIONS:
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


def check_given(
    script: Script, parser: Parser, hyperparameters: Mapping[str, object], passing: ArgumentPassing
) -> None:
    """Note hyperparameters that the script does not take, or takes for something else."""
    given: list[Argument] = []
    replay = Replay(script, parser)
    own = {name: value for name, value in hyperparameters.items() if not is_for_container(name)}
    if not _check_subcommands(script, parser, own):
        return
    for name, value in own.items():
        found = parser.find(option_of(name))
        meant = parser.names_meant_by(option_of(name))
        if len(meant) > 1:
            _note_ambiguous(script, parser, name, meant)
        elif found:
            given += found
            if not is_token(value):
                _Check(script, parser, replay, found, name, value, passing).run()
        elif parser.is_complete and not parser.has_positional(name):
            _note_unknown(script, parser, name)
    _check_required(script, parser, given)
    _check_together(script, parser, replay, own, passing)


def _check_subcommands(script: Script, parser: Parser, hyperparameters: Mapping[str, object]) -> bool:
    """Note a parser whose options belong to subcommands, which nothing chooses."""
    if not parser.subcommand_line or parser.strict_line is None:
        return True
    names = ", ".join(parser.subcommands) or "computed names"
    unknown = [name for name in hyperparameters if not parser.find(option_of(name))]
    if not parser.needs_subcommand and not unknown:
        return True
    script.add(
        parser.subcommand_line,
        "Training.subcommand",
        "error",
        f"the arguments have subcommands ({names}), of which options, all that SageMaker passes, choose none",
        "choose one in the script: parse_args([NAME, *sys.argv[1:]]), or do without subcommands",
    )
    return False


def _check_required(script: Script, parser: Parser, given: list[Argument]) -> None:
    for argument in parser.arguments:
        if argument.is_positional and argument.nargs not in ("?", "*", "...", UNKNOWN):
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


def _check_together(
    script: Script,
    parser: Parser,
    replay: Replay,
    hyperparameters: Mapping[str, object],
    passing: ArgumentPassing,
) -> None:
    """Note what argparse refuses of arguments that are right each by itself."""
    line = parser.strict_line or parser.lenient_line
    names = [name for argument in parser.arguments for name in argument.options]
    if (
        line is None
        or not parser.is_complete
        or len({argument.owner for argument in parser.arguments}) > 1
        or len(names) != len(set(names))
        or any(finding.severity == "error" for finding in script.findings)
        or any(map(is_token, hyperparameters.values()))
    ):
        return
    given = [
        part
        for name in sorted(hyperparameters)
        for part in (option_of(name), as_passed(hyperparameters[name]))
    ]
    if any(shell_reading(text) is not None for text in given) and passing != "exec":
        return
    reading = replay.read_all(given)
    if not reading.error:
        return
    if re.search(r"one of the arguments .* is required", reading.error):
        script.add(
            line,
            "Training.requiredArgument",
            "error",
            f"argparse refuses the hyperparameters: {reading.error}",
            "add one of them, or leave required=True out",
        )
        return
    script.add(
        line,
        "Training.refusedArguments",
        "error",
        f"argparse refuses the hyperparameters together: {reading.error}",
        "leave out one of them",
    )


def _note_ambiguous(script: Script, parser: Parser, name: str, meant: set[str]) -> None:
    line = next(argument.line for argument in parser.arguments if meant & set(argument.options))
    script.add(
        line,
        "Training.unknownHyperparameter",
        "error",
        f"hyperparameter {name} is passed as {option_of(name)}, which could be {' or '.join(sorted(meant))}",
        f"name it {sorted(meant)[0].lstrip('-')}, for example",
    )


def _note_unknown(script: Script, parser: Parser, name: str) -> None:
    option = option_of(name)
    known = sorted({n for argument in parser.arguments for n in argument.options if n.startswith("-")})
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
    elif parser.lenient_line and not parser.uses_leftovers and not _is_read_otherwise(script):
        script.add(
            parser.lenient_line,
            "Training.unknownHyperparameter",
            "warning",
            f"hyperparameter {name} is passed as {option} and ignored: the arguments are"
            f" {', '.join(known) or 'none'}",
            f"leave it out, or add the argument {option}",
        )


def _is_read_otherwise(script: Script) -> bool:
    """Whether the script has its hyperparameters from elsewhere too."""
    return any(
        mark in text for text in script.texts for mark in ("SM_HP", "SM_TRAINING_ENV", "hyperparameters.json")
    )


class _Check:
    """Compares one hyperparameter with the arguments that it may be for; one that takes it is enough."""

    def __init__(
        self,
        script: Script,
        parser: Parser,
        replay: Replay,
        arguments: list[Argument],
        name: str,
        value: object,
        passing: ArgumentPassing,
    ) -> None:
        self._script, self._parser, self._replay, self._arguments = script, parser, replay, arguments
        self._name, self._value, self._passing = name, value, passing
        self._text = as_passed(value)

    def run(self) -> None:
        refusals = []
        for argument in self._arguments:
            # What a shell alone breaks is another finding.
            ways = words_of(self._text, self._passing)
            ways = ways if [self._text] in ways else [[self._text], *ways]
            readings = [self._replay.read_one(argument, [option_of(self._name), *words]) for words in ways]
            refused = [reading for reading in readings if self._is_refused(argument, reading)]
            if len(refused) < len(readings):
                return
            refusals.append((argument, refused[0]))
        argument, reading = refusals[0]
        self._note(argument, reading)

    def _is_refused(self, argument: Argument, reading: Reading) -> bool:
        if reading.error:
            return True
        if reading.left_over and (self._parser.strict_line or argument.action not in NO_VALUE_ACTIONS):
            return self._parser.strict_line is not None
        if argument.action in NO_VALUE_ACTIONS:
            # Whatever was given is ignored: that is right of a True alone.
            return self._text.lower() not in _TRUE
        return (
            self._is_reversed(reading.value)
            or self._is_taken_apart(argument, reading.value)
            or (
                reading.value == self._text == "False"
                and isinstance(self._value, bool)
                and isinstance(argument.default, bool)
                and is_tested_for_truth(self._script, argument.dest)
            )
        )

    def _is_reversed(self, value: object) -> bool:
        """Whether a truth value became the other one."""
        text = self._text.lower()
        return (value is True and text in _FALSE) or (value is False and text in _TRUE)

    def _is_taken_apart(self, argument: Argument, value: object) -> bool:
        """Whether a text became a collection of its characters."""
        return (
            argument.type_name in _CONTAINERS
            and isinstance(value, list | tuple | set | frozenset)
            and all(isinstance(item, str) and len(item) == 1 for item in value)
        )

    def _note(self, argument: Argument, reading: Reading) -> None:
        finding_id, message, remedy = self._explanation(argument, reading)
        self._script.add(argument.line, finding_id, "error", message, remedy)

    def _explanation(self, argument: Argument, reading: Reading) -> tuple[str, str, str]:
        name, text = self._name, self._text
        if argument.action in NO_VALUE_ACTIONS:
            return (
                "Training.argparseAction",
                f"argument {name} has the action {argument.action}, while SageMaker passes --{name} {text}",
                _boolean_remedy(name),
            )
        kind = f"type={argument.type_name}" if argument.type_name else "no type"
        if not reading.error and (isinstance(reading.value, bool) or reading.value == text == "False"):
            made = "a text that is true" if reading.value == "False" else f"{reading.value}"
            return (
                "Training.boolArgument",
                f"argument {name} has {kind}, which makes {made} of the hyperparameter's value {text}",
                _boolean_remedy(name),
            )
        if argument.type_name in _CONTAINERS:
            return (
                "Training.containerArgument",
                f"argument {name} has {kind}, which takes the text {text} apart by characters",
                self._collection_remedy(argument),
            )
        if text.startswith("-") and re.search(r"expected .* argument", reading.error):
            return (
                "Training.dashValue",
                f"argument {name}: argparse takes {option_of(name)} {text} for two options: {reading.error}",
                self._dash_remedy(argument),
            )
        if re.search(r"expected .* argument", reading.error) or reading.left_over:
            return (
                "Training.argumentCount",
                f"argument {name} has nargs={argument.nargs!r}, got the one argument {text}: {reading.error}",
                self._collection_remedy(argument),
            )
        if "invalid choice" in reading.error and argument.choices is not None:
            return (
                "Training.wrongChoice",
                f"argument {name} must be one of {', '.join(map(str, argument.choices))}, got {text}",
                "give one of the choices",
            )
        return (
            "Training.wrongType",
            f"argument {name} has {kind}, got the hyperparameter {text!r}",
            self._type_remedy(argument),
        )

    def _dash_remedy(self, argument: Argument) -> str:
        if isinstance(self._value, int | float):
            decimal = format(Decimal(repr(self._value)), "f")
            reading = self._replay.read_one(argument, [option_of(self._name), decimal])
            if not reading.error:
                return f'give it as the text "{decimal}", which argparse takes for a number'
        return (
            f'give it without its dash, as the text "{self._text.lstrip("-")}", and add that in the script:'
            ' type=lambda text: "-" + text'
        )

    def _collection_remedy(self, argument: Argument) -> str:
        if isinstance(self._value, Mapping):
            return self._from_variable()
        items = self._value if isinstance(self._value, list | tuple) else [self._value]
        if not all(isinstance(item, str | int | float) and not shell_reading(str(item)) for item in items):
            return self._from_variable()
        item_type = argument.type_name if argument.type_name in _PLAIN_TYPES else _type_of(items)
        part = "part" if item_type in ("", "str") else f"{item_type}(part)"
        without = "" if argument.nargs is None else ", without nargs"
        return (
            f'give it as the text "{",".join(map(str, items))}", and use'
            f' type=lambda text: [{part} for part in text.split(",")]{without}'
        )

    def _type_remedy(self, argument: Argument) -> str:
        if isinstance(self._value, Mapping):
            return self._from_variable()
        if isinstance(self._value, list | tuple):
            return self._collection_remedy(argument)
        if argument.type_name in _PLAIN_TYPES:
            return f"give a value that {argument.type_name}() reads, or change the type"
        return "give a value that its type reads, or change the type"

    def _from_variable(self) -> str:
        return (
            "leave the type out, and read the value where it is JSON:"
            f' json.loads(os.environ["SM_HP_{self._name.upper()}"])'
        )


def _type_of(items: list[object] | tuple[object, ...]) -> str:
    kinds = {type(item).__name__ for item in items}
    if kinds == {"int"}:
        return "int"
    return "float" if kinds and kinds <= {"int", "float"} else ""


def _boolean_remedy(name: str) -> str:
    return f'use type=lambda text: text.lower() == "true" and give {name} as True or False'
