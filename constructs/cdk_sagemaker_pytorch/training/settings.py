"""What a training job is given besides its script: instances, output, checkpoints."""

from dataclasses import dataclass
from typing import Any, ClassVar

from aws_cdk import Annotations, Duration, Size
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from cdk_sagemaker_pytorch.common.limits import has_local_storage
from cdk_sagemaker_pytorch.common.option_kinds import (
    BUCKET,
    IMAGE,
    KEY,
    ROLE,
    SOURCE_CODE,
    Days,
    Flag,
    Gibibytes,
    InstanceType,
    Prefix,
    Resource,
    Seconds,
    Text,
    Whole,
)
from cdk_sagemaker_pytorch.common.options import Options, option
from cdk_sagemaker_pytorch.common.problems import Problems
from cdk_sagemaker_pytorch.images.pytorch_image import PyTorchImage
from cdk_sagemaker_pytorch.source.source_code import SourceCode
from cdk_sagemaker_pytorch.states import jsonata

from .checkpoint_lineage import CHECKPOINTS_URI, CheckpointCopier, CheckpointLineage

__all__ = ["Checkpoints", "Compute", "JobOptions", "OutputData"]

# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_StoppingCondition.html
_DAY_SECONDS = 24 * 3600
_LONGEST_RUN_SECONDS = 28 * _DAY_SECONDS


@dataclass(frozen=True, kw_only=True)
class JobOptions(Options):
    """Flat keywords of a training job, see `PyTorchTrainingJob`."""

    source_code: SourceCode | None = option(Resource(attribute="bind_training", wanted=SOURCE_CODE))
    instance_type: str = option(
        InstanceType("ResourceConfig.InstanceType", "TrainingInstanceType"), "ml.m5.xlarge"
    )
    instance_count: int = option(Whole("ResourceConfig.InstanceCount", "TrainingInstanceCount", least=1), 1)
    max_run: Duration = option(
        Seconds("StoppingCondition.MaxRuntimeInSeconds", "MaxRuntimeInSeconds", most=_LONGEST_RUN_SECONDS)
    )
    torch_distributed: bool = option(Flag(), False)
    image: PyTorchImage | None = option(Resource(attribute="bind", wanted=IMAGE))
    role: iam.IRole | None = option(Resource(attribute="role_arn", wanted=ROLE))


