import ast
import json
import re
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
import train
from labels import find_classes
from process_group import Process
from report import METRIC_DEFINITIONS
from serving.bundled_model import load_bundled_model
from serving.handlers import model_fn

from cdk_sagemaker_pytorch.local.base.processes import free_port


def write_npz(folder, channel, x, y):
    (folder / "data" / channel).mkdir(parents=True, exist_ok=True)
    np.savez(folder / "data" / channel / "part.npz", x=x, y=y)


def two_blobs(rows=40, seed=0):
    random = np.random.RandomState(seed)
    y = np.arange(rows) % 2
    return random.randn(rows, 3) + 4 * y[:, None], y


def test_digits_are_learned(digits_job):
    folder, _ = digits_job
    metrics = json.loads((folder / "output" / "metrics.json").read_text())

    assert metrics["task"] == "classification"
    assert metrics["classes"] == list(range(10))
    assert metrics["features"] == 64
    assert metrics["train_rows"] == 1437
    assert metrics["world_size"] == 1
    assert len(metrics["epochs"]) == 30
    assert metrics["final"] == metrics["epochs"][-1]
    assert metrics["final"]["test_accuracy"] >= 0.95
    assert metrics["final"]["train_loss"] < metrics["epochs"][0]["train_loss"]


def test_log_is_read_by_the_metric_definitions(digits_job):
    folder, log = digits_job
    metrics = json.loads((folder / "output" / "metrics.json").read_text())["epochs"]
    found = {item["Name"]: re.findall(item["Regex"], log) for item in METRIC_DEFINITIONS}

    assert log.splitlines()[0] == "rank=0 world_size=1 host=localhost device=cpu"
    for name in ("train_loss", "test_loss", "test_accuracy"):
        assert [float(value) for value in found[name]] == pytest.approx(
            [epoch[name] for epoch in metrics], rel=1e-5
        )
    assert found["test_rmse"] == []


def test_model_is_loaded_without_unpickling(digits_job):
    checkpoint = torch.load(digits_job[0] / "model" / "model.pth", weights_only=True)

    assert checkpoint["format"] == "cdk-sagemaker-pytorch/mlp/1"
    assert checkpoint["hidden_sizes"] == [128, 64]
    assert (checkpoint["features"], checkpoint["outputs"]) == (64, 10)
    assert checkpoint["classes"] == list(range(10))
    assert checkpoint["state_dict"]["input_mean"].shape == (64,)


def test_learning_curve_is_a_picture(digits_job):
    assert (digits_job[0] / "output" / "learning_curve.png").read_bytes().startswith(b"\x89PNG")


def train_here(folder, *arguments):
    """Run train.py in this process, which has torch already."""
    channels = [f"--{path.name}={path}" for path in (folder / "data").glob("*")]
    folders = [f"--model-dir={folder / 'model'}", f"--output-data-dir={folder / 'output'}", "--num-gpus=0"]
    train.main([*channels, *folders, *arguments])
    return json.loads((folder / "output" / "metrics.json").read_text())


def test_missing_matplotlib_is_logged_and_nothing_else(tmp_path, monkeypatch, capsys):
    write_npz(tmp_path, "train", *two_blobs())
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)

    metrics = train_here(tmp_path, "--epochs=1")

    assert "matplotlib is not installed: no learning curve is drawn" in capsys.readouterr().out
    assert not (tmp_path / "output" / "learning_curve.png").exists()
    assert len(metrics["epochs"]) == 1


def test_same_seed_gives_the_same_weights(tmp_path):
    write_npz(tmp_path, "train", *two_blobs())
    weights = []
    for seed in ("7", "7", "8"):
        train_here(tmp_path, "--epochs=2", f"--seed={seed}")
        checkpoint = torch.load(tmp_path / "model" / "model.pth", weights_only=True)
        weights.append(checkpoint["state_dict"]["layers.0.weight"])

    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_targets_of_a_regression_keep_their_own_unit(tmp_path):
    random = np.random.RandomState(0)
    for channel, rows in (("train", 400), ("test", 100)):
        x = random.randn(rows, 2) * [1, 50] + [0, 1000]
        y = np.stack([x[:, 0] * 100 + 5000, x[:, 1]], axis=1)
        write_npz(tmp_path, channel, x, y)

    metrics = train_here(tmp_path, "--hidden-sizes=[32]", "--dropout=0", "--learning-rate=0.01")

    assert metrics["task"] == "regression"
    assert metrics["classes"] == []
    # The targets have standard deviations of 100 and 50; their means alone would give an error of 79.
    assert metrics["final"]["test_rmse"] < 10
    assert "test_accuracy" not in metrics["final"]
    model = load_bundled_model(tmp_path / "model" / "model.pth")
    assert model(torch.tensor([[1.0, 1050.0]])).tolist()[0] == pytest.approx([5100, 1050], abs=40)


