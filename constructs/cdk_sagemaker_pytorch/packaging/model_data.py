"""Where a trained model comes from."""

import tempfile
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_s3_assets as s3_assets
from constructs import Construct

from cdk_sagemaker_pytorch.common.container_role import sagemaker_arn
from cdk_sagemaker_pytorch.common.option_kinds import BUCKET, Flag, Prefix, Resource, Text, check_arguments
from cdk_sagemaker_pytorch.common.problems import Problems
from cdk_sagemaker_pytorch.source.source_archive import collect_files, write_archive

__all__ = ["ModelData", "ModelDataLocation"]

_BUCKET = Resource(attribute="bucket_arn", wanted=BUCKET)


@dataclass(frozen=True)
class ModelDataLocation:
    """Model data that a stack can reach.

    Attributes
    ----------
    event : dict of str to str
        What the model packager is told: ``model_data`` (an S3 URI) or ``training_job_name``.
    bucket : s3.IBucket
        The bucket that holds the archive.
    object_key_pattern : str
        Key of the archive, or a pattern of all keys that it may have.
    training_job_arn : str, optional
        The training job to ask for the archive. Defaults to none.
    code_key_pattern : str, optional
        Keys of the code in the model's own prefix, where it is to lie there. Defaults to a copy of the model
        that has the code.
    """

    event: dict[str, str]
    bucket: s3.IBucket
    object_key_pattern: str
    training_job_arn: str | None = None
    code_key_pattern: str | None = None

    @property
    def s3_uri(self) -> str | None:
        """S3 URI of the archive or prefix, if it is known before deployment."""
        return self.event.get("model_data")

    @property
    def is_one_version(self) -> bool:
        """Whether it is a version of an object, which instances cannot be told of."""
        return "model_data_version" in self.event

    def grant_read(self, grantee: iam.IGrantable) -> None:
        """Let `grantee` find and read the archive, and nothing else."""
        self.bucket.grant_read(grantee, self.object_key_pattern)
        if self.training_job_arn is not None:
            iam.Grant.add_to_principal(
                grantee=grantee,
                actions=["sagemaker:DescribeTrainingJob"],
                resource_arns=[self.training_job_arn],
            )


class ModelData(ABC):
    """A trained model: in S3, on this machine, or made by a training job. Use one of the factories."""

    @property
    def compressed(self) -> bool:
        """Whether it is an archive, and not files below a prefix."""
        return True

    @property
    def local_path(self) -> Path | None:
        """The archive or directory on this machine, if it is there."""
        return None

    @abstractmethod
    def bind(self, scope: Construct) -> ModelDataLocation:
        """Make the model data reachable from the stack of `scope`."""

    @staticmethod
    def from_bucket(bucket: s3.IBucket, object_key: str, *, object_version: str | None = None) -> "ModelData":
        """Use a model.tar.gz in S3.

        ``cdk deploy`` sees no new weights behind an unchanged key: name another key, or another version.

        Parameters
        ----------
        bucket : s3.IBucket
            Its bucket.
        object_key : str
            Its key.
        object_version : str, optional
            Its version in a bucket that has versions, of which the stack makes a copy. Defaults to what the
            key holds when the model is packaged, or, where it is used as it lies, when instances start.

        Raises
        ------
        ConfigurationError
            When one of them is of a wrong type.
        """
        check_arguments(
            "ModelData",
            bucket=(_BUCKET, bucket),
            object_key=(Text(), object_key),
            object_version=(Text(), object_key if object_version is None else object_version),
        )
        return _BucketModelData(bucket, object_key, object_version)

    @staticmethod
    def from_prefix(bucket: s3.IBucket, prefix: str, *, in_place: bool = False) -> "ModelData":
        """Use uncompressed model files below a prefix in S3, each of which becomes a file of the model.

        It spares compressing and extracting many gigabytes of weights. SageMaker takes such models for
        real-time endpoints, but not for serverless inference, batch transform or multi-model endpoints.

        Parameters
        ----------
        bucket : s3.IBucket
            Its bucket.
        prefix : str
            The prefix, for example ``llm/weights/``.
        in_place : bool, optional
            Write the source code below ``code/`` in this very prefix, so that no file is copied, instead of
            into a copy that S3 makes of the model. The prefix then belongs to one `PyTorchModel`: other
            source code replaces the one that instances in service are started with. Defaults to a copy.

        Raises
        ------
        ConfigurationError
            When the prefix is empty or begins with a slash.
        """
        check_arguments(
            "ModelData",
            bucket=(_BUCKET, bucket),
            prefix=(Text(), prefix),
        )
        problems = Problems("ModelData")
        problems.check(
            bool(prefix.strip("/")) and not prefix.startswith("/"),
            f"prefix must be the beginning of keys, without a slash in front, got {prefix!r}",
        )
        problems.raise_if_any()
        return _PrefixModelData(bucket, prefix.rstrip("/") + "/", in_place)

    @staticmethod
    def from_archive(path: str | Path) -> "ModelData":
        """Use a model.tar.gz on this machine.

        Parameters
        ----------
        path : str or Path
            The file.

        Raises
        ------
        ConfigurationError
            When there is no such file, or it is no gzip file.
        """
        check_arguments("ModelData", path=(Text(), path))
        archive = Path(path).absolute()
        problems = Problems("ModelData")
        if not archive.is_file():
            problems.add(f"path must be an existing file, got {archive}")
        elif archive.open("rb").read(2) != b"\x1f\x8b":
            problems.add(f"path must be a gzip-compressed tar archive, got {archive}")
        problems.raise_if_any()
        return _LocalModelData(archive)

    @staticmethod
    def from_directory(path: str | Path) -> "ModelData":
        """Use the model files of a directory on this machine.

        Parameters
        ----------
        path : str or Path
            The directory; its files come to lie at the top of model.tar.gz, and a ``code/`` in it
            stays where no other source code is given.

        Raises
        ------
        ConfigurationError
            When there is no such directory, or it holds no files.
        """
        check_arguments("ModelData", path=(Text(), path))
        directory = Path(path).absolute()
        problems = Problems("ModelData")
        if not directory.is_dir():
            problems.add(f"path must be an existing directory, got {directory}")
        elif not collect_files(directory):
            problems.add(f"path must be a directory with model files, got the empty {directory}")
        problems.raise_if_any()
        return _LocalModelData(directory)

    @staticmethod
    def from_training_job(
        training_job_name: str,
        *,
        output_bucket: s3.IBucket,
        output_prefix: str = "training",
        compressed: bool = True,
    ) -> "ModelData":
        """Use what a completed training job made: what `PyTorch.attach` does in the SageMaker Python SDK.

        Parameters
        ----------
        training_job_name : str
            The job. Deployment fails unless it is completed.
        output_bucket : s3.IBucket
            The bucket of its model artifact.
        output_prefix : str, optional
            Its output path in that bucket. Defaults to ``training``, as `PyTorchTrainingJob` does.
        compressed : bool, optional
            Whether its output is compressed, see `PyTorchTrainingJob`. Defaults to yes.

        Raises
        ------
        ConfigurationError
            When one of them is of a wrong type, or cannot be a name or a prefix.
        """
        check_arguments(
            "ModelData",
            training_job_name=(Text(shape="TrainingJobName"), training_job_name),
            output_bucket=(_BUCKET, output_bucket),
            output_prefix=(Prefix(), output_prefix),
            compressed=(Flag(), compressed),
        )
        return _TrainingJobModelData(training_job_name, output_bucket, output_prefix, compressed)


