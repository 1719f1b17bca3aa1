"""Reading a model archive once from end to end, to prove it sound and fit for splicing."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from .gzip_stream import GunzipStream
from .layout import LayoutGuard
from .links import LinkGuard
from .request import PackagingRequest
from .source_code import CODE, SourceCode
from .tar_member import is_under
from .tar_stream import ByteStream, read_members


class RewriteNeededError(Exception):
    """The archive is sound, but code cannot simply be put in front of it."""


@dataclass(frozen=True)
class ModelArchive:
    """What is known of a model archive before it is read.

    Attributes
    ----------
    request : PackagingRequest
        Holds the bounds and the name that errors use.
    code : SourceCode
        What becomes its `code/`.
    """

    request: PackagingRequest
    code: SourceCode

    @property
    def name(self) -> str:
        """How errors call the archive."""
        return str(self.request.model_data)

    def gunzip(self, blocks: Iterable[bytes]) -> GunzipStream:
        """Return the uncompressed archive, within the request's bounds."""
        return GunzipStream(
            blocks, self.name, max_bytes=self.request.max_bytes, max_ratio=self.request.max_ratio
        )

    def guard(self) -> LinkGuard:
        """Return what checks the archive's members beside those of the code."""
        return LinkGuard(self.name, CODE, self.code.links)

    def layout(self) -> LayoutGuard:
        """Return what looks at where its members lie."""
        return LayoutGuard(self.name, has_code=self.request.source_code is None)


def scan(archive: ModelArchive, blocks: Iterable[bytes]) -> int:
    """Read a model archive and return its uncompressed length in bytes.

    Raises
    ------
    RewriteNeededError
        As soon as something is seen that splicing cannot keep: old `code/` members, sparse members, more than
        one gzip member, zeros after the gzip data.
    ModelPackagerError
        When the archive is broken or unsafe.
    """
    gunzip = archive.gunzip(blocks)
    guard = archive.guard()
    layout = archive.layout()
    for member in read_members(ByteStream(_single_member(gunzip)), archive.name):
        if is_under(member.name, CODE):
            raise RewriteNeededError("it has code already")
        if member.sparse:
            raise RewriteNeededError("it has sparse members")
        guard.check(member)
        layout.see(member)
    guard.finish()
    layout.finish()
    if gunzip.padded:
        raise RewriteNeededError("zeros follow its gzip data")
    return gunzip.uncompressed


def _single_member(gunzip: GunzipStream) -> Iterator[bytes]:
    for chunk in gunzip:
        if gunzip.members > 1:
            raise RewriteNeededError("it has several gzip members")
        yield chunk
