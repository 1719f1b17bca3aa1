"""What lies in model data on this machine, looked at without unpacking them."""

import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Literal

from cdk_sagemaker_pytorch.source.source_archive import collect_files

__all__ = ["LocalModel", "ModelFile", "look_into"]

ModelFile = Literal["torchscript", "bundled", "tensors", "unknown"]
"""``bundled`` is what the bundled training script saves, ``tensors`` what needs a network to load it into."""

_MODEL_SUFFIXES = (".pt", ".pth")
_BUNDLED = b"cdk-sagemaker-pytorch/mlp/"
_MOST_SCRIPT_BYTES = 1024**2
# A larger model is not copied to look into it.
_MOST_MODEL_BYTES = 256 * 1024**2
_MOST_PICKLE_BYTES = 16 * 1024**2


@dataclass(frozen=True)
class LocalModel:
    """What model data hold.

    Attributes
    ----------
    names : frozenset of str
        Paths of all files.
    scripts : mapping of str to bytes
        Contents of the Python files and requirements.txt in ``code/``, by path relative to that.
    models : mapping of str to str
        What the ``.pt`` and ``.pth`` files at the top are, by name; those of hidden names are left out.
    problem : str or None
        Why they cannot be read, if they cannot.
    """

    names: frozenset[str] = frozenset()
    scripts: Mapping[str, bytes] = field(default_factory=dict)
    models: Mapping[str, ModelFile] = field(default_factory=dict)
    problem: str | None = None

    @property
    def top_folder(self) -> str | None:
        """The one folder that holds everything, if there is one."""
        tops = {name.split("/")[0] for name in self.names}
        (top,) = tops if len(tops) == 1 else (None,)
        return top if top is not None and top not in self.names else None


def look_into(path: Path) -> LocalModel:
    """Read names, scripts and kinds of models of a directory or a model.tar.gz.

    Parameters
    ----------
    path : Path
        Which one.
    """
    try:
        return _directory(path) if path.is_dir() else _archive(path)
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        return LocalModel(problem=str(error) or type(error).__name__)


def _directory(folder: Path) -> LocalModel:
    files = collect_files(folder)
    scripts = {
        name.removeprefix("code/"): Path(path).read_bytes()
        for name, path in files.items()
        if _is_script(name, Path(path).stat().st_size)
    }
    models: dict[str, ModelFile] = {}
    for name, path in files.items():
        if _is_model(name):
            with open(path, "rb") as content:
                models[name] = _kind(content)
    return LocalModel(frozenset(files), scripts, models)


def _archive(path: Path) -> LocalModel:
    names: set[str] = set()
    scripts: dict[str, bytes] = {}
    models: dict[str, ModelFile] = {}
    with tarfile.open(path, "r|gz", encoding="utf-8", errors="surrogateescape") as tar:
        for member in tar:
            name = "/".join(part for part in member.name.split("/") if part not in ("", "."))
            if ".." in name.split("/") or member.name.startswith("/"):
                return LocalModel(problem=f"{member.name!r} would be written outside of its directory")
            if member.isdir() or not name or _is_left_by_another_system(name):
                continue
            names.add(name)
            content = tar.extractfile(member) if member.isfile() else None
            if content is None:
                continue
            if _is_script(name, member.size):
                scripts[name.removeprefix("code/")] = content.read()
            elif _is_model(name):
                models[name] = _kind_of_copy(content, member.size)
    return LocalModel(frozenset(names), scripts, models)


def _is_left_by_another_system(name: str) -> bool:
    parts = name.split("/")
    return parts[-1].startswith("._") or "__MACOSX" in parts or parts[-1] in (".DS_Store", "Thumbs.db")


def _is_script(name: str, size: int) -> bool:
    in_code = name.startswith("code/") and (name.endswith(".py") or name == "code/requirements.txt")
    return in_code and size <= _MOST_SCRIPT_BYTES


def _is_model(name: str) -> bool:
    return "/" not in name and name.endswith(_MODEL_SUFFIXES) and not name.startswith(".")


def _kind_of_copy(content: IO[bytes], size: int) -> ModelFile:
    """Tell the kind of a model in a stream, which a zip file cannot be read from."""
    if size > _MOST_MODEL_BYTES:
        return "unknown"
    with tempfile.SpooledTemporaryFile(max_size=1024**2) as copy:
        while block := content.read(1024**2):
            copy.write(block)
        copy.seek(0)
        return _kind(copy)


def _kind(content: IO[bytes]) -> ModelFile:
    try:
        with zipfile.ZipFile(content) as archive:
            names = archive.namelist()
            if any(name.endswith("/constants.pkl") for name in names):
                return "torchscript"
            pickles = [name for name in names if name.endswith("/data.pkl")]
            if len(pickles) != 1 or archive.getinfo(pickles[0]).file_size > _MOST_PICKLE_BYTES:
                return "unknown"
            return "bundled" if _BUNDLED in archive.read(pickles[0]) else "tensors"
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, zlib.error):
        return "unknown"
