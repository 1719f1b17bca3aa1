"""The check's verdict on a parser and hyperparameters is argparse's own."""

import contextlib
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cdk_sagemaker_pytorch.local.training.hyperparameters import command_line_arguments, sm_variables
from cdk_sagemaker_pytorch.scripts.script_check import Finding, check_training_script

NAMES = ["lr", "learning-rate", "learning-steps", "batch_size", "flag", "n", "size", "no-cache"]
TYPES = [
    *(
        "",
        "int",
        "float",
        "str",
        "bool",
        "json.loads",
        "ast.literal_eval",
        "list",
        "dict",
        "boolean",
        "strict",
    ),
    *("lambda text: text.lower() == 'true'", "lambda text: [int(part) for part in text.split(',')]"),
    *("lambda text: int(float(text))", "lambda text: bool(int(text))"),
]
ACTIONS = ["store_true", "store_false", "count", "append", "extend", "store_const", "BooleanOptionalAction"]
FUNCTIONS = """
def boolean(v):
    if isinstance(v, bool):
        return v
    if v.lower() in ('yes', 'true', '1'):
        return True
    elif v.lower() in ('no', 'false', '0'):
        return False
    raise argparse.ArgumentTypeError('a boolean was expected')

def strict(text):
    value = float(text)
    if not 0 <= value < 1:
        raise ValueError('must be a share')
    return value
"""
# What argparse lets pass, and the script takes for something else.
TRAPS = {"Training.boolArgument", "Training.containerArgument", "Training.argparseAction"}


@st.composite
def arguments(draw: st.DrawFn) -> str:
    name = draw(st.sampled_from(NAMES))
    keywords = []
    action = draw(st.sampled_from(["", "", "", *ACTIONS]))
    if action == "BooleanOptionalAction":
        keywords.append("action=argparse.BooleanOptionalAction")
    elif action:
        keywords.append(f"action={action!r}" + (", const=5" if action == "store_const" else ""))
    if action in ("", "append", "extend"):
        kind = draw(st.sampled_from(TYPES))
        keywords += [f"type={kind}"] if kind else []
        if nargs := draw(st.sampled_from([None, None, None, "?", "*", "+", 1, 2])):
            keywords.append(f"nargs={nargs!r}")
        if kind in ("int", "str", "") and draw(st.integers(0, 4)) == 0:
            keywords.append("choices=[1, 2, 5]" if kind == "int" else "choices=['a', 'b', '5']")
    option = "-n" if name == "n" else f"--{name}"
    return f"add_argument({', '.join([repr(option), *keywords])})"


@st.composite
def scripts(draw: st.DrawFn) -> str:
    calls = draw(st.lists(arguments(), max_size=4, unique_by=lambda call: call.split("'")[1]))
    groups = [draw(st.sampled_from(["parser", "parser", "parser", "either"])) for _ in calls]
    options = draw(st.sampled_from(["", "allow_abbrev=False"]))
    parse = draw(st.sampled_from(["parse_args", "parse_args", "parse_known_args"]))
    required = draw(st.booleans())
    lines = ["import argparse, ast, json", FUNCTIONS, "if __name__ == '__main__':"]
    lines.append(f"    parser = argparse.ArgumentParser({options})")
    if "either" in groups:
        lines.append(f"    either = parser.add_mutually_exclusive_group(required={required})")
    lines += [f"    {group}.{call}" for group, call in zip(groups, calls, strict=True)]
    return "\n".join([*lines, f"    parsed = parser.{parse}()", ""])


texts = st.one_of(
    st.sampled_from(
        ["a", "5", "True", "false", "no", "-fast", "--lr", "-1e-05", "1,2", "[1]", "'a'", "-", "--"]
    ),
    st.text("abc=,-1.[]\"'", max_size=5),
)
values = st.one_of(
    st.booleans(),
    st.integers(-9, 9),
    st.floats(-10, 10, allow_nan=False),
    st.none(),
    texts,
    st.lists(st.integers(0, 9), max_size=3),
    st.lists(texts, max_size=2),
    st.dictionaries(st.text("ab", min_size=1, max_size=2), st.integers(0, 9), max_size=2),
)


