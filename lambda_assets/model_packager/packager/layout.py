"""Whether a model archive holds a model."""

from typing import Final

from .errors import NestedArchiveError, WrappedModelError
from .source_code import CODE
from .tar_member import Member, is_under, show

_ARCHIVES: Final = (b".tar.gz", b".tgz", b".tar", b".zip")


class LayoutGuard:
    """Looks at the members of one archive in their order.

    Parameters
    ----------
    archive : str
        How errors call the archive.
    has_code : bool
        Whether the code of the model is to be in it, and none is given beside it.
    """

    def __init__(self, archive: str, *, has_code: bool) -> None:
        self._archive = archive
        self._has_code = has_code
        self._files = 0
        self._name = b""
        self._tops: set[bytes] = set()  # two are as good as all
        self._code_inside = False

    def see(self, member: Member) -> None:
        """Take note of a member."""
        if member.kind in ("directory", "global"):
            return
        self._files += 1
        self._name = member.name
        top, _, rest = member.name.partition(b"/")
        if len(self._tops) < 2:
            self._tops.add(top)
        self._code_inside = self._code_inside or is_under(rest, CODE)

    def finish(self) -> None:
        """Say what no container finds its way in.

        Raises
        ------
        NestedArchiveError
            When the one file that there was is an archive.
        WrappedModelError
            When one folder is around everything, and the code that is needed is in it: no container looks for
            it there.
        """
        if self._files == 1 and self._name.endswith(_ARCHIVES):
            raise NestedArchiveError(
                f"{self._archive} holds nothing but the archive {show(self._name)}: give that one, as a"
                " model.tar.gz"
            )
        if self._has_code and self._code_inside and len(self._tops) == 1 and CODE not in self._tops:
            folder = show(next(iter(self._tops)))
            raise WrappedModelError(
                f"{self._archive} has one folder around everything, {folder}, and the code in it: pack what"
                f" lies in {folder}, as tar -C {folder} -czf model.tar.gz . does"
            )
