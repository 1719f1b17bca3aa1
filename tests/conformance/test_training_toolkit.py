"""The training runner beside AWS's own toolkit: the same job under both, seen from inside the script."""

import json
import os
import re
import subprocess
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from cdk_sagemaker_pytorch.local.training.runner import TrainingRun
from cdk_sagemaker_pytorch.local.training.spec import TrainingJobSpec

pytestmark = pytest.mark.conformance

# What differs on purpose; everything else that the toolkit sets has to be equal.
DELIBERATE_DIFFERENCES = {
    "MASTER_PORT": "a free port in place of 7777, so that jobs run side by side",
    "MASTER_ADDR": "an address in place of a name: nothing here resolves algo-1",
    "GLOO_SOCKET_IFNAME": "keeps gloo on this machine, as the container's own network does there",
    "PYTHONPATH": "the code folder alone; the toolkit adds the interpreter's own path",
    "AWS_REGION": "set by the platform, not by the toolkit",
    "SM_STUDIO_LOCAL_MODE": "how the toolkit is told that no host name resolves",
}
TOOLKIT_VARIABLES = re.compile(
    r"(SM|SAGEMAKER|MASTER|NCCL|GLOO)_|(CURRENT_HOST|TRAINING_JOB_NAME)$|AWS_REGION$"
)
TORCHRUN_VARIABLES = re.compile(r"((LOCAL_|GROUP_)?RANK|(LOCAL_)?WORLD_SIZE|OMP_NUM_THREADS)$")

PROBE = """
import json, os, sys
base = os.environ["SAGEMAKER_BASE_DIR"]
seen = {
    "argv": sys.argv,
    "cwd": os.getcwd(),
    "environment": dict(os.environ),
    "files": sorted(os.path.relpath(os.path.join(folder, name), base)
                    for folder, _, names in os.walk(base, followlinks=True) for name in names
                    if "__pycache__" not in folder),
    "config": {name: json.load(open(os.path.join(base, "input", "config", name)))
               for name in os.listdir(os.path.join(base, "input", "config"))},
    "first_on_path": sys.path[0],
}
path = os.path.join(os.environ["SM_OUTPUT_DATA_DIR"], "seen.json")
with open(path, "w") as file:
    json.dump(seen, file)
"""
HYPERPARAMETERS = {
    "sagemaker_submit_directory": '"s3://bucket/job/source/sourcedir.tar.gz"',
    "sagemaker_container_log_level": "20",
    "sagemaker_region": '"eu-west-1"',
    "sagemaker_job_name": '"job-1"',
}


@dataclass(frozen=True)
class Job:
    """One job to run under both."""

    files: dict[str, str]
    entry_point: str = "train.py"
    hyperparameters: dict[str, str] = field(default_factory=dict)
    channels: tuple[str, ...] = ()
    hosts: int = 1
    through_shell: bool = False

    def all_hyperparameters(self) -> dict[str, str]:
        return {
            **HYPERPARAMETERS,
            "sagemaker_program": json.dumps(self.entry_point),
            **self.hyperparameters,
        }


@dataclass
class Outcome:
    """What one host of a job left behind."""

    base: Path
    exit_code: int

    def seen(self) -> dict[str, Any]:
        text = (self.base / "output" / "data" / "seen.json").read_text()
        seen: dict[str, Any] = json.loads(text.replace(str(self.base), "/opt/ml"))
        return seen

    def failure(self) -> str:
        return (self.base / "output" / "failure").read_text().replace(str(self.base), "/opt/ml")


def write_channels(job: Job, folder: Path) -> dict[str, Path]:
    channels = {name: folder / name for name in job.channels}
    for name, channel in channels.items():
        (channel / "part").mkdir(parents=True)
        (channel / "part" / f"{name}.csv").write_text("1,2\n")
    return channels


