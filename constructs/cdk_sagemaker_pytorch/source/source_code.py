"""A script and what belongs to it, shipped as the sourcedir.tar.gz that the containers open."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from aws_cdk import Stage
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_s3_assets as s3_assets
from constructs import Construct

from cdk_sagemaker_pytorch.common.options import BUCKET, ListOf, Resource, Text, check_arguments
from cdk_sagemaker_pytorch.common.problems import Problems

from .archive_cache import FileState, archive_key, file_states, pack
from .default_excludes import SourceFilter
from .exclude_patterns import ExcludePatterns
from .left_out import LeftOut
from .shipped_assets import shipped_asset
from .source_archive import collect_files

__all__ = ["SERVING_PACKAGE", "SourceArchive", "SourceCode"]

SERVING_PACKAGE = "cdk_sagemaker_pytorch_serving"
"""Name under which the library's own handlers lie beside an inference script."""

_MOST_TRAINING_BYTES = 1024**3
# The model packager holds the code in memory, and refuses more.
_MOST_INFERENCE_BYTES = 128 * 1024**2
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
        Whether the library's handlers lie beside it, in the package `SERVING_PACKAGE`. Defaults to
        no.
    """

    bucket: s3.IBucket
    object_key: str
    entry_point: str
    has_handlers: bool = False

    @property
    def s3_uri(self) -> str:
        """S3 URI of the archive."""
        return self.bucket.s3_url_for_object(self.object_key)

    def grant_read(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let `grantee` read the archive, and nothing else of the bucket."""
        return self.bucket.grant_read(grantee, self.object_key)


