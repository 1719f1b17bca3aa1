"""A script and what belongs to it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from aws_cdk import aws_s3 as s3
from constructs import Construct

from cdk_sagemaker_pytorch.common.option_kinds import BUCKET, ListOf, Resource, Text, check_arguments
from cdk_sagemaker_pytorch.common.problems import Problems

from .default_excludes import SourceFilter
from .exclude_patterns import ExcludePatterns
from .left_out import LeftOut
from .shipped_assets import shipped_asset
from .source_archive import collect_files
from .source_asset import SourceArchive, bind_files, bind_handlers, handler_files

__all__ = ["SourceCode"]

_MOST_TRAINING_BYTES = 1024**3
# The model packager holds the code in memory, and refuses more.
_MOST_INFERENCE_BYTES = 128 * 1024**2


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
        self._acknowledged: set[tuple[str, int | None]] = set()
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
            Further files and directories, copied beside the script, which imports them by their names.
            Defaults to none.
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

        For inference it joins what the model has in ``code/`` already, such as a requirements.txt, and
        replaces what has its name; a directory replaces all of it.

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

    def acknowledge(self, finding_id: str, *, reason: str, line: int | None = None) -> "SourceCode":
        """Let a finding of the script check pass, whether it is an error or a warning.

        Parameters
        ----------
        finding_id : str
            Its id, such as ``Script.mainGuard``.
        reason : str
            Why it is no mistake.
        line : int, optional
            The line that it is about. Defaults to any.

        Returns
        -------
        SourceCode
            This one.

        Raises
        ------
        ConfigurationError
            When one of them is of a wrong type, or there is no reason.
        """
        check_arguments("SourceCode", finding_id=(Text(), finding_id), reason=(Text(), reason))
        problems = Problems("SourceCode")
        problems.check(
            bool(reason.strip()), f"reason must say why {finding_id} is no mistake, got {reason!r}"
        )
        problems.check(
            line is None or (type(line) is int and line >= 1),
            f"line must be a whole number of at least 1, got {line!r}",
        )
        problems.raise_if_any()
        self._acknowledged.add((finding_id, line))
        return self

    def acknowledges(self, finding_id: str, line: int) -> bool:
        """Tell whether a finding may pass.

        Parameters
        ----------
        finding_id : str
            Its id.
        line : int
            The line that it is about.
        """
        return not self._acknowledged.isdisjoint({(finding_id, None), (finding_id, line)})

    @property
    def shipped_names(self) -> frozenset[str]:
        """What ships of the code on this machine, by path relative to the script's folder."""
        if self._source_dir is None:
            return frozenset()
        files = self._own_files(LeftOut()) | self._dependency_files(LeftOut())
        folder = Path(self.entry_point).parent.as_posix()
        prefix = "" if folder == "." else f"{folder}/"
        return frozenset(name.removeprefix(prefix) for name in files if name.startswith(prefix))

    @property
    def forgotten_requirements(self) -> Path | None:
        """A requirements.txt that lies beside a single script and does not ship."""
        if self._source_dir is None or not self._is_single_file:
            return None
        path = self._source_dir / "requirements.txt"
        return path if path.is_file() and path not in self._dependencies else None

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
        files = self._with_dependencies(left_out)
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
            archive = self._in_s3(self._bucket)
            handlers = bind_handlers(scope, "Handlers") if with_handlers else None
            return replace(archive, has_handlers=with_handlers, handlers=handlers)
        left_out = LeftOut()
        files = self._with_dependencies(left_out)
        left_out.annotate(scope)
        if with_handlers:
            files |= handler_files()
        archive = self._bind(scope, construct_id, files, most_bytes=_MOST_INFERENCE_BYTES)
        return replace(archive, has_handlers=with_handlers, keeps_code=self._is_single_file)

    def _in_s3(self, bucket: s3.IBucket) -> SourceArchive:
        return SourceArchive(bucket, self._object_key, self.entry_point)

    def _bind(
        self, scope: Construct, construct_id: str, files: Mapping[str, str], *, most_bytes: int
    ) -> SourceArchive:
        asset = bind_files(scope, construct_id, files, most_bytes=most_bytes)
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

    def _dependency_files(self, left_out: LeftOut) -> dict[str, str]:
        files: dict[str, str] = {}
        for dependency in self._dependencies:
            if dependency.is_dir():
                inside = self._filtered(dependency, (), left_out, f"{dependency.name}/").items()
                files |= {f"{dependency.name}/{name}": path for name, path in inside}
            else:
                files[dependency.name] = str(dependency)
        return files

    def _with_dependencies(self, left_out: LeftOut) -> dict[str, str]:
        files = self._own_files(left_out)
        problems = Problems("SourceCode")
        problems.check(
            self.entry_point in files,
            f"exclude must leave the entry point in, got {list(self._exclude)} for {self.entry_point}",
        )
        for name, path in self._dependency_files(left_out).items():
            problems.check(
                name not in files,
                f"dependencies must not replace files of source_dir, got {path} for {name}",
            )
            files[name] = path
        problems.raise_if_any()
        return files