@dataclass(frozen=True, kw_only=True)
class Compute(Options):
    """What a training job runs on, besides type and number of its instances.

    Attributes
    ----------
    volume_size : Size, optional
        Storage of each host. Instances with NVMe storage of their own use that. Defaults to 30 GiB.
    volume_key : kms.IKey, optional
        Key for that storage; none can be given for instances with NVMe storage, whose hardware encrypts it.
        Defaults to a key of SageMaker's.
    keep_alive_period : Duration, optional
        How long the instances wait for a next job of the same shape (a warm pool, billed), up to six hours.
        Not for spot instances. Defaults to not at all.
    use_spot_instances : bool
        Train on spare capacity, which may be interrupted. Defaults to on-demand instances.
    max_wait : Duration, optional
        Longest time for waiting and training together on spot instances. Defaults to `max_run` with an hour
        on top; must be given where `max_run` is a token.
    maximum_retry_attempts : int, optional
        How often SageMaker starts the job again when an instance fails (``InternalServerError``), from 1 to
        30; `max_run` counts for all attempts together. Defaults to never.
    """

    volume_size: Size | None = option(
        Gibibytes("ResourceConfig.VolumeSizeInGB", "OptionalVolumeSizeInGB", least=1)
    )
    volume_key: kms.IKey | None = option(
        Resource("ResourceConfig.VolumeKmsKeyId", attribute="key_arn", wanted=KEY)
    )
    keep_alive_period: Duration | None = option(
        Seconds("ResourceConfig.KeepAlivePeriodInSeconds", "KeepAlivePeriodInSeconds")
    )
    use_spot_instances: bool = option(Flag("EnableManagedSpotTraining"), False)
    max_wait: Duration | None = option(
        Seconds("StoppingCondition.MaxWaitTimeInSeconds", "MaxWaitTimeInSeconds")
    )
    maximum_retry_attempts: int | None = option(
        Whole("RetryStrategy.MaximumRetryAttempts", "MaximumRetryAttempts")
    )

    def check(self, problems: Problems, name: str) -> None:
        """Note what is wrong with each, and what cannot go together."""
        super().check(problems, name)
        problems.check(
            self.max_wait is None or self.use_spot_instances is not False,
            f"{name}.max_wait needs use_spot_instances=True",
        )
        problems.check(
            self.keep_alive_period is None or self.use_spot_instances is not True,
            f"{name}.keep_alive_period cannot be given with use_spot_instances=True:"
            " spot instances do not wait",
        )

    def check_with(self, problems: Problems, name: str, options: JobOptions) -> None:
        """Note what does not go with the flat keywords.

        Parameters
        ----------
        problems : Problems
            Gets the findings.
        name : str
            Name of the group.
        options : JobOptions
            Type of the instances, and longest run.
        """
        problems.check(
            self.volume_key is None
            or not isinstance(options.instance_type, str)
            or not has_local_storage(options.instance_type),
            f"{name}.volume_key cannot be given for {options.instance_type}, whose hardware encrypts its"
            " NVMe storage: leave it out",
        )
        if self.use_spot_instances is not True or not isinstance(options.max_run, Duration):
            return
        if self.max_wait is None:
            problems.check(
                not options.max_run.is_unresolved(),
                f"{name}.max_wait must be given where max_run is a token, to which nothing can be added",
            )
        elif isinstance(self.max_wait, Duration) and not (
            self.max_wait.is_unresolved() or options.max_run.is_unresolved()
        ):
            wait, run = (each.to_seconds(integral=False) for each in (self.max_wait, options.max_run))
            problems.check(
                wait >= run,
                f"{name}.max_wait must be at least max_run ({run:g} seconds), got {wait:g} seconds",
            )

    def members_with(self, options: JobOptions) -> dict[str, Any]:
        """Write them as members of the request.

        Parameters
        ----------
        options : JobOptions
            What they are added to.
        """
        members = {"ResourceConfig.VolumeSizeInGB": 30} | self.members()
        if self.use_spot_instances and self.max_wait is None:
            wait = options.max_run.plus(Duration.hours(1))
            members["StoppingCondition.MaxWaitTimeInSeconds"] = int(wait.to_seconds())
        return options.members() | members

    def warn(self, job: Construct, *, has_checkpoints: bool) -> None:
        """Warn of what an interruption would cost.

        Parameters
        ----------
        job : Construct
            Carries the warning.
        has_checkpoints : bool
            Whether the job can go on after one.
        """
        if self.use_spot_instances and not has_checkpoints:
            Annotations.of(job).add_warning_v2(
                "cdk-sagemaker-pytorch:TrainingJob.spotWithoutCheckpoints",
                "a spot interruption starts training from the beginning: set checkpoints, and write and read"
                " them in /opt/ml/checkpoints",
            )

    def grant_to(self, role: iam.IRole) -> None:
        """Let SageMaker attach the encrypted storage in the name of the job's role."""
        if self.volume_key is not None:
            self.volume_key.grant(role, "kms:CreateGrant", "kms:Decrypt", "kms:GenerateDataKey*")


