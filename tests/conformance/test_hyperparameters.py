"""Hyperparameters through both generations of AWS's training toolkit: what the script gets of them."""

import json
from pathlib import Path

import pytest

from cdk_sagemaker_pytorch.scripts.script_check.shell_arguments import shell_reading

from .test_training_toolkit import Job, run_both

pytestmark = pytest.mark.conformance

SCRIPT = """
import json, os, sys
with open(os.path.join(os.environ["SM_OUTPUT_DATA_DIR"], "seen.json"), "w") as file:
    json.dump(sys.argv[1:], file)
"""

# Each is one hyperparameter; none of them changes what becomes of the others.
TOGETHER: list[object] = [
    3,
    -1e-05,
    0.1,
    True,
    None,
    "",
    "plain",
    "a b",
    "  a  ",
    "a\tb",
    [1, 2],
    [],
    [1],
    ["a", "b"],
    {"a": 1},
    {"a": 1, "b": [1, 2]},
    {},
    "$HOME",
    "${HOME}/x",
    "$NO_SUCH_VARIABLE",
    "*.py",
    "?rain.py",
    "[a-z]rain.py",
    "no-such-*.txt",
    "~/x",
    "a\\\\b",
    'say "yes"',
    "'quoted'",
    "s3://bucket/key",
    "a,b=c:d@e%f+g",
    "-fast",
    "--fast",
    "!x^y",
    "{a}",
    "caf\u00e9",
    "1e3",
]
# Each of these ends the command, or the shell cannot read it.
ALONE = ["it's", "f(x)", "a|b", "a;echo X", "a\nb", "a>b", "# note", "`echo x`", "$(echo x y)", '"open']


def job(values: list[object], *, through_shell: bool) -> Job:
    hyperparameters = {f"h{number:02}": json.dumps(value) for number, value in enumerate(values)}
    return Job(
        {"train.py": SCRIPT},
        hyperparameters=hyperparameters,
        through_shell=through_shell,
    )


def arguments(base: Path) -> list[str] | None:
    seen = base / "output" / "data" / "seen.json"
    return list(json.loads(seen.read_text())) if seen.exists() else None


def test_enough_is_compared() -> None:
    assert len(TOGETHER) + len(ALONE) >= 30


@pytest.mark.parametrize("through_shell", [False, True], ids=["exec", "shell"])
def test_the_script_gets_the_same(
    tmp_path: Path, training_python: Path, training_shell_python: Path, through_shell: bool
) -> None:
    python = training_shell_python if through_shell else training_python
    [(ours, toolkit)] = run_both(job(TOGETHER, through_shell=through_shell), tmp_path, python)
    assert (ours.exit_code, toolkit.exit_code) == (0, 0)
    here, there = arguments(ours.base), arguments(toolkit.base)
    # The home folder is another one here.
    expands = [number for number, value in enumerate(TOGETHER) if value in ("$HOME", "${HOME}/x", "~/x")]
    assert _without(here, expands) == _without(there, expands)


@pytest.mark.parametrize("value", ALONE)
@pytest.mark.parametrize("through_shell", [False, True], ids=["exec", "shell"])
def test_what_breaks_there_breaks_here(
    tmp_path: Path, training_python: Path, training_shell_python: Path, through_shell: bool, value: str
) -> None:
    python = training_shell_python if through_shell else training_python
    [(ours, toolkit)] = run_both(job([value], through_shell=through_shell), tmp_path, python)
    assert ours.exit_code == toolkit.exit_code
    assert arguments(ours.base) == arguments(toolkit.base)
    if through_shell:
        assert shell_reading(value) is not None
        assert arguments(toolkit.base) != ["--h00", value]


@pytest.mark.parametrize("through_shell", [False, True], ids=["exec", "shell"])
def test_a_shell_script_gets_the_same(
    tmp_path: Path, training_python: Path, training_shell_python: Path, through_shell: bool
) -> None:
    """Its arguments are quoted, and with the older toolkit read twice."""
    both = Job(
        {"run.sh": '#!/bin/sh\nexec python probe.py "$@"\n', "probe.py": SCRIPT},
        entry_point="run.sh",
        hyperparameters={"a": '"x y"', "b": '"$UNKNOWN z"', "c": "[1, 2]", "d": "null", "e": '"it\'s"'},
        through_shell=through_shell,
    )
    python = training_shell_python if through_shell else training_python
    [(ours, toolkit)] = run_both(both, tmp_path, python)
    assert ours.exit_code == toolkit.exit_code
    assert arguments(ours.base) == arguments(toolkit.base)


def _without(seen: list[str] | None, numbers: list[int]) -> list[str]:
    """Leave out the value that follows each of these names."""
    assert seen is not None
    names = {f"--h{number:02}" for number in numbers}
    return [text for before, text in zip(["", *seen], seen, strict=False) if before not in names]
