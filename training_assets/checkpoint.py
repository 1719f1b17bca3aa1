"""Checkpoints: where a training run is, written so that a killed job goes on there.

A checkpoint is one file that `torch.load` reads with ``weights_only=True``. It appears under its name when it
is complete, never before: SageMaker copies the folder to S3 file by file, at any time.
"""

from __future__ import annotations

import inspect
import io
import os
import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import torch
from process_group import Process, broadcast
from report import log

CHECKPOINT_FORMAT = "cdk-sagemaker-pytorch/checkpoint/1"

# The last one, and the one before in case that the last is torn.
KEPT = 2

_NAME = re.compile(r"checkpoint-(\d{10})\.pt")
_UNFINISHED = re.compile(r"\.checkpoint-.*\.tmp")


class Checkpoints:
    """The checkpoints of a run, in a folder. The first process reads and writes them for all.

    Parameters
    ----------
    folder
        Where they are; empty for a run without checkpoints.
    made_by
        What the result depends on, by name: hyperparameters, the number of processes, the rows.
    process
        This process.
    """

    def __init__(self, folder: str, made_by: dict[str, Any], process: Process) -> None:
        self._folder = Path(folder) if folder else None
        self._made_by = made_by
        self._process = process
        if self._folder is not None and process.rank == 0:
            self._folder.mkdir(parents=True, exist_ok=True)
            for path in self._folder.iterdir():
                if _UNFINISHED.fullmatch(path.name):
                    path.unlink()  # of a process that was killed while it wrote

    def __bool__(self) -> bool:
        """Whether the run has any."""
        return self._folder is not None

    def load(self) -> dict[str, Any] | None:
        """Read the last complete one; None if there is none.

        Raises
        ------
        ValueError
            It was made by other hyperparameters, another number of processes, or from other rows.
        """
        if self._folder is None:
            return None
        content = broadcast(self._last_complete() if self._process.rank == 0 else b"", self._process)
        if not content:
            return None
        state: dict[str, Any] = _load(content)
        different = _differences(state["made_by"], self._made_by)
        if different:
            raise ValueError(
                f"the checkpoint in {self._folder} is of another run: {'; '.join(different)}. Give this run "
                "a folder of its own, or what that run had"
            )
        return state

    def save(self, state: dict[str, Any]) -> None:
        """Write one, at the position ``state["step"]``, and remove what is older than the last two."""
        if self._folder is None or self._process.rank != 0:
            return
        name = f"checkpoint-{state['step']:010d}.pt"
        content = io.BytesIO()
        torch.save({"format": CHECKPOINT_FORMAT, "made_by": self._made_by, **state}, content)
        write_atomically(self._folder / name, content.getbuffer())
        for path in self._newest_first()[KEPT:]:
            path.unlink()

    def _newest_first(self) -> list[Path]:
        assert self._folder is not None  # noqa: S101  # for the type checker
        named = [path for path in self._folder.iterdir() if _NAME.fullmatch(path.name)]
        return sorted(named, key=lambda path: path.name, reverse=True)

    def _last_complete(self) -> bytes:
        for path in self._newest_first():
            content = path.read_bytes()
            reason = _torn(content)
            if reason is None:
                log(f"continues from {path.name}")
                return content
            log(f"skips {path.name}: {reason}")
        return b""


def write_atomically(path: Path, content: bytes | memoryview) -> None:
    """Write a file that is there as a whole or not at all, even if the machine stops."""
    unfinished = path.with_name(f".{path.name}.tmp")
    with unfinished.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(unfinished, path)
    if hasattr(os, "O_DIRECTORY"):  # the name has to reach the disk too; Windows has no such call
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _torn(content: bytes) -> str | None:
    """Say what is wrong with a file, if it is not what was written; torch.load does not look."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            damaged = archive.testzip()
    except (zipfile.BadZipFile, EOFError, ValueError) as error:
        return f"it is not complete ({error})"
    if damaged is not None:
        return f"it is damaged ({damaged})"
    try:
        state = _load(content)
    except (pickle.UnpicklingError, RuntimeError) as error:
        return f"it is no checkpoint of this script ({str(error).splitlines()[0]})"
    if not isinstance(state, dict) or state.get("format") != CHECKPOINT_FORMAT:
        return "it is no checkpoint of this script"
    return None


def _load(content: bytes) -> Any:
    """Read tensors and plain values onto the CPU, and nothing that could run code."""
    if "weights_only" in inspect.signature(torch.load).parameters:
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    return torch.load(io.BytesIO(content), map_location="cpu", pickle_module=_TensorsOnly)  # before 1.13


class _TensorsOnly:
    """What torch.load needs of the pickle module, restricted to the names that tensors refer to."""

    class Unpickler(pickle.Unpickler):
        _ALLOWED = (("collections", "OrderedDict"), ("torch._utils", "_rebuild_tensor_v2"))

        def find_class(self, module: str, name: str) -> Any:
            if (module, name) in self._ALLOWED or (module == "torch" and name.endswith("Storage")):
                return super().find_class(module, name)
            raise pickle.UnpicklingError(f"refers to {module}.{name}")


def _differences(theirs: dict[str, Any], ours: dict[str, Any]) -> list[str]:
    return [
        f"{name} is {ours.get(name)!r}, and was {theirs.get(name)!r}"
        for name in sorted({*theirs, *ours})
        if theirs.get(name) != ours.get(name)
    ]
