import base64
import hashlib
import json
import tarfile
import threading
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from cdk_sagemaker_pytorch.local.training import runner
from cdk_sagemaker_pytorch.local.training.runner import TrainingRun
from cdk_sagemaker_pytorch.local.training.spec import TrainingJobSpec, TrainingResult

SourceArchive = Callable[[Mapping[str, str]], Path]
Train = Callable[..., TrainingResult]
WRITE_MODEL = """
import json, os, pathlib, sys
host = os.environ["SM_CURRENT_HOST"]
pathlib.Path(os.environ["SM_MODEL_DIR"], f"{host}.txt").write_text(json.dumps(sys.argv[1:]))
pathlib.Path(os.environ["SM_OUTPUT_DATA_DIR"], f"{host}.json").write_text("{}")
print("trained on", host)
"""


@pytest.fixture
def train(tmp_path: Path, source_archive: SourceArchive) -> Train:
    def run(files: Mapping[str, str], *, entry_point: str = "train.py", **options: object) -> TrainingResult:
        spec = TrainingJobSpec(
            name="job-1", source_archive=source_archive(files), entry_point=entry_point, **options
        )
        return TrainingRun(spec, tmp_path / "job", grace_period=5).run()

    return run


def members(archive: Path | None) -> dict[str, bytes | None]:
    assert archive is not None
    with tarfile.open(archive) as tar:
        return {m.name: f.read() if (f := tar.extractfile(m)) else None for m in tar.getmembers()}


def test_a_job_trains_and_its_artifacts_are_packed(train: Train, tmp_path: Path) -> None:
    result = train({"train.py": WRITE_MODEL}, hyperparameters={"epochs": "2"})
    assert (result.status, result.secondary_status, result.exit_code) == ("Completed", "Completed", 0)
    assert result.failure_reason is None
    assert members(result.model_archive) == {"algo-1.txt": b'["--epochs", "2"]'}
    assert members(result.output_archive) == {"data": None, "data/algo-1.json": b"{}", "success": b""}
    assert "trained on algo-1\n" in result.log_paths["algo-1"].read_text()
    assert result.seconds > 0


def test_the_program_can_come_from_the_hyperparameters(source_archive: SourceArchive, tmp_path: Path) -> None:
    archive = source_archive({"src/go.py": WRITE_MODEL})
    spec = TrainingJobSpec("job-1", archive, hyperparameters={"sagemaker_program": '"src/go.py"'})
    assert TrainingRun(spec, tmp_path / "job").run().status == "Completed"


def test_the_script_reads_its_channel_and_its_environment(train: Train, tmp_path: Path) -> None:
    (tmp_path / "digits").mkdir()
    (tmp_path / "digits" / "x.csv").write_text("1,2")
    code = (
        "import os; p = os.environ; "
        "print(open(p['SM_CHANNEL_TRAIN'] + '/x.csv').read(), p['AWS_ENDPOINT_URL'], p.get('AWS_PROFILE'))"
    )
    result = train(
        {"train.py": code},
        channels={"train": tmp_path / "digits"},
        environment={"AWS_ENDPOINT_URL": "http://127.0.0.1:1"},
    )
    assert "1,2 http://127.0.0.1:1 None\n" in result.log_paths["algo-1"].read_text()


def test_every_host_runs_the_script_and_their_models_are_put_together(train: Train) -> None:
    result = train({"train.py": WRITE_MODEL}, instance_count=2)
    assert result.status == "Completed"
    assert members(result.model_archive) == {"algo-1.txt": b"[]", "algo-2.txt": b"[]"}
    assert sorted(members(result.output_archive)) == [
        "data",
        "data/algo-1.json",
        "data/algo-2.json",
        "success",
    ]


def test_a_file_that_two_hosts_write_is_taken_from_the_first_and_noted(train: Train) -> None:
    code = "import os; open(os.environ['SM_MODEL_DIR'] + '/m', 'w').write(os.environ['SM_CURRENT_HOST'])"
    result = train({"train.py": code}, instance_count=2)
    assert members(result.model_archive) == {"m": b"algo-1"}
    assert "model/m is left out" in result.log_paths["algo-2"].read_text()


