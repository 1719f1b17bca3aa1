"""Folders that one local AWS has for itself: closed to other users, and to another local AWS."""

import fcntl
import os
import stat
import time
from pathlib import Path

from .errors import LocalAwsError

_CLAIM_SECONDS = 15.0
_POLL_SECONDS = 0.05


def make_private(folder: Path) -> None:
    """Make a folder that is open to this user alone, or close one that is there.

    Parameters
    ----------
    folder
        The folder; the one that it lies in must be there.

    Raises
    ------
    LocalAwsError
        If something else has its name, another user's folder or a link above all.
    """
    folder.mkdir(0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise LocalAwsError(
            f"{folder} must be a folder of your own, or not be there: it is another user's or a link"
        )
    folder.chmod(0o700)


def claim(folder: Path) -> int:
    """Claim a folder for as long as this process lives, however it ends; return what holds the claim.

    One that is just ending, because its parent was killed, is waited for.

    Parameters
    ----------
    folder
        The folder.

    Raises
    ------
    LocalAwsError
        If another process keeps it.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    deadline = time.monotonic() + _CLAIM_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(descriptor)
                raise LocalAwsError(
                    f"{folder} is used by another local AWS: choose another, or stop that"
                ) from None
            time.sleep(_POLL_SECONDS)
        except OSError:
            return descriptor  # a file system without locks: then it is not claimed
        else:
            return descriptor