def test_labels_are_any_whole_numbers(tmp_path):
    x, y = two_blobs()
    labels = np.where(y == 0, -3, 40)
    write_npz(tmp_path, "train", x, labels)
    write_npz(tmp_path, "test", x, labels)

    metrics = train_here(tmp_path, "--hidden-sizes=", "--learning-rate=0.3")

    assert metrics["classes"] == [-3, 40]
    assert metrics["final"]["test_accuracy"] > 0.9


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
@pytest.mark.parametrize("way", ["trace", "script"])
@pytest.mark.parametrize("targets", [1, 2], ids=["classes", "quantities"])
def test_a_torchscript_model_answers_as_the_weights_do(tmp_path, way, targets):
    x, y = two_blobs()
    write_npz(tmp_path, "train", x, y if targets == 1 else np.stack([x[:, 0] * 9 + 2, x[:, 1]], axis=1))
    train_here(tmp_path, "--epochs=2")
    reference = model_fn(str(tmp_path / "model"))
    (tmp_path / "model" / "model.pth").unlink()

    train_here(tmp_path, "--epochs=2", f"--torchscript={way}")

    assert [path.name for path in (tmp_path / "model").iterdir()] == ["model.pt"]
    model = model_fn(str(tmp_path / "model"))  # of our handlers, which prefer model.pt
    plain = torch.jit.load(str(tmp_path / "model" / "model.pt"))  # all that AWS's default model_fn does
    rows = torch.from_numpy(x[:7]).float()
    with torch.no_grad():
        for some in (rows, rows[:1]):
            assert isinstance(model, torch.jit.ScriptModule)
            assert torch.allclose(model(some), reference(some), rtol=1e-5, atol=1e-6)
            assert torch.equal(model(some), plain(some))


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_fails_when_the_torchscript_model_answers_otherwise(tmp_path, monkeypatch):
    write_npz(tmp_path, "train", *two_blobs())
    script = torch.jit.script
    monkeypatch.setattr("torch.jit.script", lambda served: script(torch.nn.Linear(3, 2)))

    with pytest.raises(RuntimeError, match=r"TorchScript model \(script\) does not answer as the model"):
        train_here(tmp_path, "--epochs=1", "--torchscript=script")

    assert list((tmp_path / "model").iterdir()) == []


def test_accumulated_batches_are_one_batch(tmp_path):
    write_npz(tmp_path, "train", *two_blobs(rows=37))
    weights = []
    for batches in (["--batch-size=12"], ["--batch-size=4", "--accumulation-steps=3"]):
        train_here(tmp_path, "--epochs=3", "--dropout=0", *batches)
        weights.append(torch.load(tmp_path / "model" / "model.pth", weights_only=True)["state_dict"])

    for name, tensor in weights[0].items():
        torch.testing.assert_close(weights[1][name], tensor, rtol=1e-4, atol=1e-5)


def test_the_best_epoch_is_kept_and_patience_ends_the_run(tmp_path):
    x, y = two_blobs()
    write_npz(tmp_path, "train", x, y)
    write_npz(tmp_path, "test", x, 1 - y)  # the longer it learns, the worse
    arguments = ("--epochs=20", "--learning-rate=0.05", "--metric=test_loss")
    metrics = train_here(tmp_path, *arguments, "--patience=2", "--keep=best")

    losses = [epoch["test_loss"] for epoch in metrics["epochs"]]
    assert metrics["best_epoch"] == 1 + losses.index(min(losses))
    assert len(losses) == metrics["best_epoch"] + 2 < 20
    model = load_bundled_model(tmp_path / "model" / "model.pth")
    answered = model(torch.from_numpy(x).float())[range(len(y)), 1 - y].log().mean()
    assert -answered.item() == pytest.approx(min(losses), rel=1e-4)


def test_accuracy_is_better_when_it_is_higher(tmp_path):
    x, y = two_blobs()
    write_npz(tmp_path, "train", x, y)
    write_npz(tmp_path, "test", x, y)

    metrics = train_here(
        tmp_path, "--epochs=8", "--learning-rate=0.002", "--metric=test_accuracy", "--seed=3"
    )

    scores = [epoch["test_accuracy"] for epoch in metrics["epochs"]]
    assert scores[0] < max(scores)
    assert metrics["best_epoch"] == 1 + scores.index(max(scores))


