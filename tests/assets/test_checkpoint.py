import io
import json
import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import checkpoint
import numpy as np
import pytest
import torch
import train
from checkpoint import Checkpoints
from process_group import Process

from cdk_sagemaker_pytorch.local.base.processes import free_port

ALONE = Process(0, 1, 0, 1, "localhost", torch.device("cpu"))


def write_blobs(folder, rows=41, seed=0):
    random = np.random.RandomState(seed)
    for channel in ("train", "test"):
        (folder / channel).mkdir(parents=True)
        y = np.arange(rows) % 2
        np.savez(folder / channel / "part.npz", x=random.randn(rows, 3) + y[:, None], y=y)


@pytest.mark.skipif(sys.platform != "linux", reason="forks, and the loopback interface has another name")
@pytest.mark.parametrize("world_size", [1, 2])
def test_a_killed_run_ends_with_the_bits_of_one_that_was_not(tmp_path, container_environment, world_size):
    write_blobs(tmp_path)
    program = Path(__file__).with_name("killed_runs.py")
    ports = [str(free_port()) for _ in range(22)]
    ended = subprocess.run(
        [sys.executable, program, tmp_path, str(world_size), *ports],
        env={**container_environment, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert ended.returncode == 0, ended.stderr

    outcomes = json.loads((tmp_path / "outcomes.json").read_text())
    whole = outcomes.pop("never killed")
    assert len(outcomes) == 10
    assert whole["continued"] == []
    for name, outcome in outcomes.items():
        assert outcome["weights"] == whole["weights"], name
        assert outcome["metrics"] == whole["metrics"], name
        assert outcome["checkpoints"] == whole["checkpoints"], name
    continued = {name: "".join(outcome["continued"]) for name, outcome in outcomes.items()}
    assert continued["step 1"] == continued["half a file 1"] == ""
    assert continued["step 7"] == "checkpoint-0000000006.pt"
    assert continued["named file 2"].startswith("checkpoint-")


def train_here(folder, *arguments):
    folders = [f"--{name}-dir={folder / name}" for name in ("model", "output-data", "checkpoint")]
    channels = [f"--{name}={folder / name}" for name in ("train", "test")]
    train.main([*folders, *channels, "--num-gpus=0", "--epochs=2", "--hidden-sizes=4", *arguments])


def weights_of(folder):
    return torch.load(folder / "model" / "model.pth", weights_only=True)["state_dict"]


def test_a_run_that_has_ended_saves_its_model_again_and_trains_nothing(tmp_path, capsys):
    write_blobs(tmp_path)
    train_here(tmp_path)
    before = weights_of(tmp_path)
    capsys.readouterr()

    train_here(tmp_path)

    assert "epoch=" not in capsys.readouterr().out
    assert all(torch.equal(before[name], tensor) for name, tensor in weights_of(tmp_path).items())


def test_a_torn_checkpoint_is_skipped_for_the_one_before(tmp_path, capsys):
    write_blobs(tmp_path)
    train_here(tmp_path)
    before = weights_of(tmp_path)
    last, previous = sorted((tmp_path / "checkpoint").iterdir(), reverse=True)
    content = last.read_bytes()
    for torn in (content[: len(content) // 2], b"", _with_a_flipped_bit(content)):
        last.write_bytes(torn)
        capsys.readouterr()

        train_here(tmp_path)

        log = capsys.readouterr().out
        assert f"skips {last.name}: it is " in log
        assert f"continues from {previous.name}" in log
        assert all(torch.equal(before[name], tensor) for name, tensor in weights_of(tmp_path).items())


def _with_a_flipped_bit(content):
    # In the states of the random numbers, which are most of the file: the directory stays whole.
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        largest = max(archive.infolist(), key=lambda member: member.file_size)
    place = largest.header_offset + largest.file_size // 2
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


@pytest.mark.parametrize("foreign", [{"format": "another"}, [1, 2], torch.ones(2)])
def test_what_is_no_checkpoint_is_skipped(tmp_path, capsys, foreign):
    torch.save(foreign, tmp_path / "checkpoint-0000000009.pt")

    assert Checkpoints(str(tmp_path), {}, ALONE).load() is None
    assert "it is no checkpoint of this script" in capsys.readouterr().out


class _Calls:
    def __reduce__(self):
        return (os.system, ("touch called",))


@pytest.mark.parametrize("without_weights_only", [False, True], ids=["1.13", "1.12"])
def test_a_checkpoint_runs_no_code(tmp_path, monkeypatch, capsys, without_weights_only):
    monkeypatch.chdir(tmp_path)
    content = io.BytesIO()
    torch.save({"format": checkpoint.CHECKPOINT_FORMAT, "made_by": _Calls()}, content)
    (tmp_path / "checkpoint-0000000009.pt").write_bytes(content.getvalue())
    if without_weights_only:
        load = torch.load
        monkeypatch.setattr(
            torch,
            "load",
            lambda file, map_location=None, pickle_module=None: load(
                file, map_location=map_location, pickle_module=pickle_module, weights_only=False
            ),
        )

    assert Checkpoints(str(tmp_path), {}, ALONE).load() is None
    assert "it is no checkpoint of this script" in capsys.readouterr().out
    assert not (tmp_path / "called").exists()


def test_other_hyperparameters_and_rows_are_refused_by_name(tmp_path):
    write_blobs(tmp_path)
    train_here(tmp_path)

    with pytest.raises(ValueError, match=r"of another run: --hidden-sizes is \[5\], and was \[4\]; --learn"):
        train_here(tmp_path, "--learning-rate=0.1", "--hidden-sizes=5")
    for path in tmp_path.glob("t*/part.npz"):
        path.unlink()
        path.parent.rmdir()
    write_blobs(tmp_path, seed=1)
    with pytest.raises(
        ValueError, match=r"the checksums of channel test is .*; the checksums of channel train is"
    ):
        train_here(tmp_path)


def test_what_does_not_decide_on_the_result_may_differ(tmp_path):
    write_blobs(tmp_path)
    train_here(tmp_path)

    train_here(tmp_path, "--checkpoint-every-steps=1", "--torchscript=no", "--patience=9")


def test_leftovers_of_a_write_are_removed_and_other_files_are_not(tmp_path):
    (tmp_path / ".checkpoint-0000000007.pt.tmp").write_bytes(b"half")
    (tmp_path / "notes.txt").write_text("mine")

    Checkpoints(str(tmp_path), {}, ALONE)

    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_the_last_two_are_kept(tmp_path):
    checkpoints = Checkpoints(str(tmp_path), {}, ALONE)
    for step in range(1, 5):
        checkpoints.save({"step": step})

    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "checkpoint-0000000003.pt",
        "checkpoint-0000000004.pt",
    ]


def test_without_a_folder_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    checkpoints = Checkpoints("", {}, ALONE)

    checkpoints.save({"step": 1})

    assert not checkpoints
    assert checkpoints.load() is None
    assert list(tmp_path.iterdir()) == []


def test_sigterm_saves_and_ends_with_143(tmp_path, monkeypatch, capsys):
    write_blobs(tmp_path)
    (tmp_path / "whole").mkdir()
    for channel in ("train", "test"):
        (tmp_path / "whole" / channel).symlink_to(tmp_path / channel)
    train_here(tmp_path / "whole", "--batch-size=8")
    step, counts = train.Trainer._step, {"left": 4}

    def terminated(self, *arguments):
        counts["left"] -= 1
        if counts["left"] == 0:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(self, *arguments)

    monkeypatch.setattr(train.Trainer, "_step", terminated)
    with pytest.raises(SystemExit) as ended:
        train_here(tmp_path, "--batch-size=8")

    assert ended.value.code == 143
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    assert not (tmp_path / "model").exists()
    assert [path.name for path in (tmp_path / "checkpoint").iterdir()] == ["checkpoint-0000000004.pt"]
    assert "SIGTERM: ends, and continues from the checkpoint in" in capsys.readouterr().out

    train_here(tmp_path, "--batch-size=8")

    whole = weights_of(tmp_path / "whole")
    assert all(torch.equal(whole[name], tensor) for name, tensor in weights_of(tmp_path).items())
