"""Following the links of an archive, to see what would be written outside of its directory."""

from collections.abc import Iterable
from typing import Final

from .errors import UnsafeMemberError
from .tar_member import Member, is_under, show

_MAX_HOPS: Final = 40  # where Linux gives up following links
_MAX_PATH_BYTES: Final = 4095  # what Linux takes
_MAX_LINKS: Final = 100_000


class LinkGuard:
    """Checks the members of one archive in their order.

    Parameters
    ----------
    archive : str
        How errors call the archive.
    replaced : bytes or None
        A directory whose files in the archive are replaced by others. Defaults to none.
    placed : iterable of Member
        What is extracted there. Defaults to nothing.
    """

    def __init__(self, archive: str, replaced: bytes | None = None, placed: Iterable[Member] = ()) -> None:
        self._archive = archive
        self._replaced = replaced
        self._symlinks = {member.name: member.target for member in placed if member.kind == "symlink"}

    def check(self, member: Member) -> None:
        """Raise UnsafeMemberError when extracting the member would write outside of the directory."""
        if max(len(member.name), len(member.target)) > _MAX_PATH_BYTES:
            raise self._unsafe(member, f"has a path of more than {_MAX_PATH_BYTES} bytes")
        if self._symlinks and member.kind != "global":
            self._check_path(member)
        if member.kind == "symlink":
            self._add(member, member.target)
        elif member.kind == "hardlink":
            place = self._resolve(member, b"", member.target, follow_last=False)
            if self._replaced is not None and is_under(place, self._replaced):
                raise self._unsafe(member, f"is a hard link into {show(self._replaced)}, which is replaced")
            if place in self._symlinks:
                # A second name of a symlink, which may lead elsewhere from where it lies.
                self._add(member, self._symlinks[place])

    def finish(self) -> None:
        """Look at every symlink once more, now that all are known: one may lead through a later one."""
        for name, target in self._symlinks.items():
            self._resolve_symlink(Member(name, "symlink", target))

    def _add(self, member: Member, target: bytes) -> None:
        if len(self._symlinks) >= _MAX_LINKS:
            raise self._unsafe(member, f"is one of more than {_MAX_LINKS} symlinks")
        self._symlinks[member.name] = target
        self._resolve_symlink(Member(member.name, "symlink", target))

    def _check_path(self, member: Member) -> None:
        if member.name in self._symlinks and member.kind != "symlink":
            raise self._unsafe(member, "has the name of an earlier symlink and would be written through it")
        end = member.name.find(b"/")
        while end >= 0:
            if member.name[:end] in self._symlinks:
                raise self._unsafe(member, f"would be written through the symlink {show(member.name[:end])}")
            end = member.name.find(b"/", end + 1)

    def _resolve_symlink(self, link: Member) -> None:
        self._resolve(link, link.name.rpartition(b"/")[0], link.target, follow_last=True)

    def _resolve(self, member: Member, start: bytes, target: bytes, *, follow_last: bool) -> bytes:
        """Return the path that `target` leads to from the directory `start`."""
        if target.startswith(b"/"):
            raise self._unsafe(member, f"links to the absolute path {show(target)}")
        place = start.split(b"/") if start else []
        ahead = target.split(b"/")[::-1]
        hops = 0
        while ahead:
            part = ahead.pop()
            if part in (b"", b"."):
                continue
            if part == b"..":
                if not place:
                    raise self._unsafe(member, f"links to {show(target)}, which is outside of the archive")
                place.pop()
                continue
            place.append(part)
            link = self._symlinks.get(b"/".join(place))
            if link is not None and (ahead or follow_last):
                hops += 1
                if hops > _MAX_HOPS:
                    raise self._unsafe(member, f"links to {show(target)}, which leads in a circle")
                if link.startswith(b"/"):
                    raise self._unsafe(member, f"links to the absolute path {show(link)}")
                place.pop()
                ahead += link.split(b"/")[::-1]
        return b"/".join(place)

    def _unsafe(self, member: Member, reason: str) -> UnsafeMemberError:
        return UnsafeMemberError(
            f"{self._archive} has the member {show(member.name[:_MAX_PATH_BYTES])}, which {reason}"
        )