def test_bfloat16_learns_as_well(tmp_path):
    x, y = two_blobs()
    for channel in ("train", "test"):
        write_npz(tmp_path, channel, x, y)
    found = {}
    for precision in ("float32", "bfloat16", "auto"):
        arguments = ("--epochs=5", "--learning-rate=0.05", f"--precision={precision}")
        found[precision] = train_here(tmp_path, *arguments)["final"]

    assert found["bfloat16"]["test_accuracy"] > 0.9
    assert found["bfloat16"]["train_loss"] != found["float32"]["train_loss"]
    assert found["auto"] == found["float32"]  # such small layers gain nothing on any CPU


def test_rows_on_the_disk_train_the_same_model(tmp_path):
    x, y = two_blobs()
    (tmp_path / "data" / "train").mkdir(parents=True)
    for part, rows in (("0", slice(0, 15)), ("1", slice(15, None))):
        np.save(tmp_path / "data" / "train" / f"{part}-x.npy", x[rows])
        np.save(tmp_path / "data" / "train" / f"{part}-y.npy", y[rows])
    weights = []
    for memory_map in ("never", "always"):
        train_here(tmp_path, "--epochs=2", f"--memory-map={memory_map}", "--torchscript=no")
        weights.append(torch.load(tmp_path / "model" / "model.pth", weights_only=True)["state_dict"])

    assert all(torch.equal(weights[0][name], tensor) for name, tensor in weights[1].items())
    train_here(tmp_path, "--epochs=1", "--memory-map=always", "--torchscript=script")


@pytest.mark.parametrize(
    ("labels", "task", "expected"),
    [
        (np.arange(200) % 100, "auto", "classification"),
        (np.arange(200) % 101, "auto", "regression"),
        (np.arange(200) / 7, "auto", "regression"),
        (np.arange(200) % 2, "regression", "regression"),
        (np.arange(200) % 101, "classification", "classification"),
    ],
)
def test_task_follows_the_labels(labels, task, expected):
    alone = Process(0, 1, 0, 1, "localhost", torch.device("cpu"))
    classes = find_classes(task, torch.tensor(labels, dtype=torch.float64)[:, None], alone)

    assert ("classification" if classes else "regression") == expected


def run_hosts(training_job, folders, environment):
    # The script binds to it seconds later: no port of those that systems give to outgoing connections.
    port = str(free_port())
    hosts = [f"algo-{number}" for number in range(1, len(folders) + 1)]
    jobs = [None] * len(hosts)

    def run(rank):
        variables = {
            "SM_HOSTS": json.dumps(hosts),
            "SM_CURRENT_HOST": hosts[rank],
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": port,
            "GLOO_SOCKET_IFNAME": "lo",
            **environment,
        }
        jobs[rank] = training_job(folders[rank], ["--epochs", "6", "--batch-size", "8"], variables)

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(len(hosts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return jobs


@pytest.mark.skipif(sys.platform != "linux", reason="the loopback interface has another name")
@pytest.mark.parametrize("distribution", ["FullyReplicated", "ShardedByS3Key"])
def test_two_hosts_train_one_model(tmp_path, training_job, distribution):
    x, y = two_blobs(rows=41)
    folders = [tmp_path / "algo-1", tmp_path / "algo-2"]
    for rank, folder in enumerate(folders):
        # Sharded, each host sees one label alone, and one has more rows than the other.
        mine = slice(None) if distribution == "FullyReplicated" else y == rank
        write_npz(folder, "train", x[mine], y[mine])
        write_npz(folder, "test", x, y)
    config = {
        "train": {"S3DistributionType": distribution},
        "test": {"S3DistributionType": "FullyReplicated"},
    }

    jobs = run_hosts(training_job, folders, {"SM_INPUT_DATA_CONFIG": json.dumps(config)})

    for rank, job in enumerate(jobs):
        assert f"rank={rank} world_size=2 host=algo-{rank + 1} device=cpu" in job.stdout
    assert "epoch=" not in jobs[1].stdout
    assert not (folders[1] / "model").exists()
    metrics = json.loads((folders[0] / "output" / "metrics.json").read_text())
    assert metrics["world_size"] == 2
    assert metrics["train_rows"] == 41
    assert metrics["classes"] == [0, 1]
    assert metrics["final"]["test_accuracy"] > 0.9
    checkpoint = torch.load(folders[0] / "model" / "model.pth", weights_only=True)
    np.testing.assert_allclose(
        checkpoint["state_dict"]["input_mean"], x.astype(np.float32).mean(0), rtol=1e-5
    )


def test_sizes_may_come_in_parts_as_a_shell_makes_them(tmp_path):
    write_npz(tmp_path, "train", *two_blobs())
    train_here(tmp_path, "--epochs", "1", "--hidden-sizes", "[8,", "4]", "--seed", "1")
    assert torch.load(tmp_path / "model" / "model.pth", weights_only=True)["hidden_sizes"] == [8, 4]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--epochs=0"], "--epochs must be at least 1, got 0"),
        (["--epochs=0", "--learning-rate=-1"], "--epochs must be at least 1, got 0; --learning-rate must be"),
        (["--metric=test_loss"], "--metric must be auto or train_loss without a channel named test, got"),
        (
            ["--accumulation-steps=0", "--patience=-1"],
            "--accumulation-steps must be at least 1, got 0; --",
        ),
        (["--epochs=many"], "argument --epochs: invalid int value: 'many'"),
        (["--hidden-sizes=8,0"], "each size must be at least 1, got 8,0"),
        (["--hidden-sizes=many"], "argument --hidden-sizes: invalid literal for int"),
        (["--dropout=1"], "--dropout must be at least 0 and below 1, got 1.0"),
        (["--epoch=3"], "unrecognized arguments: --epoch=3"),
        (["--train="], "--train must be given, here or by a channel named train, got ''"),
    ],
)
def test_fails_when_a_hyperparameter_is_wrong(tmp_path, capsys, arguments, message):
    write_npz(tmp_path, "train", *two_blobs())

    with pytest.raises(SystemExit) as failure:
        train_here(tmp_path, *arguments)

    assert failure.value.code == 2
    assert message in capsys.readouterr().err


