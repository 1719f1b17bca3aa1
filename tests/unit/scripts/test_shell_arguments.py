"""What the check says of an argument, beside what a real shell makes of it."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdk_sagemaker_pytorch.scripts.script_check import check_training_script
from cdk_sagemaker_pytorch.scripts.script_check.shell_arguments import shell_reading

SCRIPT = """
import argparse
if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--value")
    parser.parse_args()
"""


def arguments_by_a_shell(texts: list[str], folder: Path) -> list[str] | None:
    """Return the arguments that a program gets, in a folder with train.py; None if the shell refuses."""
    line = f"printf '%s\\0' first {' '.join(texts)}"
    done = subprocess.run(
        ["/bin/sh", "-c", line], cwd=folder, capture_output=True, text=True, check=False, env={"HOME": "/h"}
    )
    return None if done.returncode else done.stdout.split("\0")[1:-1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("code")
    (folder / "train.py").touch()
    return folder


@given(texts=st.lists(st.text("ab1 '\"\\$`;&|<>()*?#~{}[]!^%@+=:,./-\té"), min_size=30, max_size=60))
def test_what_is_said_to_stay_stays(folder: Path, texts: list[str]) -> None:
    """Many at once: a shell takes longer to start than to read."""
    same = [text for text in texts if shell_reading(text) is None]
    assert arguments_by_a_shell(same, folder) == same


@pytest.mark.parametrize(
    ("text", "reading"),
    [
        ("", "nothing at all"),
        ("a b", "2 arguments: a and b"),
        ("[1, 2]", "2 arguments: [1, and 2]"),
        ("it's", "a syntax error: the job fails"),
        ("say 'a b'", "2 arguments: say and a b"),
        ("['a']", "1 argument: [a]"),
        ("a\\b", "1 argument: ab"),
        ("f(x)", "a command of its own, or a syntax error"),
        ("a|b", "a command of its own, or a syntax error"),
        ("true;echo", "a command of its own, or a syntax error"),
        ("$HOME", "what variables and commands of the container expand to"),
        ("`id`", "what variables and commands of the container expand to"),
        ("*.py", "the names of files that it matches"),
        ("~/x", "the names of files that it matches"),
        ("#1", "nothing at all"),
    ],
)
def test_what_is_said_to_change_changes(folder: Path, text: str, reading: str) -> None:
    assert shell_reading(text) == reading
    assert arguments_by_a_shell([text], folder) != [text]


def test_braces_are_told_for_shells_that_expand_them() -> None:
    assert shell_reading("{a,b}") == "several arguments, if it is bash"
    assert shell_reading("{a}") is None


BY_ANY_OTHER = ", any other one passes --value "
OLDER = "hyperparameter value: a container built before September 2026 lets a shell read --value "


@pytest.mark.parametrize(
    ("value", "version", "message", "remedy"),
    [
        (
            [1, 2],
            "2.6",
            (
                "hyperparameter value: this version's container lets a shell read --value [1, 2], "
                "which makes it 2 arguments: [1, and 2]"
            ),
            'give it as the text "1,2" and split that in the script, or use nargs="+" and join the parts',
        ),
        (
            None,
            "2.13",
            f"{OLDER}, which makes it nothing at all{BY_ANY_OTHER}''",
            "leave it out, and give the argument a default",
        ),
        (
            "a b",
            None,
            f"{OLDER}a b, which makes it 2 arguments: a and b{BY_ANY_OTHER}'a b'",
            (
                "give a value without spaces, quotes and what else a shell reads, such as the name of a file "
                "of the source code, or its urllib.parse.quote (SM_HP_VALUE has the value as it is, "
                "but the argument is passed all the same)"
            ),
        ),
    ],
)
def test_both_readings_and_a_remedy_are_told(
    tmp_path: Path, value: object, version: str | None, message: str, remedy: str
) -> None:
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)
    [finding] = check_training_script(
        script, hyperparameters={"value": value, "sagemaker_x": "a b"}, framework_version=version
    )
    assert (finding.id, finding.severity, finding.line) == ("Training.shellArgument", "warning", 5)
    assert (finding.message, finding.remedy) == (message, remedy)
