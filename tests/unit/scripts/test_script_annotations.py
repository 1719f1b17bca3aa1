import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import Annotations as CdkAnnotations
from aws_cdk import App, CfnParameter, CfnWaitConditionHandle, Stack
from aws_cdk import aws_s3 as s3
from aws_cdk.assertions import Annotations, Match

from cdk_sagemaker_pytorch import (
    ConfigurationError,
    FrameworkVersion,
    ModelData,
    PyTorchModel,
    PyTorchPipeline,
    PyTorchTrainingJob,
    SourceCode,
    TrainingInput,
)
from cdk_sagemaker_pytorch.scripts.script_annotations import (
    annotate_inference_script,
    annotate_training_script,
)

PARSER = """\
import argparse, os

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--model-dir", default=os.environ.get("SM_MODEL_DIR"))
"""
HANDLERS = "def model_fn(model_dir):\n    return None\n"

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


def test_an_error_is_on_the_construct_that_declares_the_script(
    stack: Stack, code: Code, found: Found
) -> None:
    PyTorchTrainingJob(
        stack,
        "Training",
        framework_version="2.13",
        source_code=code(PARSER + "    parser.parse_args()\n"),
        hyperparameters={"epochs": "many", "size": 2},
    )
    assert found() == [
        (
            "error",
            "/Stack/Training",
            (
                "src/script.py:5: argument epochs has type=int, got the hyperparameter 'many':"
                " give a value that int() reads, or change the type [Training.wrongType]"
            ),
        ),
        (
            "error",
            "/Stack/Training",
            (
                "src/script.py:7: hyperparameter size is passed as --size, which the parser does not accept,"
                " only --epochs, --model-dir: add the argument --size, or use parse_known_args"
                " [Training.unknownHyperparameter]"
            ),
        ),
    ]


def test_a_warning_has_an_id_by_which_it_is_acknowledged(stack: Stack, code: Code, found: Found) -> None:
    warning = (
        "warning",
        "/Stack/Training",
        (
            "src/script.py:4: training code runs whenever the script is imported: put it under if __name__ =="
            ' "__main__": [ack: cdk-sagemaker-pytorch:Script.mainGuard]'
        ),
    )
    script = "import torch\n\nnet = torch.nn.Linear(1, 1)\ntorch.save(net, '/opt/ml/model/net.pt')\n"
    job = PyTorchTrainingJob(stack, "Training", framework_version="2.13", source_code=code(script))
    assert found() == [warning]
    CdkAnnotations.of(job).acknowledge_warning("cdk-sagemaker-pytorch:Script.mainGuard", "we know")
    other = Stack(App(), "Stack")
    job = PyTorchTrainingJob(other, "Training", framework_version="2.13", source_code=code(script))
    CdkAnnotations.of(job).acknowledge_warning("cdk-sagemaker-pytorch:Script.mainGuard", "we know")
    assert not Annotations.from_stack(other).find_warning("*", Match.string_like_regexp("mainGuard"))


@pytest.mark.parametrize(
    ("version", "whose"),
    [("2.6", "this version's container"), ("2.13", "a container built before September 2026"), ("1.8", None)],
)
def test_what_a_shell_makes_of_a_hyperparameter_is_warned_of_by_version(
    stack: Stack, code: Code, found: Found, version: str, whose: str | None
) -> None:
    PyTorchTrainingJob(
        stack,
        "Training",
        framework_version=version,
        source_code=code(PARSER + "    parser.add_argument('--name')\n    parser.parse_args()\n"),
        hyperparameters={"epochs": 3, "name": "a b"},
    )
    if whose is None:
        assert found() == []
        return
    [(level, place, text)] = found()
    assert (level, place) == ("warning", "/Stack/Training")
    assert f"hyperparameter name: {whose} lets a shell read --name a b, which makes it 2 arguments" in text
    assert text.endswith("[ack: cdk-sagemaker-pytorch:Training.shellArgument]")


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
            (
                "src/script.py:7: argument --seed needs a value and no hyperparameter gives one: give the"
                " argument a default, or add the hyperparameter, or give it in the input of every execution"
                " [ack: cdk-sagemaker-pytorch:Training.requiredArgument]"
            ),
        ),
        (
            "warning",
            (
                "src/script.py:8: SM_CHANNEL_TEST is read, while the input channels are train: add the"
                " channel test, or read the variable with a default, or give it in the input of every"
                " execution [ack: cdk-sagemaker-pytorch:Training.unknownChannel]"
            ),
        ),
    ]


def test_without_channels_an_execution_can_give_none(stack: Stack, code: Code, found: Found) -> None:
    source_code = code('import os\nprint(os.environ["SM_CHANNEL_TRAIN"])\n')
    PyTorchTrainingJob(stack, "Training", framework_version="2.13", source_code=source_code)
    ((level, _, text),) = found()
    assert level == "error"
    assert text.endswith("[Training.unknownChannel]")