class SourceCode:
    """An entry point with its source directory and dependencies.

    Use one of the factories. Nothing is packed before a construct binds the source code, and nothing
    is packed twice without a change: archives are kept among the user's caches, for a month after
    their last use. The environment variable ``CDK_SAGEMAKER_PYTORCH_CACHE`` names another folder;
    where it is empty, or others may write into the folder, no archive is kept.
    """

    def __init__(
        self,
        *,
        entry_point: str,
        source_dir: Path | None = None,
        dependencies: tuple[Path, ...] = (),
        exclude: tuple[str, ...] = (),
        bucket: s3.IBucket | None = None,
        object_key: str = "",
    ) -> None:
        self.entry_point = entry_point
        self._source_dir = source_dir
        self._dependencies = dependencies
        self._exclude = exclude
        self._is_single_file = False
        self._bucket = bucket
        self._object_key = object_key

    @classmethod
    def from_directory(
        cls,
        source_dir: str | Path,
        *,
        entry_point: str,
        dependencies: Sequence[str | Path] = (),
        exclude: Sequence[str] = (),
    ) -> "SourceCode":
        """Use a script in a directory, with all that the directory holds.

        Parameters
        ----------
        source_dir : str or Path
            The directory. A ``requirements.txt`` at its top is installed by the container where
            the framework version allows it.
        entry_point : str
            The script, relative to `source_dir`.
        dependencies : sequence of str or Path, optional
            Further files and directories; copied beside the script for training and into
            ``code/lib`` for inference. Defaults to none.
        exclude : sequence of str, optional
            Patterns as in a ``.gitignore``, relative to `source_dir`; case matters. Defaults to none.
            Caches (``__pycache__``, ``*.pyc``, ``.ipynb_checkpoints``, …) and version control are always
            left out. So are, unless a pattern such as ``!ca.pem`` lets them in, virtual environments,
            ``cdk.out``, ``node_modules``, and what is secret by its name: ``.env*``, ``*.pem``, private
            keys such as ``id_rsa``, ``.netrc``, ``.aws/`` and the like.

        Raises
        ------
        ConfigurationError
            When a path does not exist or is of the wrong kind, two dependencies share a name, or a
            pattern cannot be understood.
        """
        check_arguments(
            "SourceCode",
            source_dir=(Text(), source_dir),
            entry_point=(Text(), entry_point),
            dependencies=(ListOf(wanted="paths"), dependencies),
            exclude=(ListOf(wanted="patterns"), exclude),
        )
        directory = Path(source_dir).absolute()
        problems = Problems("SourceCode")
        if not directory.is_dir():
            problems.add(f"source_dir must be an existing directory, got {directory}")
        elif not (directory / entry_point).is_file():
            problems.add(f"entry_point must be a file in source_dir, got {directory / entry_point}")
        paths = tuple(Path(dependency).absolute() for dependency in dependencies)
        for path in paths:
            problems.check(path.exists(), f"dependencies must exist, got {path}")
        names = [path.name for path in paths]
        for name in sorted({name for name in names if names.count(name) > 1}):
            problems.add(f"dependencies must have different names, got {name} twice")
        try:
            ExcludePatterns(exclude)
        except ValueError as error:
            problems.add(f"exclude must be patterns as in a .gitignore, got {error}")
        problems.raise_if_any()
        return cls(
            entry_point=Path(entry_point).as_posix(),
            source_dir=directory,
            dependencies=paths,
            exclude=tuple(exclude),
        )

    @classmethod
    def from_file(cls, entry_point: str | Path, *, dependencies: Sequence[str | Path] = ()) -> "SourceCode":
        """Use a single script, and nothing else of its directory.

        Parameters
        ----------
        entry_point : str or Path
            Path of the script.
        dependencies : sequence of str or Path, optional
            As in `from_directory`.

        Raises
        ------
        ConfigurationError
            When a path does not exist.
        """
        check_arguments("SourceCode", entry_point=(Text(), entry_point))
        script = Path(entry_point).absolute()
        source_code = cls.from_directory(script.parent, entry_point=script.name, dependencies=dependencies)
        source_code._is_single_file = True
        return source_code

    @classmethod
    def from_s3(cls, bucket: s3.IBucket, object_key: str, *, entry_point: str) -> "SourceCode":
        """Use a tar.gz that is in S3 already.

        Parameters
        ----------
        bucket : s3.IBucket
            Its bucket.
        object_key : str
            Its key.
        entry_point : str
            The script, relative to the root of the archive.

        Raises
        ------
        ConfigurationError
            When one of them is of a wrong type.
        """
        check_arguments(
            "SourceCode",
            bucket=(Resource(attribute="bucket_arn", wanted=BUCKET), bucket),
            object_key=(Text(), object_key),
            entry_point=(Text(), entry_point),
        )
        return cls(entry_point=entry_point, bucket=bucket, object_key=object_key)

    @classmethod
    def bundled_training(cls) -> "SourceCode":
        """Use the training script that ships with the library: a classifier or regressor for tables."""
        return cls.from_directory(shipped_asset("training_assets"), entry_point="train.py")

    @classmethod
    def bundled_inference(cls) -> "SourceCode":
        """Use the inference script that ships with the library, for PyTorch 1.9 and newer.

        It serves a TorchScript ``model.pt`` or the ``model.pth`` of the bundled training script.
        """
        return cls.from_file(shipped_asset("inference_assets", "inference.py"))

    @classmethod
    def bundled_elastic_inference(cls) -> "SourceCode":
        """Use the inference script for Elastic Inference that ships with the library.

        It serves a TorchScript ``model.pt`` on the accelerator.
        """
        return cls.from_file(shipped_asset("inference_assets", "elastic_inference", "inference.py"))

    @property
    def path(self) -> Path | None:
        """The script on this machine, or None for source code in S3."""
        return self._source_dir / self.entry_point if self._source_dir else None

    @property
    def has_requirements(self) -> bool:
        """Whether a requirements.txt ships at the top; not known, so False, for source code in S3."""
        return self.ships("requirements.txt")

    @property
    def top_modules(self) -> list[str]:
        """Modules and packages of Python that ship at the top; none for source code in S3."""
        if self._source_dir is None:
            return []
        files = self._own_files(LeftOut())
        names = {name.removesuffix(".py") for name in files if name.endswith(".py") and "/" not in name}
        packages = {name.removesuffix("/__init__.py") for name in files if name.endswith("/__init__.py")}
        return sorted(names | {name for name in packages if "/" not in name})

    def ships(self, name: str) -> bool:
        """Whether a file ships at the top; not known, so False, for source code in S3.

        Parameters
        ----------
        name : str
            Its name.
        """
        return (
            self._source_dir is not None
            and not self._is_single_file
            and (self._source_dir / name).is_file()
            and not ExcludePatterns(self._exclude).excludes(name, False)
        )

    def bind_training(self, scope: Construct, construct_id: str) -> SourceArchive:
        """Ship the source code for a training job.

        Parameters
        ----------
        scope : Construct
            The construct that trains.
        construct_id : str
            Id of the asset in it.

        Raises
        ------
        ConfigurationError
            When a dependency would replace a file of `source_dir`, or all files together are larger
            than 1 GiB.
        """
        if self._bucket is not None:
            return self._in_s3(self._bucket)
        left_out = LeftOut()
        files = self._with_dependencies("", left_out)
        left_out.annotate(scope)
        return self._bind(scope, construct_id, files, most_bytes=_MOST_TRAINING_BYTES)

    def bind_inference(self, scope: Construct, construct_id: str, *, with_handlers: bool) -> SourceArchive:
        """Ship the source code for an endpoint.

        Parameters
        ----------
        scope : Construct
            The construct that serves.
        construct_id : str
            Id of the asset in it.
        with_handlers : bool
            Whether to put the library's handlers beside the script.

        Raises
        ------
        ConfigurationError
            When a dependency would replace a file of `source_dir`, or all files together are larger
            than 128 MiB, the most that the model packager takes.
        """
        if self._bucket is not None:
            return self._in_s3(self._bucket)
        left_out = LeftOut()
        files = self._with_dependencies("lib/", left_out)
        left_out.annotate(scope)
        if with_handlers:
            serving = collect_files(shipped_asset("inference_assets", "serving"))
            files |= {f"{SERVING_PACKAGE}/{name}": path for name, path in serving.items()}
        archive = self._bind(scope, construct_id, files, most_bytes=_MOST_INFERENCE_BYTES)
        return replace(archive, has_handlers=with_handlers)

    def _in_s3(self, bucket: s3.IBucket) -> SourceArchive:
        return SourceArchive(bucket, self._object_key, self.entry_point)

    def _bind(
        self, scope: Construct, construct_id: str, files: Mapping[str, str], *, most_bytes: int
    ) -> SourceArchive:
        states = file_states(files)
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
        return SourceArchive(asset.bucket, asset.s3_object_key, self.entry_point)

    def _own_files(self, left_out: LeftOut) -> dict[str, str]:
        if self._source_dir is None:
            return {}
        if self._is_single_file:
            return {self.entry_point: str(self._source_dir / self.entry_point)}
        return self._filtered(self._source_dir, self._exclude, left_out)

    def _filtered(
        self, folder: Path, exclude: Sequence[str], left_out: LeftOut, prefix: str = ""
    ) -> dict[str, str]:
        source_filter = SourceFilter(folder, exclude)
        files = collect_files(folder, is_excluded=source_filter.excludes)
        left_out.secrets += [prefix + name for name in source_filter.secrets]
        left_out.made_by_tools += [prefix + name for name in source_filter.made_by_tools]
        return files

    def _with_dependencies(self, folder: str, left_out: LeftOut) -> dict[str, str]:
        files = self._own_files(left_out)
        problems = Problems("SourceCode")
        problems.check(
            self.entry_point in files,
            f"exclude must leave the entry point in, got {list(self._exclude)} for {self.entry_point}",
        )
        for dependency in self._dependencies:
            found = (
                {
                    f"{dependency.name}/{name}": path
                    for name, path in self._filtered(dependency, (), left_out, f"{dependency.name}/").items()
                }
                if dependency.is_dir()
                else {dependency.name: str(dependency)}
            )
            for name, path in found.items():
                if folder + name in files:
                    problems.add(
                        f"dependencies must not replace files of source_dir, got {path} for {folder + name}"
                    )
                files[folder + name] = path
        problems.raise_if_any()
        return files


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