@pytest.fixture
def _no_mounts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "why_no_container_view", lambda: "unshare: Operation not permitted")


@pytest.mark.usefixtures("_no_mounts")
def test_fails_when_a_script_says_opt_ml_where_it_cannot_have_its_own(train: Train) -> None:
    code = "import os, torch\nmodel = os.environ.get('SM_MODEL_DIR', '/opt/ml/model')\n"
    result = train({"train.py": code + "torch.save({}, '/opt/ml/model/m.pth')\n"})
    assert result.status == "Failed"
    assert str(result.failure_reason).startswith(
        "AlgorithmError: ClientError: /opt/ml is written in train.py:3, and this system does not let the"
        " local AWS give a job a /opt/ml of its own (unshare: Operation not permitted): use SM_MODEL_DIR"
    )


@pytest.mark.usefixtures("_no_mounts")
def test_fails_when_a_script_reaches_for_opt_ml_and_says_why_it_is_not_there(train: Train) -> None:
    code = "import os; open(os.sep + os.path.join('opt', 'ml', 'input', 'config', 'missing.json'))"
    result = train({"train.py": code})
    assert "No such file or directory: '/opt/ml/input/config/missing.json', and this system" in str(
        result.failure_reason
    )


@pytest.mark.usefixtures("_no_mounts")
def test_fails_when_a_script_would_wait_for_a_name_that_does_not_resolve(train: Train) -> None:
    code = "import json, os\nos.environ['MASTER_ADDR'] = json.loads(os.environ['SM_HOSTS'])[0]\n"
    result = train({"train.py": code}, instance_count=2)
    assert "train.py:2 would wait for a host by its name, but algo-1, algo-2 do not resolve here" in str(
        result.failure_reason
    )
    assert train({"train.py": code}).status == "Completed"


@pytest.mark.usefixtures("_no_mounts")
def test_a_script_that_asks_its_environment_trains_without_mounts_too(train: Train) -> None:
    result = train({"train.py": WRITE_MODEL}, instance_count=2)
    assert members(result.model_archive) == {"algo-1.txt": b"[]", "algo-2.txt": b"[]"}
    assert "algo-1, algo-2 do not resolve here" in result.log_paths["algo-1"].read_text()


def test_lines_of_log_come_as_they_are_written(source_archive: SourceArchive, tmp_path: Path) -> None:
    """The script goes on only when its first line has been seen."""
    signal = tmp_path / "signal"
    code = f"import os\nprint('loss=1')\nwhile not os.path.exists({str(signal)!r}): pass\nprint('loss=2')"
    lines: list[tuple[str, str]] = []

    def on_line(host: str, line: str) -> None:
        lines.append((host, line))
        if line == "loss=1":
            signal.touch()

    spec = TrainingJobSpec("job-1", source_archive({"train.py": code}), "train.py")
    assert TrainingRun(spec, tmp_path / "job", on_line=on_line).run().status == "Completed"
    assert [line for line in lines if "loss" in line[1]] == [("algo-1", "loss=1"), ("algo-1", "loss=2")]


def test_fails_when_the_script_raises_and_says_why(train: Train) -> None:
    result = train({"train.py": "raise ValueError('no labels in train')"}, hyperparameters={"epochs": "1"})
    assert (result.status, result.exit_code, result.model_archive) == ("Failed", 1, None)
    assert result.failure_reason is not None
    assert result.failure_reason.startswith(
        "AlgorithmError: ValueError: no labels in train\nExecuteUserScriptError:\n"
        'ExitCode 1\nErrorMessage "ValueError: no labels in train"\nCommand "'
    )
    assert result.failure_reason.endswith(' -- train.py --epochs 1", exit code: 1')
    assert members(result.output_archive)["failure"] is not None


def test_fails_when_the_script_says_so_itself(train: Train) -> None:
    code = (
        "import os, sys\n"
        "open(os.environ['SM_OUTPUT_DATA_DIR'] + '/../failure', 'w').write('bad ' * 1000)\n"
        "sys.exit(3)"
    )
    result = train({"train.py": code})
    assert result.exit_code == 3
    assert result.failure_reason == f"AlgorithmError: {('bad ' * 1000)[:1024]}, exit code: 1"