def run_here(job: Job, folder: Path) -> list[Outcome]:
    source = folder / "source"
    for name, text in job.files.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(text)
    archive = folder / "sourcedir.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(source, arcname=".")
    spec = TrainingJobSpec(
        name="job-1",
        source_archive=archive,
        hyperparameters=job.all_hyperparameters(),
        channels=write_channels(job, folder / "data"),
        instance_type="ml.c5.xlarge",
        instance_count=job.hosts,
        region="eu-west-1",
        through_shell=job.through_shell,
    )
    result = TrainingRun(spec, folder / "job").run()
    return [Outcome(folder / "job" / host, int(result.status == "Failed")) for host in spec.hosts]


def run_toolkit(job: Job, folder: Path, python: Path, like: list[Outcome]) -> list[Outcome]:
    """Run the toolkit once for each host, on the configuration files that the platform would write."""
    outcomes = []
    for ours in like:
        base = folder / ours.base.name
        for name, text in job.files.items():
            (base / "code" / name).parent.mkdir(parents=True, exist_ok=True)
            (base / "code" / name).write_text(text)
        for part in ("model", "output/data", "checkpoints", "input/config"):
            (base / part).mkdir(parents=True)
        for file in (ours.base / "input" / "config").iterdir():
            (base / "input" / "config" / file.name).write_text(file.read_text())
        write_channels(job, base / "input" / "data")
        environment = {
            "PATH": f"{python.parent}:/usr/bin:/bin",
            "HOME": str(folder),
            "SM_STUDIO_LOCAL_MODE": "true",
            "SAGEMAKER_BASE_DIR": str(base),
            "SAGEMAKER_TRAINING_MODULE": "sagemaker_pytorch_container.training:main",
            "TRAINING_JOB_NAME": "job-1",
            "PYTHONDONTWRITEBYTECODE": "1",
            # The toolkit installs into its own environment, which other jobs would then see.
            "PIP_TARGET": str(folder / "packages"),
            "PIP_NO_BUILD_ISOLATION": "0",  # pip's spelling of "yes": with isolation it refuses a target
        } | {
            name: value
            for name, value in os.environ.items()
            if name.startswith(("PIP_", "SSL_", "REQUESTS_"))
        }
        with (folder / f"{base.name}.log").open("wb") as log:
            done = subprocess.run(
                [python.parent / "train"], env=environment, stdout=log, stderr=log, check=False, cwd=folder
            )
        outcomes.append(Outcome(base, done.returncode))
    return outcomes


def run_both(job: Job, tmp_path: Path, python: Path) -> list[tuple[Outcome, Outcome]]:
    ours = run_here(job, tmp_path / "ours")
    return list(zip(ours, run_toolkit(job, tmp_path / "toolkit", python, ours), strict=True))


def comparable(environment: dict[str, str]) -> dict[str, Any]:
    kept = {}
    for name, value in environment.items():
        if name in DELIBERATE_DIFFERENCES:
            continue
        if TOOLKIT_VARIABLES.match(name) or TORCHRUN_VARIABLES.match(name):
            kept[name] = json.loads(value) if name == "SM_TRAINING_ENV" else value
    return kept


JOBS = {
    "plain": Job({"train.py": PROBE}),
    "every kind of hyperparameter": Job(
        {"train.py": PROBE},
        hyperparameters={
            "epochs": "3",
            "learning-rate": "0.05",
            "use_cuda": "false",
            "layers": "[128, 64]",
            "schedule": '{"step": 2, "gamma": 0.5}',
            "nothing": "null",
            "k": '"one letter"',
            "text": '"with \\"quotes\\", spaces and caf\\u00e9; $HOME"',
            "not_json": "plain text",
            "empty": '""',
            "_tuning_objective_metric": '"loss"',
            "sagemaker_custom_setting": "true",
        },
        channels=("train", "test-set"),
    ),
    "script in a folder": Job({"src/train.py": PROBE, "helper.py": ""}, entry_point="src/train.py"),
    "two hosts": Job({"train.py": PROBE}, hosts=2, channels=("train",)),
    "torchrun": Job(
        {"train.py": PROBE},
        hyperparameters={"sagemaker_torch_distributed_enabled": "true", "epochs": "1"},
    ),
    "shell script": Job(
        {"run.sh": '#!/bin/sh\nexec python probe.py "$@"\n', "probe.py": PROBE},
        entry_point="run.sh",
        hyperparameters={"text": '"a \\"b\\" $HOME"', "epochs": "2"},
    ),
    "package": Job(
        {
            "setup.py": "import setuptools\nsetuptools.setup(name='probe', py_modules=['probe'])\n",
            "probe.py": PROBE,
        },
        entry_point="probe.py",
        hyperparameters={"epochs": "2"},
    ),
}


