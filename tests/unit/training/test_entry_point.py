"""What the container cannot start is refused, and what it can is not."""

from pathlib import Path
from typing import Any

import pytest
from aws_cdk import Stack
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_s3 as s3
from aws_cdk.assertions import Annotations, Match

from cdk_sagemaker_pytorch import ConfigurationError, PyTorchImage, PyTorchTrainingJob, SourceCode


def job(folder: Path, files: dict[str, bytes], entry_point: str, **options: Any) -> Stack:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    exclude = options.pop("exclude", ())
    stack = Stack()
    PyTorchTrainingJob(
        stack,
        "Job",
        **{"framework_version": "2.13", **options},
        source_code=SourceCode.from_directory(folder, entry_point=entry_point, exclude=exclude),
    )
    return stack


SHELL = b"#!/bin/bash\npython train.py\n"


@pytest.mark.parametrize(
    ("files", "entry_point", "options", "problem"),
    [
        ({"my train.py": b""}, "my train.py", {}, "letters, digits and .* got 'my train.py': rename it"),
        ({"tr\u00e4n.py": b""}, "tr\u00e4n.py", {}, "letters, digits and .* got 'tr\u00e4n.py'"),
        ({"-train.py": b""}, "-train.py", {}, "not beginning with -, .* got '-train.py'"),
        ({"train.ipynb": b"{}"}, "train.ipynb", {}, "must be a script, got 'train.ipynb': jupyter nbconvert"),
        (
            {"setup.py": b"", "pkg/train.py": b""},
            "pkg/train.py",
            {},
            "at the top of source code with a setup.py",
        ),
        (
            {"train.sh": SHELL.replace(b"\n", b"\r\n")},
            "train.sh",
            {},
            "line endings .* got train.sh with W",
        ),
        ({"run": b"python train.py"}, "run", {}, "a .py or .sh file, or begin with a line such as"),
        (
            {"train.sh": SHELL},
            "train.sh",
            {"torch_distributed": True},
            "torchrun starts no other, got train.sh",
        ),
        (
            {"setup.py": b"", "train.py": b""},
            "train.py",
            {"torch_distributed": True},
            "with a setup.py at its top",
        ),
        (
            {"train.py": b""},
            "train.py",
            {"torch_distributed": True, "framework_version": "1.4"},
            r"needs framework_version 1\.13 or newer, .* got 1\.4",
        ),
    ],
)
def test_fails_when_the_container_cannot_start_it(
    tmp_path: Path, files: dict[str, bytes], entry_point: str, options: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        job(tmp_path, files, entry_point, **options)


@pytest.mark.parametrize("version", ["1.0.0", "1.5.1", "1.8.1"])
def test_fails_when_the_bundled_script_does_not_run(version: str) -> None:
    with pytest.raises(ConfigurationError, match=f"source_code must be given .* got none for {version}"):
        PyTorchTrainingJob(Stack(), "Job", framework_version=version)


@pytest.mark.parametrize("image", [PyTorchImage.training(), PyTorchImage.training(py_version="py3")])
def test_an_image_of_aws_changes_nothing_of_what_runs(image: PyTorchImage) -> None:
    """Only an image of one's own may hold another Python or torchrun than the version has."""
    with pytest.raises(ConfigurationError) as caught:
        PyTorchTrainingJob(Stack(), "Job", framework_version="1.5", image=image, torch_distributed=True)
    assert "does not run the bundled script" in str(caught.value)
    assert "needs framework_version 1.13 or newer" in str(caught.value)


def test_the_bundled_script_may_run_where_nothing_is_known_against_it() -> None:
    stack = Stack()
    PyTorchTrainingJob(stack, "Job", framework_version="1.9")
    repository = ecr.Repository.from_repository_name(stack, "Repository", "mine")
    image = PyTorchImage.from_ecr_repository(repository, "v1")
    PyTorchTrainingJob(stack, "Own", framework_version="1.5.1", image=image)

    Annotations.from_stack(stack).has_no_error("*", Match.any_value())


def test_names_in_s3_are_checked_too() -> None:
    stack = Stack()
    source_code = SourceCode.from_s3(s3.Bucket(stack, "Bucket"), "code.tar.gz", entry_point="my train.py")
    with pytest.raises(ConfigurationError, match=r"got 'my train\.py'"):
        PyTorchTrainingJob(stack, "Job", framework_version="2.13", source_code=source_code)


@pytest.mark.parametrize(
    ("files", "entry_point", "options"),
    [
        ({"pkg/train.py": b""}, "pkg/train.py", {}),
        ({"pyproject.toml": b"", "pkg/train.py": b""}, "pkg/train.py", {}),
        ({"setup.py": b"", "train.py": b""}, "train.py", {}),
        ({"setup.py": b"", "pkg/train.py": b""}, "pkg/train.py", {"exclude": ["setup.py"]}),
        ({"train.sh": SHELL}, "train.sh", {}),
        ({"run": SHELL}, "run", {}),
        ({"train.py": b"print()\r\n"}, "train.py", {"torch_distributed": True}),
    ],
)
def test_what_the_container_can_start_is_taken(
    tmp_path: Path, files: dict[str, bytes], entry_point: str, options: dict[str, Any]
) -> None:
    stack = job(tmp_path, files, entry_point, **options)

    Annotations.from_stack(stack).has_no_error("/Default/Job", Match.any_value())


@pytest.mark.parametrize("name", ["random.py", "torch.py", "json/__init__.py", "logging.py"])
def test_modules_that_hide_those_of_the_container_are_errors(tmp_path: Path, name: str) -> None:
    stack = job(tmp_path, {"train.py": b"", name: b"", "deep/random.py": b"", "utils.py": b""}, "train.py")

    module = name.partition("/")[0].removesuffix(".py")
    Annotations.from_stack(stack).has_error(
        "/Default/Job", Match.string_like_regexp(rf"^{module} in the source code .*Training.shadowedModule")
    )


def test_such_a_module_can_be_acknowledged(tmp_path: Path) -> None:
    for name in ("train.py", "random.py"):
        (tmp_path / name).write_bytes(b"")
    stack = Stack()
    code = SourceCode.from_directory(tmp_path, entry_point="train.py")
    code.acknowledge("Training.shadowedModule", reason="it is Python's own, with one function more")
    PyTorchTrainingJob(stack, "Job", framework_version="2.13", source_code=code)

    Annotations.from_stack(stack).has_no_error("/Default/Job", Match.any_value())


def test_modules_of_other_names_are_not(tmp_path: Path) -> None:
    files = {"train.py": b"", "utils.py": b"", "deep/random.py": b"", "data/torch/x.txt": b"", "test.py": b""}

    Annotations.from_stack(job(tmp_path, files, "train.py")).has_no_error("/Default/Job", Match.any_value())
