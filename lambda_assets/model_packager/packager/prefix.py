"""Uncompressed model data: files below an S3 prefix, which SageMaker downloads as they are.

S3 copies the model's files itself, and only the code passes through this process. Where the output is the
model's own prefix, nothing but the code is written.
"""

import io
import tarfile
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import Final

from .errors import DecompressionBombError, ObjectNotFoundError, UnsafeMemberError
from .request import PackagingRequest, S3Uri
from .source_code import SourceCode
from .storage import Storage, StoredObject
from .tar_member import clean_name, is_under, show
from .upload import copy_object

_CODE: Final = "code"
_WORKERS: Final = 4


def package_prefix(request: PackagingRequest, code: SourceCode | None, storage: Storage) -> tuple[int, int]:
    """Put a model's files and the code below the output prefix.

    Everything is checked before anything is written. An interrupted run leaves whole objects only, and the
    next one completes them. Code that was there and is no part of the new code is removed.

    Returns
    -------
    tuple of (int, int)
        Bytes of the model's files, and of all files afterwards.

    Raises
    ------
    ObjectNotFoundError
        When there are no model files.
    UnsafeMemberError
        When a key cannot become a file below the model directory, or a link in the code cannot be an object.
    DecompressionBombError
        When the files are larger than `request.max_bytes`.
    ModelPackagerError
        For whatever S3 refuses.
    """
    source, output = request.model_data, request.output
    everything = _files_below(source, "", storage)
    files = _model_files(source, everything)
    size = sum(stored.size for stored in files.values())
    if size > request.max_bytes:
        raise DecompressionBombError(
            f"{source} has files of {size} bytes, at most {request.max_bytes} are allowed; raise max_bytes "
            "if that is meant"
        )
    code_files = _code_files(code, request) if code is not None else {}
    copied = {}
    if output != source:
        # Without new code, the model's own stays; beside it, what does not give way.
        kept = {} if code is None else _kept_code(everything, code)
        copied = everything if code is None else files | kept
    _together(
        [
            *(_copying(storage, stored, output.below(name)) for name, stored in copied.items()),
            *(_putting(storage, output.below(name), data) for name, data in code_files.items()),
        ]
    )
    if code is not None:
        for name, stored in _files_below(output, f"{_CODE}/", storage).items():
            if name not in code_files and code.replaces(name.encode()):
                storage.delete(stored.place)
    return size, size + sum(map(len, code_files.values()))


def _model_files(source: S3Uri, everything: dict[str, StoredObject]) -> dict[str, StoredObject]:
    """Return those of the files below the model's prefix that are no code, checked to be plain paths."""
    files = {
        name: stored for name, stored in everything.items() if not is_under(name.encode(), _CODE.encode())
    }
    if not files:
        raise ObjectNotFoundError(f"{source} has no model files below it")
    for name in files:
        path = clean_name(name.encode(), str(source))
        if path != name.encode():
            raise UnsafeMemberError(
                f"{source} has the key {show(name.encode())} below it, which is no plain path: "
                "SageMaker cannot make a file of it"
            )
        parents = name.split("/")[:-1]
        if any("/".join(parents[:depth]) in files for depth in range(1, len(parents) + 1)):
            raise UnsafeMemberError(
                f"{source} has the key {show(name.encode())} below one that is a file itself"
            )
    return files


def _kept_code(everything: dict[str, StoredObject], code: SourceCode) -> dict[str, StoredObject]:
    return {
        name: stored
        for name, stored in everything.items()
        if is_under(name.encode(), _CODE.encode()) and not code.replaces(name.encode())
    }


def _files_below(prefix: S3Uri, folder: str, storage: Storage) -> dict[str, StoredObject]:
    """Return the objects in a folder of a prefix by path below the prefix, without those of "folders"."""
    return {
        stored.place.key[len(prefix.key) :]: stored
        for stored in storage.objects(prefix.below(folder))
        if not stored.place.key.endswith("/")
    }


def _code_files(code: SourceCode, request: PackagingRequest) -> dict[str, bytes]:
    """Return what lies below `code/`; a link becomes what it leads to, for S3 has no links."""
    files = {}
    with tarfile.open(
        fileobj=io.BytesIO(code.entries), mode="r:", encoding="utf-8", errors="surrogateescape"
    ) as tar:
        for info in tar:
            if info.isdir():
                continue
            try:
                data = tar.extractfile(info)
            except KeyError:
                data = None
            if data is None:
                raise UnsafeMemberError(
                    f"{request.source_code} has the link {info.name!r}, which leads to no file of it: S3 can "
                    "hold files only"
                )
            try:
                info.name.encode()
            except UnicodeEncodeError:
                name = info.name.encode("utf-8", "surrogateescape")
                raise UnsafeMemberError(
                    f"{request.source_code} has the member {show(name)}, which is not UTF-8: S3 has no"
                    " such names"
                ) from None
            files[info.name] = data.read()
    return files


def _copying(storage: Storage, stored: StoredObject, place: S3Uri) -> Callable[[], None]:
    return lambda: copy_object(storage, stored, place)


def _putting(storage: Storage, place: S3Uri, data: bytes) -> Callable[[], None]:
    return lambda: storage.put(place, data)


def _together(steps: Iterable[Callable[[], None]]) -> None:
    """Take steps side by side; raise the first one's error without beginning the rest."""
    with ThreadPoolExecutor(_WORKERS, thread_name_prefix="copy") as pool:
        running = [pool.submit(step) for step in steps]
        done, waiting = wait(running, return_when=FIRST_EXCEPTION)
        for step in waiting:
            step.cancel()
        for step in done:
            step.result()
