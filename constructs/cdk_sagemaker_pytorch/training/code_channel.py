"""How a training job gets its source code where its container may call nothing: as a channel."""

from collections.abc import Mapping
from typing import Any

from cdk_sagemaker_pytorch.common.problems import ConfigurationError, Problems
from cdk_sagemaker_pytorch.common.tokens import is_token
from cdk_sagemaker_pytorch.source.source_asset import SourceArchive
from cdk_sagemaker_pytorch.source.source_code import SourceCode

from .training_input import TrainingInput

__all__ = ["CODE_CHANNEL", "check_code_channel", "code_channel", "submit_directory"]

CODE_CHANNEL = "code"
"""Name of the channel, as in the SageMaker Python SDK."""


def check_code_channel(problems: Problems, inputs: Any, source_code: Any) -> None:
    """Note what cannot be with network isolation.

    Parameters
    ----------
    problems : Problems
        Gets the findings.
    inputs : Any
        What was given as inputs.
    source_code : Any
        What was given as source code, or what stands in for it.
    """
    problems.check(
        not isinstance(inputs, Mapping) or CODE_CHANNEL not in inputs,
        f"inputs must have another name than {CODE_CHANNEL}, the channel of the source code with"
        " networking.enable_network_isolation",
    )
    if isinstance(source_code, SourceCode) and source_code.has_requirements:
        problems.warn(
            "TrainingJob.isolatedRequirements",
            "requirements.txt cannot be installed with networking.enable_network_isolation: ship the packages"
            " as dependencies, or use an image that has them",
        )


def submit_directory(archive: SourceArchive, *, is_isolated: bool) -> str:
    """Say where the container finds the source code.

    Parameters
    ----------
    archive : SourceArchive
        The source code.
    is_isolated : bool
        Whether it gets it as a channel, and not from S3 by itself.

    Raises
    ------
    ConfigurationError
        When a channel's file cannot be named at synthesis.
    """
    if not is_isolated:
        return archive.s3_uri
    if is_token(archive.object_key):
        problem = "source_code must have a key that is known at synthesis for network isolation, got a token"
        raise ConfigurationError("PyTorchTrainingJob", [problem])
    return f"/opt/ml/input/data/{CODE_CHANNEL}/{archive.object_key.rpartition('/')[2]}"


def code_channel(archive: SourceArchive) -> dict[str, Any]:
    """Render the channel as the SageMaker API's ``Channel``.

    Parameters
    ----------
    archive : SourceArchive
        The source code.
    """
    return TrainingInput.from_bucket(archive.bucket, archive.object_key).render(CODE_CHANNEL)
