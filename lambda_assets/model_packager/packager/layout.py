"""Whether a model archive holds a model."""

from typing import Final

from .errors import NestedArchiveError
from .tar_member import Member, show

_ARCHIVES: Final = (b".tar.gz", b".tgz", b".tar", b".zip")


class LayoutGuard:
    """Looks at the members of one archive in their order.

    Parameters
    ----------
    archive : str
        How errors call the archive.
    """

    def __init__(self, archive: str) -> None:
        self._archive = archive
        self._files = 0
        self._name = b""

    def see(self, member: Member) -> None:
        """Take note of a member."""
        if member.kind not in ("directory", "global"):
            self._files += 1
            self._name = member.name

    def finish(self) -> None:
        """Raise NestedArchiveError when the one file that there was is an archive."""
        if self._files == 1 and self._name.endswith(_ARCHIVES):
            raise NestedArchiveError(
                f"{self._archive} holds nothing but the archive {show(self._name)}: give that one, as a"
                " model.tar.gz"
            )
