"""The streaming rewrite: the model compressed anew, in bounded memory and without a disk."""

from collections.abc import Iterable

from .gzip_stream import GzipWriter, Output
from .scan import CODE, ModelArchive
from .sparse import write_expanded
from .tar_member import is_under
from .tar_stream import END_OF_ARCHIVE, ByteStream, read_members


def rewrite(archive: ModelArchive, blocks: Iterable[bytes], output: Output) -> None:
    """Write the code, then every member of the model archive in `blocks` that is no old code.

    Raises
    ------
    ModelPackagerError
        When the archive is broken or unsafe; what was written is of no use then.
    """
    gzip = GzipWriter(output)
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
