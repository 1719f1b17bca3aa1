"""What a training container tells the script: configuration files, SM_* variables and command line.

The rules are those of AWS's `sagemaker-training` 5.1.2 (with a shell) and 5.1.4 (without), and of
`sagemaker-pytorch-training` 3.0.0; tests/conformance runs them side by side.
"""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Literal

from .folders import HostFolders
from .hyperparameters import command_line_arguments, decode_hyperparameters, sm_variables

INSTANCE_GROUP = "homogeneousCluster"
NETWORK_INTERFACE = "lo0" if sys.platform == "darwin" else "lo"

_FRAMEWORK_MODULE = "sagemaker_pytorch_container.training:main"
_RESERVED_PREFIX = "sagemaker_"
_TUNING_METRIC = "_tuning_objective_metric"
# What is not handed on as a framework parameter, though it is reserved.
_JOB_PARAMETERS = frozenset(
    [
        "sagemaker_program",
        "sagemaker_submit_directory",
        "sagemaker_enable_cloudwatch_metrics",
        "sagemaker_region",
        "sagemaker_container_log_level",
        "sagemaker_job_name",
        "default_user_module_name",
        _TUNING_METRIC,
        "sagemaker_s3_output",
    ]
)
# Any of these switches a distribution on, for the instance group the host is in.
_DISTRIBUTIONS = (
    "sagemaker_mpi_enabled",
    "sagemaker_parameter_server_enabled",
    "sagemaker_distributed_dataparallel_enabled",
    "sagemaker_pytorch_ddp_enabled",
    "sagemaker_pytorch_xla_multi_worker_enabled",
    "sagemaker_multi_worker_mirrored_strategy_enabled",
    "sagemaker_torch_distributed_enabled",
)
_DEFAULT_LOG_LEVEL = 20  # logging.INFO

# Entries of SM_TRAINING_ENV that are variables of their own as well.
_SNAPSHOT_VARIABLES = (
    "current_host",
    "current_instance_group",
    "current_instance_group_hosts",
    "current_instance_type",
    "distribution_instance_groups",
    "framework_module",
    "hosts",
    "input_config_dir",
    "input_data_config",
    "input_dir",
    "instance_groups",
    "instance_groups_dict",
    "is_hetero",
    "log_level",
    "model_dir",
    "module_dir",
    "module_name",
    "network_interface_name",
    "num_cpus",
    "num_gpus",
    "num_neurons",
    "output_data_dir",
    "output_dir",
    "output_intermediate_dir",
    "resource_config",
    "user_entry_point",
)


@cache
def gpu_count() -> int:
    """Return how many NVIDIA GPUs `nvidia-smi` lists; 0 without it."""
    try:
        listing = subprocess.run(["nvidia-smi", "--list-gpus"], capture_output=True, text=True, check=True)  # noqa: S607
    except (OSError, subprocess.CalledProcessError):
        return 0
    return sum(line.startswith("GPU ") for line in listing.stdout.splitlines())