_NEWER = f"py3{sys.version_info[1] + 1}"


@pytest.mark.parametrize(
    ("version", "py_version", "script", "level"),
    [
        ("2.13", "py39", "print 'trained'\n", "error"),
        ("2.13", _NEWER, "print 'trained'\n", "error"),
        ("1.1", None, "print 'trained'\n", "error"),
        ("1.1", "py2", "print 'trained'\n", "warning"),
        ("2.13", "py39", "f'{not'\n", "error"),
        ("2.13", _NEWER, "f'{not'\n", "warning"),
        ("2.13", _NEWER, "def train[Net](net Net): ...\n", "warning"),
    ],
)
def test_syntax_that_only_another_python_reads_is_warned_of(
    stack: Stack, code: Code, found: Found, version: str, py_version: str | None, script: str, level: str
) -> None:
    CfnWaitConditionHandle(stack, "Anything")  # a template needs a resource
    annotate_training_script(
        stack,
        code(script),
        hyperparameters={},
        channels=(),
        framework_version=FrameworkVersion.of(version),
        py_version=py_version,
    )
    ((found_level, _, text),) = found()
    assert found_level == level
    assert "Script.syntax" in text
    assert ("container's Python" in text) == (level == "warning")


def test_inference_scripts_of_a_pipeline_and_a_model_are_checked(
    stack: Stack, code: Code, found: Found, data: s3.IBucket
) -> None:
    source_code = code("def model_fn():\n    return None\n")
    job = PyTorchTrainingJob(stack, "Training", framework_version="2.13")
    PyTorchPipeline(stack, "Pipeline", training_job=job, source_code=source_code)
    PyTorchModel(
        stack,
        "Model",
        model_data=ModelData.from_bucket(data, "model.tar.gz"),
        framework_version="2.6",
        source_code=source_code,
    )
    expected = (
        "src/script.py:1: model_fn must take 1 arguments, and may take context after them: define it as"
        " model_fn(model_dir) or model_fn(model_dir, context) [Inference.handlerSignature]"
    )
    assert sorted(found()) == [
        ("error", "/Stack/Model", expected),
        ("error", "/Stack/Pipeline/Deployment", expected),
    ]


def annotate_inference(stack: Stack, source_code: SourceCode, version: str, **options: str) -> None:
    CfnWaitConditionHandle(stack, "Anything")  # a template needs a resource
    annotate_inference_script(stack, source_code, framework_version=FrameworkVersion.of(version), **options)


@pytest.mark.parametrize(
    ("version", "level"), [("1.5", "error"), ("1.8", "warning"), ("1.9", None), ("2.6", None), ("2.13", None)]
)
def test_no_model_fn_is_needed_where_the_librarys_handlers_run(
    stack: Stack, code: Code, found: Found, version: str, level: str | None
) -> None:
    annotate_inference(stack, code("def predict_fn(data, model):\n    return model(data)\n"), version)
    assert [found_level for found_level, _, _ in found()] == ([] if level is None else [level])


def test_the_accelerator_decides_what_is_checked(stack: Stack, code: Code, found: Found) -> None:
    script = "import torch\n\ndef model_fn(model_dir):\n    return torch.jit.load(model_dir + '/model.pt')\n"
    annotate_inference(stack, code(script), "1.5", accelerator_type="ml.eia2.medium")
    ((level, _, text),) = found()
    assert level == "error"
    assert "src/script.py:4: torch.jit.load without map_location" in text


def test_requirements_that_do_not_ship_are_no_concern(stack: Stack, code: Code, found: Found) -> None:
    source_code = code(HANDLERS)
    Path("src/requirements.txt").write_text("six\n")
    annotate_inference(stack, SourceCode.from_file(source_code.path or ""), "1.2")
    assert found() == []


def test_code_in_s3_and_programs_that_are_not_python_are_not_looked_at(
    stack: Stack, code: Code, data: s3.IBucket
) -> None:
    for number, source_code in enumerate(
        (
            code("set -e; python run.py\n", "script.sh"),
            SourceCode.from_s3(data, "code", entry_point="script.py"),
        )
    ):
        PyTorchTrainingJob(
            stack,
            f"Training{number}",
            framework_version="2.13",
            source_code=source_code,
            hyperparameters={"epochs": 1},
        )
        annotate_inference_script(stack, source_code, framework_version=FrameworkVersion.of("1.5"))
    assert Annotations.from_stack(stack).find_error("*", Match.any_value()) == []


