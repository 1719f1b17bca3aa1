"""The sourcedir.tar.gz that the containers open, as an asset."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from aws_cdk import Stage
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_s3_assets as s3_assets
from constructs import Construct

from cdk_sagemaker_pytorch.common.problems import Problems

from .archive_cache import FileState, archive_key, file_states, pack
from .shipped_assets import shipped_asset
from .source_archive import collect_files

__all__ = ["SERVING_PACKAGE", "SourceArchive", "bind_files", "bind_handlers", "handler_files"]

SERVING_PACKAGE = "cdk_sagemaker_pytorch_serving"
"""Name under which the library's own handlers lie beside an inference script."""

_SHOWN_FILES = 5

# Archives that this process has staged, by output folder and archive key: digest and file.
_staged: dict[tuple[str, str], tuple[str, Path]] = {}


@dataclass(frozen=True)
class SourceArchive:
    """Source code in S3, ready for a container.

    Attributes
    ----------
    bucket : s3.IBucket
        The bucket it lies in.
    object_key : str
        Its key.
    entry_point : str
        The script to run, relative to the archive's root.
    has_handlers : bool
        Whether the library's handlers lie beside it, in the package `SERVING_PACKAGE`, or come with it as
        `handlers`. Defaults to no.
    handlers : s3_assets.Asset, optional
        The library's handlers as an archive of their own, where the code is in S3 already. Defaults to none.
    keeps_code : bool
        Whether what a model has in ``code/`` stays beside it. Defaults to no.
    """

    bucket: s3.IBucket
    object_key: str
    entry_point: str
    has_handlers: bool = False
    handlers: s3_assets.Asset | None = None
    keeps_code: bool = False

    @property
    def s3_uri(self) -> str:
        """S3 URI of the archive."""
        return self.bucket.s3_url_for_object(self.object_key)

    @property
    def event_fields(self) -> dict[str, str]:
        """What the model packager is told of it."""
        fields = {"source_code": self.s3_uri, "entry_point": self.entry_point}
        if self.handlers is not None:
            fields["handlers"] = self.handlers.s3_object_url
        if self.keeps_code:
            fields["keep_code"] = "true"
        return fields

    def grant_read(self, grantee: iam.IGrantable) -> None:
        """Let `grantee` read the archive, and nothing else of the bucket."""
        self.bucket.grant_read(grantee, self.object_key)
        if self.handlers is not None:
            self.handlers.bucket.grant_read(grantee, self.handlers.s3_object_key)


def bind_handlers(scope: Construct, construct_id: str) -> s3_assets.Asset:
    """Ship the library's handlers alone, for code that is somewhere else.

    Parameters
    ----------
    scope : Construct
        The construct that serves.
    construct_id : str
        Id of the asset in it.
    """
    return bind_files(scope, construct_id, handler_files())


def handler_files() -> dict[str, str]:
    """Find the library's handlers, by path inside of an archive."""
    serving = collect_files(shipped_asset("inference_assets", "serving"))
    return {f"{SERVING_PACKAGE}/{name}": path for name, path in serving.items()}


def bind_files(
    scope: Construct, construct_id: str, files: Mapping[str, str], *, most_bytes: int | None = None
) -> s3_assets.Asset:
    """Pack files, unless that was done already, and make the archive an asset.

    Parameters
    ----------
    scope : Construct
        The construct that uses them.
    construct_id : str
        Id of the asset in it.
    files : Mapping of str to str
        Files on this machine, by path inside of the archive.
    most_bytes : int, optional
        What they may have together before compression. Defaults to any number.

    Raises
    ------
    ConfigurationError
        When they are larger.
    """
    states = file_states(files)
    if most_bytes is not None:
        _check_size(states, most_bytes)
    output = Path(Stage.of(scope).asset_outdir)  # type: ignore[union-attr]  # every construct has a stage
    key = (str(output), archive_key(states))
    digest, staged = _staged.get(key, ("", Path()))
    with tempfile.TemporaryDirectory() as folder:
        archive = staged if staged.is_file() else Path(folder) / "sourcedir.tar.gz"
        if archive is not staged:
            digest = pack(files, states, archive)
        asset = s3_assets.Asset(scope, construct_id, path=str(archive), asset_hash=digest)
    _staged[key] = (digest, output / asset.asset_path)
    return asset


def _check_size(states: Sequence[FileState], most_bytes: int) -> None:
    """Refuse what is too large before any of it is read."""
    # In a tar, a file has a header and fills whole blocks of 512 bytes.
    total = sum(512 + -(-state.size // 512) * 512 for state in states)
    biggest = sorted(states, key=lambda state: state.size, reverse=True)[:_SHOWN_FILES]
    shown = ", ".join(f"{state.name} ({_mebibytes(state.size)})" for state in biggest)
    problems = Problems("SourceCode")
    problems.check(
        total <= most_bytes,
        f"source code must be at most {_mebibytes(most_bytes)} before compression, got"
        f" {_mebibytes(total)} in {len(states)} files, the biggest {shown}: exclude what the script does"
        " not need, and give data as a channel and models as model data",
    )
    problems.raise_if_any()


def _mebibytes(size: int) -> str:
    return f"{size / 1024**2:.1f} MiB"