@pytest.mark.parametrize("name", JOBS)
def test_the_script_sees_the_same(name: str, tmp_path: Path, training_python: Path) -> None:
    for ours, toolkit in run_both(JOBS[name], tmp_path, training_python):
        assert (ours.exit_code, toolkit.exit_code) == (0, 0)
        here, there = ours.seen(), toolkit.seen()
        assert here["argv"] == there["argv"]
        assert here["cwd"] == there["cwd"] == "/opt/ml/code"
        assert here["first_on_path"] == there["first_on_path"]
        assert here["config"] == there["config"]
        assert comparable(here["environment"]) == comparable(there["environment"])
        assert here["environment"]["PYTHONPATH"].split(":")[0] == "/opt/ml/code"
        built = re.compile(r"code/(build/|[^/]*\.egg-info/)")
        assert [f for f in here["files"] if not built.match(f)] == [
            f for f in there["files"] if not built.match(f)
        ]
        assert (ours.base / "output" / "success").read_text() == ""
        assert (toolkit.base / "output" / "success").read_text() == ""


def command_of(failure: str) -> str:
    command = failure.splitlines()[-1]
    return re.sub(r'"\S*/python[\d.]*', '"python', command).rstrip(' "')


# The toolkit keeps a message only from the first line on that names a Python exception.
TOOLKIT_HAS_NO_MESSAGE = {"exit code", "killed", "no such script", "shell script", "requirements"}
FAILURES = {
    "exception": (Job({"train.py": "raise ValueError('no labels')"}), "ValueError: no labels"),
    "chained exception": (
        Job({"train.py": "try:\n    {}['x']\nexcept KeyError:\n    raise RuntimeError('no channel x')"}),
        "RuntimeError: no channel x",
    ),
    "exit code": (Job({"train.py": "import sys; sys.exit(3)"}), ""),
    "killed": (Job({"train.py": "import os; os.kill(os.getpid(), 9)"}), ""),
    "no such script": (Job({"other.py": ""}), "No such file or directory"),
    "shell script": (
        Job({"run.sh": "#!/bin/sh\necho no data >&2\nexit 4\n"}, entry_point="run.sh"),
        "no data",
    ),
    "requirements": (
        Job({"train.py": PROBE, "requirements.txt": "./no-such-package.whl\n"}),
        "no-such-package.whl",
    ),
}


@pytest.mark.parametrize("name", FAILURES)
def test_fails_when_the_toolkit_does_and_says_the_same(
    name: str, tmp_path: Path, training_python: Path
) -> None:
    job, message = FAILURES[name]
    [(ours, toolkit)] = run_both(job, tmp_path, training_python)
    assert (ours.exit_code, toolkit.exit_code) == (1, 1)
    here, there = ours.failure(), toolkit.failure()
    # Error name and exit code are equal, and so is the command, except for pip's options.
    assert here.splitlines()[:2] == there.splitlines()[:2]
    assert message in here
    if name in TOOLKIT_HAS_NO_MESSAGE:
        assert 'ErrorMessage ""' in there
    else:
        assert message in there
    if name != "requirements":
        assert command_of(here) == command_of(there)