def test_nothing_is_found_in_the_bundled_scripts(stack: Stack, data: s3.IBucket) -> None:
    for version in ("2.6", "2.13"):
        job = PyTorchTrainingJob(
            stack,
            f"Training{version}",
            framework_version=version,
            inputs={"train": TrainingInput.from_bucket(data, "train/")},
            hyperparameters={"epochs": 3, "hidden-sizes": [64, 32], "learning-rate": 0.1},
        )
        PyTorchPipeline(stack, f"Pipeline{version}", training_job=job)
    for name, source_code, version in (
        ("Handlers", SourceCode.bundled_inference(), "1.9"),
        ("Accelerated", SourceCode.bundled_elastic_inference(), "1.5"),
    ):
        PyTorchModel(
            stack,
            name,
            model_data=ModelData.from_bucket(data, "model.tar.gz"),
            framework_version=version,
            source_code=source_code,
            accelerator_type="ml.eia2.medium" if name == "Accelerated" else None,
        )
    annotations = Annotations.from_stack(stack)
    assert annotations.find_error("*", Match.any_value()) == []
    assert annotations.find_warning("*", Match.string_like_regexp(r"\.py:\d+:")) == []


def test_a_misspelt_hyperparameter_of_the_bundled_script_is_an_error(stack: Stack) -> None:
    PyTorchTrainingJob(stack, "Training", framework_version="2.13", hyperparameters={"hidden_sizes": "64"})
    Annotations.from_stack(stack).has_error(
        "/Stack/Training", Match.string_like_regexp("arguments.py:.*name it hidden-sizes")
    )


def inference(stack: Stack, code: SourceCode, version: str = "2.13", **options: Any) -> None:
    CfnWaitConditionHandle(stack, "Something")  # a template needs a resource
    annotate_inference_script(stack, code, framework_version=FrameworkVersion.of(version), **options)


def test_a_finding_is_acknowledged_by_id_and_line(stack: Stack, tmp_path: Path) -> None:
    script = tmp_path / "inference.py"
    script.write_text("from .net import Net\nfrom .net import Other\n")
    code = SourceCode.from_file(script)
    assert code.acknowledge("Script.relativeImport", line=1, reason="patched in") is code
    inference(stack, code)
    (error,) = Annotations.from_stack(stack).find_error("*", Match.any_value())
    assert "inference.py:2: " in str(error.entry.data)

    other = Stack(App(), "Other")
    inference(other, SourceCode.from_file(script).acknowledge("Script.relativeImport", reason="patched in"))
    assert Annotations.from_stack(other).find_error("*", Match.any_value()) == []


@pytest.mark.parametrize(("reason", "line"), [(" ", None), ("why", 0), ("why", "1"), ("why", True)])
def test_fails_when_an_acknowledgement_makes_no_sense(tmp_path: Path, reason: str, line: Any) -> None:
    (tmp_path / "inference.py").write_text("")
    code = SourceCode.from_file(tmp_path / "inference.py")
    with pytest.raises(ConfigurationError, match=r"reason must say why|line must be a whole number"):
        code.acknowledge("Script.syntax", reason=reason, line=line)


def test_what_lies_beside_a_single_script_and_does_not_ship_is_told(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "inference.py").write_text("from net import Net\n")
    (tmp_path / "net.py").write_text("")
    (tmp_path / "requirements.txt").write_text("einops")
    inference(stack, SourceCode.from_file(tmp_path / "inference.py"))
    warnings = [
        str(found.entry.data) for found in Annotations.from_stack(stack).find_warning("*", Match.any_value())
    ]
    assert len(warnings) == 2
    assert any("net lies beside the script and does not ship" in warning for warning in warnings)
    assert any("requirements.txt lies beside the script" in warning for warning in warnings)

    for number, code in enumerate(
        (
            SourceCode.from_directory(tmp_path, entry_point="inference.py"),
            SourceCode.from_file(
                tmp_path / "inference.py", dependencies=[tmp_path / "net.py", tmp_path / "requirements.txt"]
            ),
        )
    ):
        whole = Stack(App(), f"Whole{number}")
        inference(whole, code)
        assert Annotations.from_stack(whole).find_warning("*", Match.any_value()) == []


def test_an_excluded_module_is_told(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "inference.py").write_text("from net import Net\n")
    (tmp_path / "net.py").write_text("")
    inference(stack, SourceCode.from_directory(tmp_path, entry_point="inference.py", exclude=["net.py"]))
    Annotations.from_stack(stack).has_warning("*", Match.string_like_regexp("net lies beside the script"))


def test_a_notebook_is_refused(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "inference.ipynb").write_text("{}")
    inference(stack, SourceCode.from_file(tmp_path / "inference.ipynb"))
    Annotations.from_stack(stack).has_error("*", Match.string_like_regexp("a notebook is no script"))


def test_the_instance_type_is_known(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "inference.py").write_text("import torch\ndevice = torch.device('cuda')\n")
    inference(stack, SourceCode.from_file(tmp_path / "inference.py"), instance_type="ml.g5.xlarge")
    assert Annotations.from_stack(stack).find_error("*", Match.any_value()) == []
    other = Stack(App(), "Other")
    inference(other, SourceCode.from_file(tmp_path / "inference.py"), instance_type="ml.m5.large")
    Annotations.from_stack(other).has_error("*", Match.string_like_regexp(r"ml\.m5\.large has none"))
