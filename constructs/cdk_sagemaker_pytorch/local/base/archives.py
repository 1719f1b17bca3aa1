"""The .tar.gz archives that SageMaker makes and unpacks: sourcedir, model and output."""

import gzip
import os
import tarfile
import zlib
from pathlib import Path


class ArchiveError(ValueError):
    """An archive that cannot be unpacked safely or completely."""


def pack_folder(folder: Path, archive: Path) -> None:
    """Pack what is in `folder` into a .tar.gz, the folder's own entries at the top level.

    The same content gives the same bytes: names are sorted; times, owners and group are zeroed. Symbolic
    links are packed as what they point to, as the archive has to stand alone; those to nothing, and those
    to a folder that they are in, are left out.

    Parameters
    ----------
    folder
        Folder to pack; an empty one gives an archive without members.
    archive
        File to write.
    """
    with (
        archive.open("wb") as raw,
        # Level 1: weights hardly compress, and a local job should not wait for it.
        gzip.GzipFile(filename="", mode="wb", compresslevel=1, fileobj=raw, mtime=0) as compressed,
        tarfile.open(fileobj=compressed, mode="w", format=tarfile.PAX_FORMAT, dereference=True) as tar,
    ):
        _add_entries(tar, folder, "")


def _add_entries(tar: tarfile.TarFile, folder: Path, prefix: str) -> None:
    for path in sorted(folder.iterdir()):
        name = prefix + path.name
        if path.is_dir() and path.resolve() not in (folder.resolve(), *folder.resolve().parents):
            tar.add(path, name, recursive=False, filter=_reproducible)
            _add_entries(tar, path, f"{name}/")
        elif path.is_file():  # sockets, pipes and links to nothing are no artifacts
            tar.add(path, name, filter=_reproducible)


def _reproducible(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.mtime = 0
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def unpack_archive(archive: Path, folder: Path) -> None:
    """Unpack a .tar.gz into `folder`, which is made when it does not exist.

    Members that would land or point outside `folder`, and devices, are refused.

    Parameters
    ----------
    archive
        The file, whatever its name.
    folder
        Where to put its members.

    Raises
    ------
    ArchiveError
        If it is missing, not a gzip-compressed tar, damaged, or has a refused member.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with tarfile.open(archive, mode="r:gz") as tar:
            tar.extractall(folder, filter="data")
            # The end of the tar is not the end of the gzip: read on, so that a wrong checksum is seen.
            while tar.fileobj is not None and tar.fileobj.read(1 << 20):
                pass
    except FileNotFoundError:
        raise ArchiveError(f"archive not found: {os.fspath(archive)}") from None
    except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ArchiveError(f"cannot unpack {os.fspath(archive)}: {error}") from error