@dataclass(frozen=True)
class _BucketModelData(ModelData):
    bucket: s3.IBucket
    object_key: str
    object_version: str | None = None

    def bind(self, scope: Construct) -> ModelDataLocation:
        event = {"model_data": self.bucket.s3_url_for_object(self.object_key)}
        if self.object_version is not None:
            event["model_data_version"] = self.object_version
        return ModelDataLocation(event, self.bucket, self.object_key)


@dataclass(frozen=True)
class _PrefixModelData(ModelData):
    bucket: s3.IBucket
    prefix: str
    in_place: bool

    @property
    def compressed(self) -> bool:
        return False

    def bind(self, scope: Construct) -> ModelDataLocation:
        event = {"model_data": self.bucket.s3_url_for_object(self.prefix)}
        return ModelDataLocation(
            event,
            self.bucket,
            f"{self.prefix}*",
            code_key_pattern=f"{self.prefix}code/*" if self.in_place else None,
        )


@dataclass(frozen=True)
class _LocalModelData(ModelData):
    path: Path

    @property
    def local_path(self) -> Path | None:
        return self.path

    def bind(self, scope: Construct) -> ModelDataLocation:
        with tempfile.TemporaryDirectory() as folder:
            archive, digest = self.path, None
            if self.path.is_dir():
                archive = Path(folder) / "model.tar.gz"
                digest = write_archive(collect_files(self.path), archive)
            asset = s3_assets.Asset(scope, "ModelData", path=str(archive), asset_hash=digest)
        event = {"model_data": asset.s3_object_url}
        return ModelDataLocation(event, asset.bucket, asset.s3_object_key)


@dataclass(frozen=True)
class _TrainingJobModelData(ModelData):
    training_job_name: str
    bucket: s3.IBucket
    prefix: str
    is_archive: bool

    @property
    def compressed(self) -> bool:
        return self.is_archive

    def bind(self, scope: Construct) -> ModelDataLocation:
        name = "model.tar.gz" if self.is_archive else "model/*"
        return ModelDataLocation(
            {"training_job_name": self.training_job_name},
            self.bucket,
            f"{self.prefix}/{self.training_job_name}/output/{name}",
            sagemaker_arn(scope, "training-job", self.training_job_name),
        )
