import io
import tarfile
from pathlib import Path

import pytest
import torch

from cdk_sagemaker_pytorch.packaging.local_model import look_into

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")


def saved(kind: str, legacy: bool = False) -> bytes:
    stream = io.BytesIO()
    if kind == "torchscript":
        torch.jit.save(torch.jit.script(torch.nn.Linear(2, 1)), stream)  # type: ignore[no-untyped-call]
    else:
        state = torch.nn.Linear(2, 1).state_dict()
        content = (
            {"format": "cdk-sagemaker-pytorch/mlp/1", "state_dict": state} if kind == "bundled" else state
        )
        torch.save(content, stream, _use_new_zipfile_serialization=not legacy)
    return stream.getvalue()


def write(folder: Path, files: dict[str, bytes], archive: bool) -> Path:
    if archive:
        path = folder / "model.tar.gz"
        with tarfile.open(path, "w:gz") as tar:
            for name, content in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
        return path
    for name, content in files.items():
        (folder / "model" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "model" / name).write_bytes(content)
    return folder / "model"


@pytest.mark.parametrize("archive", [True, False])
def test_names_scripts_and_models_are_told(tmp_path: Path, archive: bool) -> None:
    files = {
        "model.pth": saved("tensors"),
        "script.pt": saved("torchscript"),
        "own.pth": saved("bundled"),
        "old.pth": saved("tensors", legacy=True),
        "text.pt": b"text",
        "sub/other.pt": b"",
        "._model.pth": b"",
        "__MACOSX/._model.pth": b"",
        ".DS_Store": b"",
        "code/inference.py": b"x = 1",
        "code/sub/net.py": b"y = 2",
        "code/requirements.txt": b"einops",
        "code/data.bin": b"",
    }
    model = look_into(write(tmp_path, files, archive))
    assert model.problem is None
    left = {"._model.pth", "__MACOSX/._model.pth", ".DS_Store"}
    assert model.names == set(files) - left
    assert model.scripts == {"inference.py": b"x = 1", "sub/net.py": b"y = 2", "requirements.txt": b"einops"}
    assert model.models == {
        "model.pth": "tensors",
        "script.pt": "torchscript",
        "own.pth": "bundled",
        "old.pth": "unknown",
        "text.pt": "unknown",
    }
    assert model.top_folder is None


@pytest.mark.parametrize(
    ("files", "folder"),
    [({"a/x": b"", "a/b/y": b""}, "a"), ({"a/x": b"", "y": b""}, None), ({"a": b""}, None), ({}, None)],
)
def test_one_folder_around_everything_is_told(tmp_path: Path, files: dict[str, bytes], folder: str) -> None:
    assert look_into(write(tmp_path, files, True)).top_folder == folder


@pytest.mark.parametrize("content", [b"\x1f\x8b", b"\x1f\x8bnothing", b"", b"text"])
def test_what_cannot_be_read_is_a_problem(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.tar.gz").write_bytes(content)
    assert look_into(tmp_path / "model.tar.gz").problem


@pytest.mark.parametrize("cut", [0.3, 0.9])
def test_an_archive_that_is_cut_short_is_a_problem(tmp_path: Path, cut: float) -> None:
    path = write(tmp_path, {"model.pt": saved("torchscript"), "other": bytes(range(256)) * 500}, True)
    path.write_bytes(path.read_bytes()[: int(cut * path.stat().st_size)])
    assert look_into(path).problem


@pytest.mark.parametrize("name", ["../model.pt", "/model.pt", "code/../../x.py"])
def test_a_member_outside_is_a_problem(tmp_path: Path, name: str) -> None:
    problem = look_into(write(tmp_path, {name: b""}, True)).problem
    assert problem == f"{name!r} would be written outside of its directory"