@st.composite
def cases(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """Draw a script, and hyperparameters that are mostly its own."""
    script = draw(scripts())
    declared = re.findall(r"add_argument\('--?([\w-]+)'", script)
    names = st.sampled_from([*declared, *declared, *declared, "learning", "epoch", "n"])
    return script, json.loads(json.dumps(draw(st.dictionaries(names, values, max_size=3))))


def argparse_refuses(script: str, given: dict[str, Any]) -> bool:
    parse = "parse_args" if ".parse_args()" in script else "parse_known_args"
    words = command_line_arguments(given)
    program = script.replace(f".{parse}()", f".{parse}({words!r})")
    try:
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            exec(compile(program, "train.py", "exec"), {"__name__": "__main__"})  # noqa: S102
    except (Exception, SystemExit):
        return True
    return False


def errors(folder: Path, script: str, given: dict[str, Any]) -> list[Finding]:
    path = folder / "train.py"
    path.write_text(script)
    found = check_training_script(path, hyperparameters=given, framework_version="1.8")
    return [finding for finding in found if finding.severity == "error"]


@settings(max_examples=400)
@given(case=cases())
def test_the_verdict_is_that_of_argparse(
    tmp_path_factory: pytest.TempPathFactory, case: tuple[str, dict[str, Any]]
) -> None:
    script, hyperparameters = case
    found = errors(tmp_path_factory.getbasetemp(), script, hyperparameters)
    if argparse_refuses(script, hyperparameters):
        assert found
    else:
        assert {finding.id for finding in found} <= TRAPS


BOOLEAN = 'type=lambda text: text.lower() == "true"'
NUMBERS = 'type=lambda text: [int(part) for part in text.split(",")]'
FROM_VARIABLE = 'json.loads(os.environ["SM_HP_ARG"])'

# Keywords and value that do not go together, what the remedy says, both after it, and what arrives.
REMEDIES: list[tuple[str, object, str, str, object, object]] = [
    ("type=float", -1e-05, 'the text "-0.00001"', "type=float", "-0.00001", -1e-05),
    ("", "-fast", 'type=lambda text: "-" + text', 'type=lambda text: "-" + text', "fast", "-fast"),
    (
        "nargs=2, type=int",
        [1, 2],
        f'the text "1,2", and use {NUMBERS}, without nargs',
        NUMBERS,
        "1,2",
        [1, 2],
    ),
    ("nargs=2, type=int", 5, f"{NUMBERS}, without nargs", NUMBERS, "5,6", [5, 6]),
    ("type=list", [1, 2], f'the text "1,2", and use {NUMBERS}', NUMBERS, "1,2", [1, 2]),
    ("type=int, action='append'", [1, 2], f'the text "1,2", and use {NUMBERS}', NUMBERS, "1,2", [1, 2]),
    (
        'nargs="+", type=float',
        [0.5, 2],
        'type=lambda text: [float(part) for part in text.split(",")], without nargs',
        'type=lambda text: [float(part) for part in text.split(",")]',
        "0.5,2",
        [0.5, 2.0],
    ),
    ("type=json.loads", {"a": 1}, FROM_VARIABLE, "", {"a": 1}, "a=1"),
    ("type=dict", {"a": 1}, FROM_VARIABLE, "", {"a": 1}, "a=1"),
    ("type=json.loads", [{"a": 1}], FROM_VARIABLE, "", [{"a": 1}], "[{'a': 1}]"),
    *(
        (keywords, value, BOOLEAN, BOOLEAN, False, False)
        for keywords, value in [
            ("type=bool", "FALSE"),
            ("type=bool", "no"),
            ("type=bool", 0.0),
            ("action='store_true'", True),
            ("action=argparse.BooleanOptionalAction", False),
            ("type=lambda text: text == 'true'", True),
        ]
    ),
]


def script_of(keywords: str) -> str:
    return (
        "import argparse, ast, json\nif __name__ == '__main__':\n    parser = argparse.ArgumentParser()\n"
        f"    parser.add_argument('--arg', {keywords})\n    parsed = parser.parse_args()\n"
    )


@pytest.mark.parametrize(("before", "value", "told", "after", "remedied", "arrives"), REMEDIES)
def test_a_remedy_works(
    tmp_path: Path, before: str, value: object, told: str, after: str, remedied: object, arrives: object
) -> None:
    [finding] = errors(tmp_path, script_of(before), {"arg": value})
    assert told in finding.remedy

    assert errors(tmp_path, script_of(after), {"arg": remedied}) == []

    words = command_line_arguments({"arg": remedied})
    names: dict[str, Any] = {"__name__": "__main__"}
    program = script_of(after).replace("parse_args()", f"parse_args({words!r})")
    exec(compile(program, "train.py", "exec"), names)  # noqa: S102
    assert names["parsed"].arg == arrives
    if told is FROM_VARIABLE:
        assert json.loads(sm_variables({"hp_arg": remedied})["SM_HP_ARG"]) == value
