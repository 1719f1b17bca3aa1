"""Checkpoints of a training job: a folder of each host that is kept in S3 while the job runs."""

import logging
import os
import shutil
import stat
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cdk_sagemaker_pytorch.local.base import s3_transfer

CHECKPOINT_ERRORS = (*s3_transfer.TRANSFER_ERRORS, OSError)
_INTERVAL_SECONDS = 0.5

_logger = logging.getLogger(__name__)

# Size and time of the last change.
_State = tuple[int, int]


class CheckpointSync:
    """Keeps folders of checkpoints in a prefix of S3, as SageMaker does with CheckpointConfig.

    A file is uploaded when it has not changed between two looks at it, so that half of one does not get to
    S3 unless its writer rests in the middle. What a script deletes stays in S3.

    Parameters
    ----------
    s3
        Client of the job's role.
    uri
        The prefix.
    folders
        The folder of each host. They share the prefix: of files with the same name the last one stays.
    """

    def __init__(self, s3: Any, uri: str, folders: Sequence[Path]) -> None:
        self._s3 = s3
        self._uri = uri.rstrip("/") + "/"
        self._folders = folders
        self._seen: dict[Path, _State] = {}
        self._uploaded: dict[Path, _State] = {}
        self._ended = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="checkpoints", daemon=True)

    def download(self) -> None:
        """Fill the folders with what is in S3."""
        keys = s3_transfer.list_keys(self._s3, self._uri)
        for folder in self._folders:
            s3_transfer.download_keys(self._s3, self._uri, keys, folder)
            self._uploaded |= dict(_files(folder))

    def start(self) -> None:
        """Begin to upload, in the background."""
        self._watcher.start()

    def finish(self, *, killed: bool) -> None:
        """Stop the watching, and upload what is left.

        Parameters
        ----------
        killed
            Whether a script was killed, maybe in the middle of a file: then only what has not changed since
            the last look is uploaded.
        """
        self._ended.set()
        if self._watcher.ident is not None:
            self._watcher.join()
        self.look(settled=not killed)

    def look(self, *, settled: bool = False) -> None:
        """Upload what has changed since it was uploaded, and not since the last look.

        Parameters
        ----------
        settled
            Whether nobody writes any more: then the last look does not matter.
        """
        for folder in self._folders:
            for file, state in _files(folder):
                is_still = settled or self._seen.get(file) == state
                self._seen[file] = state
                if is_still and self._uploaded.get(file) != state:
                    self._upload(file, state, file.relative_to(folder).as_posix())

    def _upload(self, file: Path, state: _State, name: str) -> None:
        # A copy: the upload of a large file takes long, and the script may begin to write it anew.
        with tempfile.TemporaryDirectory(prefix="checkpoint-") as folder:
            copy = Path(folder) / "copy"
            try:
                shutil.copyfile(file, copy)
            except FileNotFoundError:  # removed meanwhile
                return
            if _state(file) == state:
                s3_transfer.upload(self._s3, copy, self._uri + name)
                self._uploaded[file] = state

    def _watch(self) -> None:
        while not self._ended.wait(_INTERVAL_SECONDS):
            try:
                self.look()
            except CHECKPOINT_ERRORS as error:  # the last upload tells the job of it
                _logger.warning("checkpoints are not saved in %s: %s", self._uri, error)


def _files(folder: Path) -> list[tuple[Path, _State]]:
    found = []
    for parent, _, names in os.walk(folder):
        for name in sorted(names):
            file = Path(parent) / name
            if not file.is_symlink() and (state := _state(file)) is not None:
                found.append((file, state))
    return found


def _state(file: Path) -> _State | None:
    try:
        status = file.stat()
    except OSError:
        return None
    if not stat.S_ISREG(status.st_mode):  # a pipe or a socket of the script
        return None
    return status.st_size, status.st_mtime_ns
