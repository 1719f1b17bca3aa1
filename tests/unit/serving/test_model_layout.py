"""Model data on this machine are looked into at synth."""

import gzip
import io
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from aws_cdk import Stack
from aws_cdk.assertions import Annotations, Match

from cdk_sagemaker_pytorch import ConfigurationError, ModelData, PyTorchModel, SourceCode

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")

SCRIPT = b"def model_fn(model_dir):\n    return model_dir\n"


def tensors() -> bytes:
    stream = io.BytesIO()
    torch.save(torch.nn.Linear(2, 1).state_dict(), stream)
    return stream.getvalue()


def torchscript() -> bytes:
    stream = io.BytesIO()
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 1)), stream)  # type: ignore[no-untyped-call]
    return stream.getvalue()


def archive(folder: Path, files: Mapping[str, bytes]) -> ModelData:
    path = folder / "model.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return ModelData.from_archive(path)


def model(stack: Stack, data: ModelData, version: str = "2.13", **options: Any) -> PyTorchModel:
    return PyTorchModel(stack, "Model", model_data=data, framework_version=version, **options)


@pytest.mark.parametrize("version", ["2.6", "2.13"])
@pytest.mark.parametrize(
    "files",
    [
        {"model.pth": b"weights", "code/inference.py": SCRIPT},
        {"model.pt": torchscript()},
        {"net.pt": torchscript(), "._net.pt": b""},
        {"bert/weights.pth": b"", "code/inference.py": SCRIPT},
        {"model.pt": torchscript(), "other.pt": b""},
    ],
)
def test_what_can_be_served_passes(
    stack: Stack, tmp_path: Path, files: dict[str, bytes], version: str
) -> None:
    model(stack, archive(tmp_path, files), version)
    assert Annotations.from_stack(stack).find_error("*", Match.any_value()) == []


WRONG: list[tuple[dict[str, bytes], str]] = [
    ({}, "model_data must hold files"),
    ({"inner.tar.gz": b"x"}, "holds nothing but the archive inner\\.tar\\.gz"),
    (
        {"model.pt": b"x", "inference.py": SCRIPT},
        "must have code/inference\\.py, got inference\\.py at the top",
    ),
    (
        {"net/model.pt": b"x", "net/code/inference.py": SCRIPT},
        "got net/code/inference\\.py: pack what lies in net/, as tar -C net",
    ),
    (
        {"model.pt": b"x", "code/serve.py": SCRIPT},
        "got inference\\.py, while handler functions are in serve\\.py",
    ),
    ({"config.json": b"{}"}, "one file that ends so at the top, .* got config\\.json"),
    ({"net/model.pt": b"x"}, "all of it in the folder net/"),
    ({"a.pt": b"x", "b.pth": b"y"}, "got a\\.pt, b\\.pth"),
    ({"model.pth": tensors()}, "got model\\.pth, which holds tensors and no network"),
    (
        {"model.pth": tensors(), "code/inference.py": b"def predict_fn(data, model): return data\n"},
        "which holds tensors and no network",
    ),
]


@pytest.mark.parametrize("version", ["2.6", "2.13"])
@pytest.mark.parametrize(("files", "problem"), WRONG)
def test_fails_when_it_cannot_be_served(
    stack: Stack, tmp_path: Path, files: dict[str, bytes], problem: str, version: str
) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        model(stack, archive(tmp_path, files), version)


def test_fails_when_an_archive_is_no_tar(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "model.tar.gz").write_bytes(gzip.compress(b"no tar archive" * 100))
    with pytest.raises(ConfigurationError, match="which cannot be read: "):
        model(stack, ModelData.from_archive(tmp_path / "model.tar.gz"))


def test_fails_when_an_old_container_has_no_default_for_the_script(stack: Stack, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"code/inference\.py for framework_version 1\.5\.1"):
        model(stack, archive(tmp_path, {"model.pt": torchscript()}), "1.5.1")


def test_a_script_given_beside_the_model_is_what_counts(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "serve.py").write_bytes(SCRIPT)
    code = SourceCode.from_file(tmp_path / "serve.py")
    model(stack, archive(tmp_path, {"model.pth": tensors(), "inference.py": b""}), source_code=code)


def test_an_application_of_ones_own_may_lie_anywhere(stack: Stack, tmp_path: Path) -> None:
    data = archive(tmp_path, {"weights.bin": b"x", "app.py": b""})
    model(stack, data, environment={"SM_RAYSERVE_APP": "app:app"})


def test_the_models_own_script_is_checked(stack: Stack, tmp_path: Path) -> None:
    script = b"import net\ndef model_fn():\n    return net\n"
    broken = b"def f(:\n"
    model(stack, archive(tmp_path, {"a.pt": b"x", "code/inference.py": script, "code/net.py": broken}))
    errors = Annotations.from_stack(stack)
    errors.has_error("/Stack/Model", Match.string_like_regexp(r"^code/inference\.py:2: model_fn must take 1"))
    errors.has_error("/Stack/Model", Match.string_like_regexp(r"^code/net\.py:1: it is not valid Python"))
