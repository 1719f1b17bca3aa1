"""Choosing how a request is met, and meeting it."""

from dataclasses import dataclass
from typing import Final, Literal

from .errors import NotGzipError
from .gzip_stream import in_blocks
from .prefix import package_prefix
from .request import CODE_DIRECTORY, SOURCE_ARCHIVE, PackagingRequest
from .rewrite import rewrite
from .scan import ModelArchive, RewriteNeededError
from .source_code import read_source_code
from .splice import splice_bytes, splice_object
from .storage import Storage, StoredObject
from .upload import ObjectWriter, copy_object

MEMORY_BYTES: Final = 11 * 1024**2
"""Up to this size a model is held in memory: a splice needs two parts of at least 5 MiB each."""

Strategy = Literal["splice", "rewrite", "memory", "copy"]


@dataclass(frozen=True)
class PackagedModel:
    """What came out.

    Attributes
    ----------
    model_data_url : str
        The S3 URI of the packaged model.tar.gz, or the prefix of uncompressed model data.
    submit_directory : str
        Where the container finds the code: its value for SAGEMAKER_SUBMIT_DIRECTORY.
    strategy : Strategy
        How it was made.
    bytes_in, bytes_out : int
        Length of the model before and after, as it lies in S3.
    model_data_etag : str or None
        The entity tag of what the model's key held; None for a prefix.
    """

    model_data_url: str
    submit_directory: str
    strategy: Strategy
    bytes_in: int
    bytes_out: int
    model_data_etag: str | None = None


def package(request: PackagingRequest, storage: Storage) -> PackagedModel:
    """Put the source code and the model together as the container of the PyTorch version expects them.

    The output is the same for the same input, appears whole or not at all, and is written last.

    Raises
    ------
    ModelPackagerError
        One of its kinds, with the S3 URI and the reason; no model is written then.
    """
    if request.model_data.is_prefix:
        return _uncompressed(request, storage)
    model = storage.head(request.model_data, request.model_data_version)
    code = read_source_code(storage, request)
    submit_directory = CODE_DIRECTORY
    strategy: Strategy
    if code is None or not request.code_inside:
        _check_magic(storage, model)
        if code is not None:
            source_archive = request.output.beside(SOURCE_ARCHIVE)
            storage.put(source_archive, code.archive)
            submit_directory = str(source_archive)
        copy_object(storage, model, request.output)
        strategy, size = "copy", model.size
    else:
        archive = ModelArchive(request, code)
        if model.size <= MEMORY_BYTES:
            strategy, size = "memory", _in_memory(archive, storage, model)
        else:
            strategy, size = _streamed(archive, storage, model)
    return PackagedModel(str(request.output), submit_directory, strategy, model.size, size, model.etag)


def _uncompressed(request: PackagingRequest, storage: Storage) -> PackagedModel:
    code = read_source_code(storage, request)
    before, after = package_prefix(request, code, storage)
    return PackagedModel(str(request.output), CODE_DIRECTORY, "copy", before, after)


def _check_magic(storage: Storage, model: StoredObject) -> None:
    start = b"".join(storage.blocks(model, limit=2))
    if start != b"\x1f\x8b":
        raise NotGzipError(f"{model.place} is not a gzip file: it begins with {start!r}")


def _in_memory(archive: ModelArchive, storage: Storage, model: StoredObject) -> int:
    data = b"".join(storage.blocks(model))
    output = archive.request.output
    try:
        spliced = splice_bytes(archive, data)
    except RewriteNeededError:
        with ObjectWriter(storage, output, model.size) as writer:
            rewrite(archive, in_blocks(data), writer)
            writer.close()
        return writer.size
    storage.put(output, spliced)
    return len(spliced)


def _streamed(archive: ModelArchive, storage: Storage, model: StoredObject) -> tuple[Strategy, int]:
    output = archive.request.output
    try:
        return "splice", splice_object(archive, storage, model, output)
    except RewriteNeededError:
        with ObjectWriter(storage, output, model.size) as writer:
            rewrite(archive, storage.blocks(model), writer)
            writer.close()
        return "rewrite", writer.size
