"""What packaging is given: the function's size, and the job that takes what is too large for it."""

from dataclasses import dataclass
from typing import Any

from aws_cdk import Duration, Size
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs

from cdk_sagemaker_pytorch.common.option_kinds import (
    IMAGE,
    KEY,
    InstanceType,
    OfType,
    Resource,
    Seconds,
    Whole,
)
from cdk_sagemaker_pytorch.common.options import Options, option
from cdk_sagemaker_pytorch.common.problems import Problems
from cdk_sagemaker_pytorch.images.pytorch_image import PyTorchImage

__all__ = ["OWN_PACKAGER", "PackagerKind", "PackagerOptions", "Processing"]

OWN_PACKAGER = "own"
"""In place of a packager: a new one that nothing else uses."""

# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
_MEMORY_MB = (128, 10_240)
_LONGEST_TIMEOUT_SECONDS = 15 * 60
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ProcessingStoppingCondition.html
_PROCESSING_SECONDS = (60, 7 * 24 * 3600)


@dataclass(frozen=True)
class PackagerKind(Resource):
    """A `ModelPackager`, or the word for a new one."""

    attribute: str = "package_states"
    wanted: str = f'a ModelPackager, or "{OWN_PACKAGER}" for a new one'

    def check(self, problems: Problems, name: str, value: Any) -> None:
        """Note what is neither."""
        if value != OWN_PACKAGER:
            super().check(problems, name, value)


@dataclass(frozen=True, kw_only=True)
class PackagerOptions(Options):
    """Flat keywords of a packager, see `ModelPackager`."""

    memory_size: int = option(Whole(least=_MEMORY_MB[0], most=_MEMORY_MB[1]))
    timeout: Duration = option(Seconds(least=1, most=_LONGEST_TIMEOUT_SECONDS))
    architecture: lambda_.Architecture = option(
        OfType(
            type=lambda_.Architecture,
            wanted="a lambda_.Architecture such as lambda_.Architecture.ARM_64",
        ),
        lambda_.Architecture.ARM_64,
    )
    log_retention: logs.RetentionDays = option(
        OfType(
            type=logs.RetentionDays,
            wanted="a logs.RetentionDays such as logs.RetentionDays.THREE_MONTHS",
        ),
        logs.RetentionDays.THREE_MONTHS,
    )
    reserved_concurrent_executions: int | None = option(Whole(least=1))
    function_limit: Size | None = option(
        Resource(attribute="to_bytes", wanted="a Size such as Size.gibibytes(64)")
    )
    encryption_key: kms.IKey | None = option(Resource(attribute="key_arn", wanted=KEY))
    log_encryption_key: kms.IKey | None = option(Resource(attribute="key_arn", wanted=KEY))


@dataclass(frozen=True, kw_only=True)
class Processing(Options):
    """The processing job that packages a model which is too large for the function.

    Attributes
    ----------
    instance_type : str
        Instance type, with an x86 processor. Defaults to ``ml.m5.xlarge``.
    image : PyTorchImage, optional
        Image with Python 3.11 or newer and boto3. Defaults to AWS's training image of PyTorch 2.13.
    max_run : Duration, optional
        When the job is stopped, from a minute to a week. Defaults to one day.
    """

    instance_type: str = option(
        InstanceType("ProcessingResources.ClusterConfig.InstanceType", "ProcessingInstanceType"),
        "ml.m5.xlarge",
    )
    image: PyTorchImage | None = option(Resource(attribute="bind", wanted=IMAGE))
    max_run: Duration | None = option(
        Seconds(
            "StoppingCondition.MaxRuntimeInSeconds", least=_PROCESSING_SECONDS[0], most=_PROCESSING_SECONDS[1]
        )
    )