def test_fails_when_the_loss_is_not_finite(tmp_path):
    random = np.random.RandomState(0)
    write_npz(tmp_path, "train", random.randn(50, 3), random.randn(50))

    with pytest.raises(FloatingPointError, match="the training loss is not finite in epoch"):
        train_here(tmp_path, "--learning-rate=1e30")

    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    ("train_y", "test_y", "arguments", "message"),
    [
        ([0, 1], [0, 5], [], r"channel test: y holds the label 5, train has \[0, 1\]"),
        ([4, 4], [4, 4], [], r"a classifier needs at least two labels, train holds \[4\] only"),
        (
            [0.5, 1],
            [0, 1],
            ["--task=classification"],
            "--task classification needs one column of whole numbers",
        ),
        ([0, 1], [[0, 1], [1, 0]], [], "channel test: the width of y must be that of train, 1, got 2"),
    ],
)
def test_fails_when_labels_do_not_fit(tmp_path, train_y, test_y, arguments, message):
    write_npz(tmp_path, "train", np.eye(2), np.array(train_y))
    write_npz(tmp_path, "test", np.eye(2), np.array(test_y))

    with pytest.raises(ValueError, match=message):
        train_here(tmp_path, *arguments)


def test_fails_when_the_metric_is_of_another_task(tmp_path):
    for channel in ("train", "test"):
        write_npz(tmp_path, channel, *two_blobs())

    with pytest.raises(ValueError, match="must be one of train_loss, test_loss, test_accuracy for a classif"):
        train_here(tmp_path, "--metric=test_rmse")


def test_fails_when_the_cpu_is_asked_for_float16(tmp_path):
    write_npz(tmp_path, "train", *two_blobs())

    with pytest.raises(ValueError, match="--precision float16 needs a GPU: use bfloat16 or float32"):
        train_here(tmp_path, "--precision=float16")


def test_fails_when_the_test_channel_has_other_features(tmp_path, training_job):
    write_npz(tmp_path, "train", np.eye(3), np.arange(3))
    write_npz(tmp_path, "test", np.eye(2), np.arange(2))

    job = training_job(tmp_path, check=False)

    assert job.returncode == 1
    last = job.stderr.splitlines()[-1]
    assert last == "ValueError: channel test: the width of x must be that of train, 3, got 2"


def test_asset_syntax_is_python_3_8(assets):
    scripts = [
        *Path(assets / "training_assets").rglob("*.py"),
        *Path(assets / "inference_assets").rglob("*.py"),
    ]
    assert len(scripts) > 10
    for script in scripts:
        ast.parse(script.read_text(encoding="utf-8"), str(script), feature_version=(3, 8))
