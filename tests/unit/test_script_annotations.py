import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from aws_cdk import Annotations as CdkAnnotations
from aws_cdk import App, CfnParameter, Stack
from aws_cdk import aws_s3 as s3
from aws_cdk.assertions import Annotations, Match

from cdk_sagemaker_pytorch import (
    FrameworkVersion,
    ModelData,
    PyTorchModel,
    PyTorchPipeline,
    PyTorchTrainingJob,
    SourceCode,
    TrainingInput,
)
from cdk_sagemaker_pytorch.framework_version import UnknownFrameworkVersionError

PARSER = """\
import argparse, os

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--model-dir", default=os.environ.get("SM_MODEL_DIR"))
"""
HANDLERS = "def model_fn(model_dir):\n    return None\n"
EIA = "ml.eia2.medium"

Code = Callable[[str], SourceCode]
Found = Callable[[], list[tuple[str, str, str]]]


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Code:
    """Make source code of a script, as src/script.py below the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "src").mkdir()

    def make(text: str, name: str = "script.py") -> SourceCode:
        (tmp_path / "src" / name).write_text(text)
        return SourceCode.from_directory("src", entry_point=name)

    return make


@pytest.fixture
def data(stack: Stack) -> s3.IBucket:
    return s3.Bucket.from_bucket_name(stack, "Data", "data")


@pytest.fixture
def found(stack: Stack) -> Found:
    """Level, construct and text of the findings in scripts."""

    def read() -> list[tuple[str, str, str]]:
        annotations = Annotations.from_stack(stack)
        anything = Match.any_value()
        messages = annotations.find_error("*", anything) + annotations.find_warning("*", anything)
        return [
            (message.level.name.lower(), message.id, str(message.entry.data))
            for message in messages
            if "script.py:" in str(message.entry.data)
        ]

    return read


def test_an_error_is_on_the_construct_that_declares_the_script(stack: Stack, code: Code, found: Found) -> None:
    PyTorchTrainingJob(
        stack,
        "Training",
        framework_version="2.13",
        source_code=code(PARSER + "    parser.parse_args()\n"),
        hyperparameters={"epochs": "many", "epoch": 1, "sagemaker-like": 2},
    )
    assert found() == [
        (
            "error",
            "/Stack/Training",
            "src/script.py:5: argument epochs has type=int, got the hyperparameter 'many':"
            " give a value that int() reads, or change the type [Training.wrongType]",
        ),
        (
            "error",
            "/Stack/Training",
            "src/script.py:7: hyperparameter sagemaker-like is passed as --sagemaker-like, which the parser"
            " does not accept, only --epochs, --model-dir: add the argument --sagemaker-like, or use"
            " parse_known_args [Training.unknownHyperparameter]",
        ),
    ]


def test_a_warning_has_an_id_by_which_it_is_acknowledged(stack: Stack, code: Code, found: Found) -> None:
    warning = (
        "warning",
        "/Stack/Training",
        "src/script.py:4: training code runs whenever the script is imported: put it under if __name__ =="
        ' "__main__": [ack: cdk-sagemaker-pytorch:Script.mainGuard]',
    )
    script = "import torch\n\nnet = torch.nn.Linear(1, 1)\ntorch.save(net, '/opt/ml/model/net.pt')\n"
    job = PyTorchTrainingJob(stack, "Training", framework_version="2.13", source_code=code(script))
    assert found() == [warning]
    CdkAnnotations.of(job).acknowledge_warning("cdk-sagemaker-pytorch:Script.mainGuard", "we know")
    other = Stack(App(), "Stack")
    job = PyTorchTrainingJob(other, "Training", framework_version="2.13", source_code=code(script))
    CdkAnnotations.of(job).acknowledge_warning("cdk-sagemaker-pytorch:Script.mainGuard", "we know")
    assert not Annotations.from_stack(other).find_warning("*", Match.string_like_regexp("mainGuard"))


def test_tokens_are_not_checked_and_count_as_given(stack: Stack, code: Code, found: Found) -> None:
    text = CfnParameter(stack, "Text").value_as_string
    required = '    parser.add_argument("--seed", type=int, required=True)\n    parser.parse_args()\n'
    PyTorchTrainingJob(
        stack,
        "Training",
        framework_version="2.13",
        source_code=code(PARSER + required),
        hyperparameters={"epochs": text, "seed": [text]},
    )
    assert found() == []


def test_what_an_execution_can_still_give_is_only_warned_of(
    stack: Stack, code: Code, found: Found, data: s3.IBucket
) -> None:
    script = PARSER + '    parser.add_argument("--seed", required=True)\n    os.environ["SM_CHANNEL_TEST"]\n'
    PyTorchTrainingJob(
        stack,
        "Training",
        framework_version="2.13",
        source_code=code(script),
        inputs={"train": TrainingInput.from_bucket(data, "train/")},
    )
    assert [(level, text) for level, _, text in found()] == [
        (
            "warning",
            "src/script.py:7: argument --seed needs a value and no hyperparameter gives one: give the"
            " argument a default, or add the hyperparameter, or give it in the input of every execution"
            " [ack: cdk-sagemaker-pytorch:Training.requiredArgument]",
        ),
        (
            "warning",
            "src/script.py:8: SM_CHANNEL_TEST is read, while the input channels are train: add the channel"
            " test, or read the variable with a default, or give it in the input of every execution"
            " [ack: cdk-sagemaker-pytorch:Training.unknownChannel]",
        ),
    ]


def test_without_channels_an_execution_can_give_none(stack: Stack, code: Code, found: Found) -> None:
    source_code = code('import os\nprint(os.environ["SM_CHANNEL_TRAIN"])\n')
    PyTorchTrainingJob(stack, "Training", framework_version="2.13", source_code=source_code)
    ((level, _, text),) = found()
    assert level == "error"
    assert text.endswith("[Training.unknownChannel]")


@pytest.mark.parametrize(
    ("version", "py_version", "level"),
    [
        ("2.13", None, "error"),
        ("2.13", "py39", "error"),
        ("2.13", f"py3{sys.version_info[1] + 1}", "warning"),
        ("1.1", "py2", "warning"),
        ("1.1", "py3", "error"),
        ("1.1", None, "error"),
    ],
)
def test_syntax_that_only_another_python_reads_is_only_warned_of(
    stack: Stack, code: Code, found: Found, version: str, py_version: str | None, level: str
) -> None:
    from cdk_sagemaker_pytorch.script_annotations import annotate_training_script

    annotate_training_script(
        stack,
        code("print 'trained'\n"),
        hyperparameters={},
        channels=(),
        framework_version=FrameworkVersion.of(version),
        py_version=py_version,
    )
    ((found_level, _, text),) = found()
    assert found_level == level
    assert ("container's Python" in text) == (level == "warning")
