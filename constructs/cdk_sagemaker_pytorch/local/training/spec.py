"""What a training job is to do, and how it ended."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from cdk_sagemaker_pytorch.local.base.container_view import CONTAINER_FOLDER
from cdk_sagemaker_pytorch.local.base.path_parts import path_part

from .hyperparameters import decode_hyperparameters

_ENTRY_POINT = re.compile(r"[A-Za-z0-9._][A-Za-z0-9._+-]*(/[A-Za-z0-9._+-]+)*")

DEFAULT_CHECKPOINT_PATH = CONTAINER_FOLDER / "checkpoints"

#: The secondary status of a job that was made to stop.
StopReason = Literal["Stopped", "MaxRuntimeExceeded", "MaxWaitTimeExceeded", "Interrupted"]


@dataclass(frozen=True)
class TrainingJobSpec:
    """What a training job is to do.

    Parameters
    ----------
    name
        Name of the job.
    source_archive
        sourcedir.tar.gz on this machine.
    entry_point
        Script to run, relative to the archive's root. Defaults to the hyperparameter `sagemaker_program`.
    hyperparameters
        As SageMaker has them: JSON-encoded strings, those of `sagemaker_*` included. The script runs
        under torchrun with `sagemaker_torch_distributed_enabled` "true".
    channels
        Channel name to the local folder with its data; the job sees a link to it.
    input_data_config
        Channel name to its settings in inputdataconfig.json. Defaults to mode File, fully replicated.
    instance_type
        Defaults to "ml.m5.large". It is only told to the script: the job has this machine's hardware.
    instance_count
        Hosts, each a process on this machine. Defaults to 1.
    environment
        Variables of the container, AWS credentials and endpoint included. The job sees no other AWS settings.
    region
        Defaults to "us-east-1".
    max_runtime_seconds
        After that the job is stopped. Defaults to one day.
    through_shell
        Whether a shell reads the script's command line, as in images with `sagemaker-training` up to 5.1.2.
        Defaults to no.
    checkpoint_path
        Where the script has its checkpoints. Defaults to /opt/ml/checkpoints.

    Raises
    ------
    ValueError
        Naming everything that is wrong.
    """

    name: str
    source_archive: Path
    entry_point: str | None = None
    hyperparameters: Mapping[str, str] = field(default_factory=dict)
    channels: Mapping[str, Path] = field(default_factory=dict)
    input_data_config: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    instance_type: str = "ml.m5.large"
    instance_count: int = 1
    environment: Mapping[str, str] = field(default_factory=dict)
    region: str = "us-east-1"
    max_runtime_seconds: float = 86400.0
    through_shell: bool = False
    checkpoint_path: Path = DEFAULT_CHECKPOINT_PATH

    def __post_init__(self) -> None:
        problems = []
        if not self.program:
            problems.append("entry_point or the hyperparameter sagemaker_program must name the script to run")
        elif not _ENTRY_POINT.fullmatch(self.program) or {".", ".."} & set(self.program.split("/")):
            problems.append(
                "entry_point must be a path inside the source archive, "
                f"made of letters, digits and the characters ._+-/, got {self.program!r}"
            )
        if not self.source_archive.is_file():
            problems.append(f"source_archive not found: {self.source_archive}")
        problems += [
            f"a channel's name must be fit for a folder, got {name!r}"
            for name in self.channels
            if path_part(name) != name
        ]
        problems += [
            f"channel {name!r} must be a folder, got {folder}"
            for name, folder in self.channels.items()
            if not folder.is_dir()
        ]
        if self.instance_count < 1:
            problems.append(f"instance_count must be at least 1, got {self.instance_count}")
        if self.max_runtime_seconds <= 0:
            problems.append(f"max_runtime_seconds must be positive, got {self.max_runtime_seconds:g}")
        if problems:
            raise ValueError("; ".join(problems))

    @property
    def program(self) -> str:
        """The script to run; empty if nothing names it."""
        named = decode_hyperparameters(self.hyperparameters).get("sagemaker_program")
        return self.entry_point or str(named or "")

    @property
    def hosts(self) -> tuple[str, ...]:
        """Names of the hosts, "algo-1" first, sorted as text, as SageMaker gives them."""
        return tuple(sorted(f"algo-{number}" for number in range(1, self.instance_count + 1)))


@dataclass(frozen=True)
class TrainingResult:
    """How a training job ended."""

    status: Literal["Completed", "Failed", "Stopped"]
    secondary_status: Literal["Completed", "Failed"] | StopReason
    failure_reason: str | None
    """As DescribeTrainingJob gives it; None unless the job failed."""
    exit_code: int | None
    """The script's own exit code, -N when signal N ended it; None when it did not start or was stopped."""
    model_archive: Path | None
    """model.tar.gz; None for a job that failed or was interrupted."""
    output_archive: Path | None
    """output.tar.gz: `data/` and the file success or failure; None for a job that was interrupted."""
    log_paths: Mapping[str, Path]
    """Log file of each host."""
    seconds: float
    """Wall-clock time of the whole run."""
    killed: bool = False
    """Whether a script that was to stop had to be killed."""