@dataclass(frozen=True)
class TrainingEnvironment:
    """The environment of the script on one host.

    Parameters
    ----------
    job_name
        Name of the training job.
    folders
        The host's folders.
    hyperparameters
        As SageMaker has them: JSON-encoded strings, reserved ones included.
    entry_point
        Script to run, relative to the code folder. Wins over `sagemaker_program`.
    hosts
        Names of all hosts, sorted.
    current_host
        The host this environment is for.
    instance_type
        For example "ml.m5.xlarge".
    input_data_config
        Channel name to its settings in inputdataconfig.json.
    through_shell
        Whether a shell reads the script's command line, as with `sagemaker-training` up to 5.1.2. Defaults to
        no.
    seen_as
        What the script sees `folders.base` as. Defaults to that itself.
    region
        AWS region, unless the hyperparameters name one.
    master_address, master_port
        Where rank 0 listens for torch.distributed.
    """

    job_name: str
    folders: HostFolders
    hyperparameters: Mapping[str, str]
    entry_point: str
    hosts: tuple[str, ...]
    current_host: str
    instance_type: str
    region: str
    master_address: str
    master_port: int
    input_data_config: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    through_shell: bool = False
    seen_as: Path | None = None

    @cached_property
    def seen(self) -> HostFolders:
        """The folders as the script sees them."""
        return HostFolders(self.seen_as or self.folders.base)

    @cached_property
    def decoded(self) -> dict[str, Any]:
        """All hyperparameters, decoded."""
        return decode_hyperparameters(self.hyperparameters)

    @property
    def user_hyperparameters(self) -> dict[str, Any]:
        """The decoded hyperparameters that reach the script: those that are not SageMaker's own."""
        return {name: value for name, value in self.decoded.items() if not _is_reserved(name)}

    @property
    def framework_parameters(self) -> dict[str, Any]:
        """Reserved hyperparameters for the framework, such as `sagemaker_torch_distributed_enabled`."""
        return {
            name: value
            for name, value in self.decoded.items()
            if _is_reserved(name) and name not in _JOB_PARAMETERS
        }

    @property
    def arguments(self) -> list[str]:
        """The script's command line."""
        return command_line_arguments(self.user_hyperparameters)

    @property
    def entry_point_type(self) -> Literal["script", "package", "command"]:
        """How the entry point runs, as the unpacked source code shows."""
        if self.entry_point.endswith(".sh"):
            return "command"
        if (self.folders.code / "setup.py").exists():
            return "package"
        return "script" if self.entry_point.endswith(".py") else "command"

    @property
    def torchrun_enabled(self) -> bool:
        """Whether torchrun starts the script."""
        enabled = bool(self.framework_parameters.get("sagemaker_torch_distributed_enabled", False))
        return enabled and INSTANCE_GROUP in self._distribution_groups

    @property
    def processes_per_host(self) -> int:
        """Processes that torchrun starts on each host: the number of GPUs, or 1."""
        set_by_user = self.framework_parameters.get("sagemaker_mpi_num_of_processes_per_host")
        return int(set_by_user or gpu_count() or 1)

    @property
    def resource_config(self) -> dict[str, Any]:
        """What resourceconfig.json holds."""
        hosts = list(self.hosts)
        group = {
            "instance_group_name": INSTANCE_GROUP,
            "instance_type": self.instance_type,
            "hosts": hosts,
        }
        return {
            "current_host": self.current_host,
            "current_instance_type": self.instance_type,
            "current_group_name": INSTANCE_GROUP,
            "hosts": hosts,
            "instance_groups": [group],
            "network_interface_name": NETWORK_INTERFACE,
        }

    def write_config_files(self) -> None:
        """Write the three JSON files of the container's input/config."""
        for name, content in (
            ("hyperparameters.json", self.hyperparameters),
            ("resourceconfig.json", self.resource_config),
            ("inputdataconfig.json", self.input_data_config),
        ):
            encoded = json.dumps(content, default=dict)
            (self.folders.config / name).write_text(encoded, encoding="utf-8")

    def variables(self) -> dict[str, str]:
        """Return every variable that the toolkit sets for the script, less PYTHONPATH."""
        return {
            **sm_variables(self._sm_values()),
            "TRAINING_JOB_NAME": self.job_name,
            "CURRENT_HOST": self.current_host,
            "SAGEMAKER_JOB_NAME": str(self.decoded.get("sagemaker_job_name") or ""),
            "SAGEMAKER_REGION": str(self.decoded.get("sagemaker_region") or self.region),
            "AWS_REGION": self.region,
            "SAGEMAKER_BASE_DIR": os.fspath(self.seen.base),
            "SAGEMAKER_TRAINING_MODULE": _FRAMEWORK_MODULE,
            "MASTER_ADDR": self.master_address,
            "MASTER_PORT": str(self.master_port),
            "NCCL_SOCKET_IFNAME": NETWORK_INTERFACE,
            "NCCL_IB_DISABLE": "1",
            "NCCL_DEBUG": "WARN",
            # A container's host name leads gloo to its network; this machine's may lead out of it.
            "GLOO_SOCKET_IFNAME": NETWORK_INTERFACE,
            **({"NCCL_PROTO": "simple"} if self.torchrun_enabled else {}),
        }

    def command(self, python: str) -> list[str]:
        """Return the parts of the command that runs the entry point in the code folder.

        A `.sh` file, or one that is not Python, runs in a shell; a folder with setup.py runs as a module; a
        script runs by itself or, with `sagemaker_torch_distributed_enabled`, under torchrun.

        Raises
        ------
        ValueError
            If torchrun is asked to start something that is not a script.
        """
        kind = self.entry_point_type
        if self.torchrun_enabled:
            if kind != "script":
                what = "shell scripts" if kind == "command" else "Python packages"
                raise ValueError(f"torchrun cannot start {what}, use a Python script as the entry point")
            launcher = [python, "-m", "torch.distributed.run", *self._torchrun_options()]
            return [*launcher, self.entry_point, *self.arguments]
        if kind == "command":
            line = shlex.join([f"./{self.entry_point}", *self.arguments])
            return ["/bin/sh", "-c", f'"{line}"' if self.through_shell else line]
        if kind == "package":
            return [python, "-m", self.entry_point.removesuffix(".py"), *self.arguments]
        return [python, *([] if self.through_shell else ["--"]), self.entry_point, *self.arguments]

    def started_as(self, command: list[str]) -> list[str]:
        """Return the program and arguments that start a command: itself, or a shell that reads its parts."""
        if not self.through_shell:
            return command
        return ["/bin/sh", "-c", " ".join([shlex.quote(command[0]), *command[1:]])]

    def _torchrun_options(self) -> list[str]:
        options = ["--nnodes", str(len(self.hosts)), "--nproc_per_node", str(self.processes_per_host)]
        options += ["--master_addr", self.master_address, "--master_port", str(self.master_port)]
        return options + ["--node_rank", str(self.hosts.index(self.current_host))]

    @property
    def _distribution_groups(self) -> list[str]:
        named = self.framework_parameters.get("sagemaker_distribution_instance_groups")
        if named is not None:
            return list(named)
        return [INSTANCE_GROUP] if any(self.framework_parameters.get(name) for name in _DISTRIBUTIONS) else []

    def _sm_values(self) -> dict[str, Any]:
        snapshot = self._snapshot()
        return {
            **{name: snapshot[name] for name in _SNAPSHOT_VARIABLES},
            "hps": self.user_hyperparameters,
            "framework_params": self.framework_parameters,
            "channels": sorted(self.input_data_config),
            "training_env": snapshot,
            "user_args": self.arguments,
            **{f"channel_{name}": path for name, path in snapshot["channel_input_dirs"].items()},
            **{f"hp_{name}": value for name, value in self.user_hyperparameters.items()},
        }

    def _snapshot(self) -> dict[str, Any]:
        """Return the container environment as SM_TRAINING_ENV holds it."""
        groups = self._distribution_groups
        hosts = list(self.hosts)
        resource_config = self.resource_config
        return {
            "additional_framework_parameters": self.framework_parameters,
            "channel_input_dirs": {name: os.fspath(self.seen.data / name) for name in self.input_data_config},
            "current_host": self.current_host,
            "current_instance_group": INSTANCE_GROUP,
            "current_instance_group_hosts": hosts,
            "current_instance_type": self.instance_type,
            "distribution_hosts": hosts if INSTANCE_GROUP in groups else [],
            "distribution_instance_groups": groups,
            "framework_module": _FRAMEWORK_MODULE,
            "hosts": hosts,
            "hyperparameters": self.user_hyperparameters,
            "input_config_dir": os.fspath(self.seen.config),
            "input_data_config": {name: dict(config) for name, config in self.input_data_config.items()},
            "input_dir": os.fspath(self.seen.config.parent),
            "instance_groups": [INSTANCE_GROUP],
            "instance_groups_dict": {INSTANCE_GROUP: resource_config["instance_groups"][0]},
            "is_hetero": False,
            "is_master": self.current_host == hosts[0],
            "is_modelparallel_enabled": None,
            "is_smddpmprun_installed": False,
            "is_smddprun_installed": False,
            "job_name": self.job_name,
            "log_level": self.decoded.get("sagemaker_container_log_level", _DEFAULT_LOG_LEVEL),
            "master_hostname": hosts[0],
            "model_dir": os.fspath(self.seen.model),
            "module_dir": str(self.decoded.get("sagemaker_submit_directory", os.fspath(self.seen.code))),
            "module_name": self.entry_point.removesuffix(".py"),
            "network_interface_name": NETWORK_INTERFACE,
            "num_cpus": os.cpu_count(),
            "num_gpus": gpu_count(),
            "num_neurons": 0,
            "output_data_dir": os.fspath(self.seen.output_data),
            "output_dir": os.fspath(self.seen.output),
            "output_intermediate_dir": os.fspath(self.seen.intermediate),
            "resource_config": resource_config,
            "topology": [],
            "user_entry_point": self.entry_point,
        }


def _is_reserved(name: str) -> bool:
    return name.startswith(_RESERVED_PREFIX) or name in _JOB_PARAMETERS
