"""The streaming rewrite: the model compressed anew, in bounded memory and without a disk."""

from collections.abc import Iterable

from .gzip_stream import GzipWriter, Output
from .scan import ModelArchive
from .source_code import CODE
from .sparse import write_expanded
from .tar_member import is_under
from .tar_stream import END_OF_ARCHIVE, ByteStream, read_members


def rewrite(archive: ModelArchive, blocks: Iterable[bytes], output: Output) -> None:
    """Write the code, then every member of the model archive in `blocks` that does not give way to it.

    Raises
    ------
    ModelPackagerError
        When the archive is broken or unsafe; what was written is of no use then.
    """
    gzip = GzipWriter(output)
    gzip.write(archive.code.entries)
    guard = archive.guard()
    layout = archive.layout()
    stream = ByteStream(archive.gunzip(blocks))
    left = archive.request.max_bytes
    for member in read_members(stream, archive.name):
        layout.see(member)
        if is_under(member.name, CODE) and archive.code.replaces(member.name):
            continue
        guard.check(member)
        if member.sparse:
            # Of all together, for holes take no place in the archive.
            left -= write_expanded(member, stream, gzip, left, archive.name)
            continue
        gzip.write(member.headers)
        for view in stream.views(member.padded_size):
            gzip.write(view)
    guard.finish()
    layout.finish()
    gzip.write(END_OF_ARCHIVE)
    gzip.close()
