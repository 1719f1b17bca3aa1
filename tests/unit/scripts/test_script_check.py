import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdk_sagemaker_pytorch.images.framework_version import UnknownFrameworkVersionError
from cdk_sagemaker_pytorch.scripts.script_check import Finding, check_inference_script, check_training_script
from cdk_sagemaker_pytorch.scripts.script_check.__main__ import main

CORPUS = Path(__file__).parent / "script_corpus"
ROOT = Path(__file__).parents[3]


def scripts(half: str) -> list[Any]:
    return [pytest.param(path, id=path.stem) for path in sorted((CORPUS / half).glob("*.py"))]


def findings_in(path: Path) -> list[Finding]:
    """Check a script of the corpus as its first line says."""
    header = path.read_text().splitlines()[0]
    found = re.match(r"# check: (training|inference) (\{.*\})", header)
    assert found, header
    check = check_training_script if found[1] == "training" else check_inference_script
    return check(path, **json.loads(found[2]))


def expected_in(path: Path) -> list[tuple[int, str, str]]:
    return [
        (number, *expectation)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        for expectation in re.findall(r"# expect: (\S+) (error|warning)", line)
    ]


def test_the_corpus_is_large_enough() -> None:
    assert len(scripts("good")) >= 20
    assert len(scripts("bad")) >= 20


@pytest.mark.parametrize("path", scripts("good"))
def test_nothing_is_found_in_a_good_script(path: Path) -> None:
    assert findings_in(path) == []


@pytest.mark.parametrize("path", scripts("bad"))
def test_each_planted_mistake_is_found_at_its_line(path: Path) -> None:
    expected = expected_in(path)
    assert expected
    found = findings_in(path)
    assert [(finding.line, finding.id, finding.severity) for finding in found] == expected
    assert all(finding.path == str(path) and finding.message and finding.remedy for finding in found)


def test_every_kind_of_finding_is_planted_somewhere() -> None:
    sources = ROOT.glob("constructs/cdk_sagemaker_pytorch/scripts/script_check/*.py")
    kinds = {
        kind
        for path in sources
        for kind in re.findall(r'"((?:Script|Training|Inference)\.\w+)"', path.read_text())
    }
    planted = {kind for path in (CORPUS / "bad").glob("*.py") for _, kind, _ in expected_in(path)}
    # Those about other files are tested below.
    about_other_files = {"Inference.requirements", "Script.requirements", "Script.shadowedPackage"}
    assert kinds - planted == about_other_files | {"Script.notebook"}
    assert planted <= kinds


def test_nothing_is_found_in_the_bundled_scripts() -> None:
    training = check_training_script(
        ROOT / "training_assets" / "train.py",
        hyperparameters={"epochs": 3, "hidden-sizes": [64, 32], "task": "auto"},
        channels=["train"],
    )
    serving = check_inference_script(ROOT / "inference_assets" / "inference.py", framework_version="2.6.0")
    accelerated = check_inference_script(
        ROOT / "inference_assets" / "elastic_inference" / "inference.py",
        framework_version="1.5.1",
        accelerator_type="ml.eia2.medium",
    )
    assert training + serving + accelerated == []