@dataclass(frozen=True, kw_only=True)
class OutputData(Options):
    """Where a training job's model artifacts go. A bucket stands for ``OutputData(bucket=...)``.

    Attributes
    ----------
    bucket : s3.IBucket, optional
        The bucket. Defaults to a new `ArtifactsBucket`.
    prefix : str
        Key prefix in it. Defaults to ``training``.
    compress : bool
        Whether the model artifact is a model.tar.gz. Weights hardly compress: without compression a large
        model is saved, packaged and loaded sooner, as objects below a prefix. Defaults to yes.
    key : kms.IKey, optional
        Key for the artifacts. Defaults to the bucket's encryption.
    """

    _simple: ClassVar[str | None] = "bucket"

    bucket: s3.IBucket | None = option(Resource(attribute="bucket_arn", wanted=BUCKET))
    prefix: str = option(Prefix(), "training")
    compress: bool = option(Flag(), True)
    key: kms.IKey | None = option(Resource("OutputDataConfig.KmsKeyId", attribute="key_arn", wanted=KEY))

    def members_in(self, bucket: s3.IBucket) -> dict[str, Any]:
        """Write it as members of the request.

        Parameters
        ----------
        bucket : s3.IBucket
            The bucket: the one that was given, or a new one.
        """
        uncompressed = {} if self.compress else {"OutputDataConfig.CompressionType": "NONE"}
        uri = bucket.s3_url_for_object(self.prefix)
        return {"OutputDataConfig.S3OutputPath": uri, **uncompressed, **self.members()}

    def grant_to(self, role: iam.IRole, bucket: s3.IBucket) -> None:
        """Let a job write its artifacts to the bucket."""
        bucket.grant_put(role, f"{self.prefix}/*")
        if self.key is not None:
            self.key.grant_encrypt_decrypt(role)


@dataclass(frozen=True, kw_only=True)
class Checkpoints(Options):
    """Where a folder of checkpoints is kept in sync with. A text stands for ``Checkpoints(prefix=...)``.

    Each execution has a prefix of its own below `prefix`: a job that is interrupted goes on with its
    checkpoints, and the next execution begins without any, unless its input names a job to begin with:
    ``{"resume_from": "the job"}``.

    Attributes
    ----------
    prefix : str
        Key prefix of all executions. Defaults to ``checkpoints``.
    bucket : s3.IBucket, optional
        Its bucket. Defaults to the one of the model artifacts.
    local_path : str, optional
        The folder in the container. Defaults to ``/opt/ml/checkpoints``.
    expiration : Duration, optional
        How long after it was written a checkpoint is removed, in whole days, by a lifecycle rule of the
        bucket, which must be one that this app makes. Defaults to 90 days in a bucket that the training job
        makes, and to never in another.
    """

    _simple: ClassVar[str | None] = "prefix"

    prefix: str = option(Prefix(), "checkpoints")
    bucket: s3.IBucket | None = option(Resource(attribute="bucket_arn", wanted=BUCKET))
    local_path: str | None = option(Text("CheckpointConfig.LocalPath", "DirectoryPath"))
    expiration: Duration | None = option(Days(least=_DAY_SECONDS))

    def check_with(self, problems: Problems, name: str, output: OutputData) -> None:
        """Note an expiration in a bucket that takes no rules.

        Parameters
        ----------
        problems : Problems
            Gets the findings.
        name : str
            Name of the group.
        output : OutputData
            Has the bucket, unless the group has one.
        """
        bucket = self.bucket or output.bucket
        problems.check(
            self.expiration is None or bucket is None or hasattr(bucket, "add_lifecycle_rule"),
            f"{name}.expiration needs a bucket that this app makes: give an imported one the rule where it is"
            " made",
        )

    def bind(self, scope: Construct, role: iam.IRole, output: s3.IBucket) -> CheckpointLineage:
        """Let a job read and write its checkpoints, and make what copies them to the next.

        Parameters
        ----------
        scope : Construct
            Where what is made lives.
        role : iam.IRole
            Role of the job.
        output : s3.IBucket
            Bucket of its model artifacts.
        """
        bucket = self.bucket or output
        bucket.grant_read_write(role, f"{self.prefix}/*")
        expiration = self.expiration
        if expiration is None and bucket.node.scope is scope:
            expiration = Duration.days(90)
        if expiration is not None and isinstance(bucket, s3.Bucket):
            bucket.add_lifecycle_rule(expiration=expiration, prefix=f"{self.prefix}/")
        copier = CheckpointCopier(scope, "Checkpoints", bucket=bucket, prefix=self.prefix)
        return CheckpointLineage(uri=f"{bucket.s3_url_for_object(self.prefix)}/", copier=copier)

    def members_with(self) -> dict[str, Any]:
        """Write them as members of the request; the URI is a variable of the states."""
        return {"CheckpointConfig.S3Uri": jsonata.evaluate(CHECKPOINTS_URI), **self.members()}