def test_fails_when_one_host_fails_and_the_others_are_ended(train: Train) -> None:
    code = (
        "import os, sys, time\n"
        "if os.environ['SM_CURRENT_HOST'] == 'algo-2': sys.exit('no data on this host')\n"
        "time.sleep(600)"
    )
    result = train({"train.py": code}, instance_count=2)
    assert result.status == "Failed"
    assert "no data on this host" in str(result.failure_reason)


def test_fails_when_the_source_archive_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "sourcedir.tar.gz").write_text("no archive")
    spec = TrainingJobSpec("job-1", tmp_path / "sourcedir.tar.gz", "train.py")
    result = TrainingRun(spec, tmp_path / "job").run()
    assert (result.status, result.exit_code) == ("Failed", None)
    assert "ClientError: cannot unpack" in str(result.failure_reason)


def test_fails_when_a_requirement_cannot_be_installed(train: Train) -> None:
    result = train({"train.py": WRITE_MODEL, "requirements.txt": "./missing.whl\n"})
    assert (result.status, result.exit_code) == ("Failed", 1)
    assert str(result.failure_reason).startswith("AlgorithmError: requirements cannot be installed: ")
    assert "\nInstallRequirementsError:\nExitCode 1\n" in str(result.failure_reason)
    assert "missing.whl" in str(result.failure_reason)


def test_requirements_are_installed_for_the_job_alone(train: Train, tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "only_in_this_job", "ANSWER = 42\n")
    code = "import numpy, only_in_this_job; print('answer', only_in_this_job.ANSWER)"
    result = train({"train.py": code, "requirements.txt": f"{wheel}\nnumpy\n"})
    log = result.log_paths["algo-1"].read_text()
    assert result.status == "Completed"
    assert "answer 42\n" in log
    assert "Requirement already satisfied: numpy" in log
    with pytest.raises(ModuleNotFoundError):
        __import__("only_in_this_job")


@pytest.mark.parametrize(("limit", "secondary"), [(600.0, "Stopped"), (3.0, "MaxRuntimeExceeded")])
def test_a_stopped_job_keeps_what_it_wrote(
    source_archive: SourceArchive, tmp_path: Path, limit: float, secondary: str
) -> None:
    code = WRITE_MODEL + "\nimport time; time.sleep(600)"
    started = threading.Event()
    spec = TrainingJobSpec("job-1", source_archive({"train.py": code}), "train.py", max_runtime_seconds=limit)
    run = TrainingRun(
        spec, tmp_path / "job", on_line=lambda _, line: started.set() if "trained" in line else None
    )
    results: list[TrainingResult] = []
    thread = threading.Thread(target=lambda: results.append(run.run()))
    thread.start()
    if secondary == "Stopped":
        assert started.wait(60)
        run.stop()
    thread.join(60)
    [result] = results
    assert (result.status, result.secondary_status, result.failure_reason) == ("Stopped", secondary, None)
    assert result.exit_code is None
    assert "algo-1.txt" in members(result.model_archive)


def test_a_job_stopped_before_it_starts_runs_nothing(source_archive: SourceArchive, tmp_path: Path) -> None:
    spec = TrainingJobSpec("job-1", source_archive({"train.py": WRITE_MODEL}), "train.py")
    run = TrainingRun(spec, tmp_path / "job")
    run.stop()
    result = run.run()
    assert result.status == "Stopped"
    assert members(result.model_archive) == {}


def test_fails_when_the_job_cannot_run_naming_everything_that_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="entry_point") as error:
        TrainingJobSpec(
            name="job-1",
            source_archive=tmp_path / "none.tar.gz",
            entry_point="../train.py",
            channels={"train": tmp_path / "none"},
            instance_count=0,
            max_runtime_seconds=0,
        )
    message = str(error.value)
    for part in (
        "got '../train.py'",
        f"source_archive not found: {tmp_path / 'none.tar.gz'}",
        f"channel 'train' must be a folder, got {tmp_path / 'none'}",
        "instance_count must be at least 1, got 0",
        "max_runtime_seconds must be positive, got 0",
    ):
        assert part in message