def test_a_finding_reads_as_one_line(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text("import os\nos.environ['SM_CHANNEL_TEST']\n")
    [finding] = check_training_script(script, channels=["train"])
    assert str(finding) == (
        f"{script}:2: error: SM_CHANNEL_TEST is read, while the input channels are train; "
        "add the channel test, or read the variable with a default [Training.unknownChannel]"
    )


def test_requirements_are_refused_where_the_container_ignores_them(tmp_path: Path) -> None:
    script = tmp_path / "inference.py"
    script.write_text("def model_fn(model_dir):\n    return None\n")
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("six\n")
    found = {
        version: check_inference_script(script, framework_version=version)
        for version in ("1.1.0", "1.2.0", "1.3.1")
    }
    assert found["1.1.0"] == found["1.3.1"] == []
    [finding] = found["1.2.0"]
    assert (finding.path, finding.line, finding.id) == (str(requirements), 1, "Inference.requirements")
    assert finding.severity == "error"


@pytest.mark.parametrize("content", [b"x = 1\x00", b"# coding: nonsense\nx = 1\n", b"\xff\xfe", b"def f(:\n"])
def test_a_file_that_is_not_python_is_a_finding(tmp_path: Path, content: bytes) -> None:
    script = tmp_path / "train.py"
    script.write_bytes(content)
    for found in (check_training_script(script), check_inference_script(script)):
        assert [(finding.id, finding.severity) for finding in found] == [("Script.syntax", "error")]


@given(
    value=st.one_of(
        st.booleans(), st.integers(), st.floats(allow_nan=False, min_value=-1e280), st.text("ab1.-")
    )
)
def test_a_value_is_refused_exactly_where_int_refuses_its_text(
    tmp_path_factory: pytest.TempPathFactory, value: object
) -> None:
    script = tmp_path_factory.getbasetemp() / "int_argument.py"
    script.write_text(
        "import argparse\n"
        "if __name__ == '__main__':\n"
        "    parser = argparse.ArgumentParser()\n"
        "    parser.add_argument('--value', type=int)\n"
        "    parser.parse_args()\n"
    )
    # A text such as -1e+16 is another option to argparse.
    is_option = re.match(r"-(?!\d+$|\d*\.\d+$).", str(value)) is not None
    try:
        int(str(value))
        refused = is_option
    except ValueError:
        refused = True
    found = check_training_script(script, hyperparameters={"value": value})
    assert [finding.id for finding in found] == (
        ["Training.dashValue" if is_option else "Training.wrongType"] * refused
    )


@given(st.data())
def test_any_script_cut_anywhere_is_checked_without_an_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = data.draw(st.sampled_from(sorted(CORPUS.glob("*/*.py"))))
    lines = path.read_text().splitlines(keepends=True)
    drop = data.draw(st.integers(0, len(lines) - 1))
    script = tmp_path_factory.getbasetemp() / "cut.py"
    script.write_text("".join(lines[:drop] + lines[drop + 1 :]))
    check_training_script(script, hyperparameters={"epochs": 1}, channels=["train"])
    check_inference_script(script, framework_version="1.5", accelerator_type="ml.eia2.medium")


def test_a_long_script_gives_what_its_parts_give(tmp_path: Path) -> None:
    head = (CORPUS / "good" / "training_mnist_shape.py").read_text()
    helper = "\n\ndef helper_{}(x):\n    y = x * {}\n    for _ in range(3):\n        y += x\n    return y\n"
    functions = "".join(helper.format(number, number / 7) for number in range(300))
    script = tmp_path / "long.py"
    script.write_text(head + functions)
    assert len(script.read_text().splitlines()) > 2000
    assert check_training_script(script, hyperparameters={"epochs": 1}, channels=["training"]) == []


def test_fails_when_there_is_no_script(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        check_training_script(tmp_path / "missing.py")


def test_fails_when_the_version_is_unknown(tmp_path: Path) -> None:
    with pytest.raises(UnknownFrameworkVersionError):
        check_inference_script(tmp_path / "missing.py", framework_version="9.9")


def test_the_command_prints_findings_and_exits_with_1_on_errors(capsys: pytest.CaptureFixture[str]) -> None:
    path = CORPUS / "bad" / "training_channel_not_declared.py"
    assert main([str(path), "--channel", "training"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[1:3] for line in lines] == [["8", " error"], ["9", " warning"]]


def test_the_command_exits_with_0_on_warnings_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(CORPUS / "bad" / "inference_torch_load_unknown_version.py")]) == 0
    assert "Inference.torchLoad" in capsys.readouterr().out


def test_the_command_takes_values_in_json_or_plain_text(capsys: pytest.CaptureFixture[str]) -> None:
    path = str(CORPUS / "bad" / "training_wrong_types.py")
    values = [
        "--hyperparameter",
        "epochs=3",
        "--hyperparameter",
        "lr=fast",
        "--hyperparameter",
        "batch-size=true",
    ]
    assert main([path, *values]) == 1
    assert [line.split()[-1] for line in capsys.readouterr().out.splitlines()] == ["[Training.wrongType]"] * 2


def test_the_command_checks_for_inference_what_has_handlers(capsys: pytest.CaptureFixture[str]) -> None:
    path = str(CORPUS / "bad" / "inference_elastic_inference_pickled.py")
    assert main([path, "--framework-version", "1.5", "--accelerator-type", "ml.eia2.medium"]) == 1
    assert main([path, "--training"]) == 0
    assert main([str(CORPUS / "bad" / "inference_no_model_fn_in_torchserve.py"), "--inference"]) == 0
    capsys.readouterr()


def test_fails_when_the_command_gets_what_it_cannot_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path / "missing.py")]) == 2
    assert "missing.py: No such file" in capsys.readouterr().err
    for wrong in (["--hyperparameter", "epochs"], ["--framework-version", "9.9"]):
        with pytest.raises(SystemExit):
            main([str(CORPUS / "good" / "training_readme_example.py"), *wrong])
        assert "got" in capsys.readouterr().err


def test_the_module_can_be_run() -> None:
    path = CORPUS / "bad" / "training_not_python.py"
    done = subprocess.run(
        [sys.executable, "-m", "cdk_sagemaker_pytorch.scripts.script_check", path],
        cwd=ROOT / "constructs",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "[Script.syntax]" in done.stdout


def test_the_parser_of_a_module_beside_the_script_is_read(tmp_path: Path) -> None:
    (tmp_path / "options").mkdir()
    (tmp_path / "options" / "__init__.py").write_text("")
    (tmp_path / "options" / "reading.py").write_text(
        "import argparse\ndef read():\n    parser = argparse.ArgumentParser()\n"
        "    parser.add_argument('--epochs', type=int)\n    return parser.parse_args()\n"
    )
    script = tmp_path / "train.py"
    script.write_text("from options.reading import read\nif __name__ == '__main__':\n    print(read())\n")

    found = check_training_script(script, hyperparameters={"epochs": "many"})

    assert [(Path(finding.path).name, finding.line, finding.id) for finding in found] == [
        ("reading.py", 4, "Training.wrongType")
    ]


PARSER = """
import argparse, os
parser = argparse.ArgumentParser()
parser.add_argument({})
arguments = parser.parse_args()
model.backward()
save(model, arguments.out)
"""


@pytest.mark.parametrize(
    ("script", "helper", "hyperparameters"),
    [
        (
            "from helper import train, save\ntrain.backward()\nsave(1)\n",
            "import os\nos.environ['SM_MODEL_DIR']\n",
            {},
        ),
        ("import helper\nhelper.fit.fit()\n", "def save(model, model_dir='/opt/ml/model'):\n    pass\n", {}),
        (
            PARSER.format('"--out"'),
            "",
            {"out": "/opt/ml/model/x"},
        ),
        (PARSER.format('"--out", default=os.environ["SM_MODEL_DIR"]'), "", {}),
    ],
)
def test_saving_elsewhere_or_by_other_names_is_understood(
    tmp_path: Path, script: str, helper: str, hyperparameters: dict[str, object]
) -> None:
    (tmp_path / "helper.py").write_text(helper)
    (tmp_path / "train.py").write_text(script)
    found = check_training_script(tmp_path / "train.py", hyperparameters=hyperparameters)

    assert "Training.modelDir" not in [finding.id for finding in found]
