"""Fixtures for the processes, archives and jobs of the local AWS."""

import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

SourceArchive = Callable[[Mapping[str, str]], Path]


@pytest.fixture
def source_archive(tmp_path: Path) -> SourceArchive:
    """Return a function that packs files, given as name to text, into a sourcedir.tar.gz."""

    def pack(files: Mapping[str, str]) -> Path:
        folder = tmp_path / "source"
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        archive = tmp_path / "sourcedir.tar.gz"
        with tarfile.open(archive, "w:gz") as tar:
            tar.add(folder, arcname=".")
        return archive

    return pack