def test_fails_when_nothing_names_the_program(tmp_path: Path) -> None:
    (tmp_path / "s.tar.gz").touch()
    with pytest.raises(ValueError, match="entry_point or the hyperparameter sagemaker_program must name"):
        TrainingJobSpec("job-1", tmp_path / "s.tar.gz")


def make_wheel(folder: Path, name: str, code: str) -> Path:
    """Write a wheel with one module, so that pip has something to install without a network."""
    info = f"{name}-1.0.dist-info"
    files = {
        f"{name}.py": code,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    digests = {path: hashlib.sha256(text.encode()).digest() for path, text in files.items()}
    record = [
        f"{path},sha256={base64.urlsafe_b64encode(digest).rstrip(b'=').decode()},{len(files[path])}"
        for path, digest in digests.items()
    ]
    files[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,"])
    wheel = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return wheel


def test_hosts_are_sorted_as_text_as_sagemaker_does(tmp_path: Path) -> None:
    (tmp_path / "s.tar.gz").touch()
    hosts = TrainingJobSpec("job-1", tmp_path / "s.tar.gz", "train.py", instance_count=10).hosts
    assert hosts[:3] == ("algo-1", "algo-10", "algo-2")
    assert len(hosts) == 10


@pytest.mark.parametrize(
    ("through_shell", "arguments"),
    [
        (False, ["--glob", "*.py", "--it", "$ANSWER", "--layers", "[1, 2]", "--name", "a b", "--seed", ""]),
        (True, ["--glob", "train.py", "--it", "42", "--layers", "[1,", "2]", "--name", "a", "b", "--seed"]),
    ],
)
@pytest.mark.parametrize("torchrun", ["false", "true"])
def test_hyperparameters_come_as_they_are_or_through_a_shell(
    train: Train, through_shell: bool, arguments: list[str], torchrun: str
) -> None:
    hyperparameters = {
        "glob": '"*.py"',
        "it": '"$ANSWER"',
        "layers": "[1, 2]",
        "name": '"a b"',
        "seed": "null",
        "sagemaker_torch_distributed_enabled": torchrun,
    }
    result = train(
        {"train.py": WRITE_MODEL},
        hyperparameters=hyperparameters,
        through_shell=through_shell,
        environment={"ANSWER": "42"},
    )
    assert json.loads(members(result.model_archive)["algo-1.txt"] or b"") == arguments


def test_fails_when_a_shell_cannot_read_a_hyperparameter(train: Train) -> None:
    result = train({"train.py": WRITE_MODEL}, hyperparameters={"name": '"it\'s"'}, through_shell=True)
    assert result.status == "Failed"
    assert "nterminated quoted string" in str(result.failure_reason) or "unexpected EOF" in str(
        result.failure_reason
    )


def test_fails_when_a_script_is_killed_and_says_what_memory_it_had(train: Train) -> None:
    code = "import os; kept = b'x' * (300 << 20); os.kill(os.getpid(), 9)"
    result = train({"train.py": code})
    first, *_ = str(result.failure_reason).splitlines()
    assert first.startswith(
        "AlgorithmError: the script was killed by signal 9 (SIGKILL), when its largest process had 0.3 GiB of"
    )


def test_fails_when_an_argument_is_wrong_and_says_what_argparse_does(train: Train) -> None:
    code = (
        "import argparse\nparser = argparse.ArgumentParser()\nparser.add_argument('--epochs', type=int)\n"
        "parser.parse_args()\n"
    )
    result = train({"train.py": code}, hyperparameters={"epochs": '"many"'})
    first, *_ = str(result.failure_reason).splitlines()
    assert first == "AlgorithmError: train.py: error: argument --epochs: invalid int value: 'many'"


def test_fails_for_the_host_that_is_the_reason(train: Train) -> None:
    """The first host fails at once, as the second is gone, which takes a moment to say why."""
    code = """
import os, pathlib, sys, time
if os.environ["SM_CURRENT_HOST"] == "algo-1":
    raise RuntimeError("Connection closed by peer")
print("fails soon", flush=True)
time.sleep(1)
raise ValueError("no labels")
"""
    result = train({"train.py": code}, instance_count=2)
    first, *_ = str(result.failure_reason).splitlines()
    assert first == "AlgorithmError: algo-2 failed: ValueError: no labels"
