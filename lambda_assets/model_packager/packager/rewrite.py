"""The streaming rewrite: what a splice cannot keep is compressed anew, in bounded memory and without a disk."""

from collections.abc import Iterable

from .gzip_stream import GzipWriter
from .scan import CODE, ModelArchive
from .sparse import write_expanded
from .tar_stream import END_OF_ARCHIVE, ByteStream, is_under, read_members
from .upload import ObjectWriter


def rewrite(archive: ModelArchive, blocks: Iterable[bytes], writer: ObjectWriter) -> None:
    """Write the code, then every member of the model archive in `blocks` that is no old code.

    Raises
    ------
    ModelPackagerError
        When the archive is broken or unsafe; the writer is not closed then.
    """
    gzip = GzipWriter(writer)
    gzip.write(archive.code.entries)
    guard = archive.guard()
    stream = ByteStream(archive.gunzip(blocks))
    for member in read_members(stream, archive.name):
        if is_under(member.name, CODE):
            continue
        guard.check(member)
        if member.sparse:
            write_expanded(member, stream, gzip, archive.request.max_bytes, archive.name)
            continue
        gzip.write(member.headers)
        for view in stream.views(member.padded_size):
            gzip.write(view)
    guard.finish()
    gzip.write(END_OF_ARCHIVE)
    gzip.close()
