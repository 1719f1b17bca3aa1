"""Spot instances that are reclaimed, and checkpoints that survive it."""

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from botocore.exceptions import ClientError

from cdk_sagemaker_pytorch.local import LocalAws
from cdk_sagemaker_pytorch.local.base.container_view import why_no_container_view
from cdk_sagemaker_pytorch.local.base.errors import LocalAwsError
from cdk_sagemaker_pytorch.local.base.processes import free_port
from waiting import wait_for

pytestmark = pytest.mark.local

ROOT = Path(__file__).parents[2]

EPOCHS = 8
# Gradients are averaged over two hosts; the first writes a checkpoint after each epoch, and both begin with
# the last one. After epoch N it goes on when there is a file gate-N.
DIGITS = """
import glob, json, os, time
import torch
import torch.distributed as dist
from sklearn.datasets import load_digits

hosts = json.loads(os.environ["SM_HOSTS"])
rank = hosts.index(os.environ["SM_CURRENT_HOST"])
dist.init_process_group("gloo", init_method=f"tcp://{hosts[0]}:PORT", rank=rank, world_size=len(hosts))

torch.manual_seed(0)
torch.set_num_threads(1)
digits = load_digits()
x = torch.tensor(digits.data[rank::2][:512], dtype=torch.float32) / 16
y = torch.tensor(digits.target[rank::2][:512])
model = torch.nn.Linear(64, 10)
optimizer = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9)
first = 0
saved = sorted(glob.glob("/opt/ml/checkpoints/epoch-?.pt"))
if saved:
    state = torch.load(saved[-1], weights_only=True)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    first = state["epoch"] + 1
print(f"begins with epoch {first}", flush=True)

for epoch in range(first, EPOCHS):
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(epoch))
    for rows in order.split(64):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x[rows]), y[rows])
        loss.backward()
        for parameter in model.parameters():
            dist.all_reduce(parameter.grad)
            parameter.grad /= len(hosts)
        optimizer.step()
    if rank == 0:
        state = {"epoch": epoch, "model": model.state_dict(), "optimizer": optimizer.state_dict()}
        torch.save(state, f"/opt/ml/checkpoints/epoch-{epoch}.pt")
    while not os.path.exists(f"GATES/gate-{epoch}"):
        time.sleep(0.01)

with torch.no_grad():
    accuracy = (model(x).argmax(1) == y).float().mean()
dist.all_reduce(accuracy)
if rank == 0:
    print(f"accuracy={accuracy.item() / len(hosts):.6f}", flush=True)
    torch.save(model.state_dict(), "/opt/ml/model/model.pth")
    with open("/opt/ml/model/weights.json", "w") as file:
        json.dump([float(value) for value in model.weight.flatten()], file)
dist.destroy_process_group()
"""
SPOT = {
    "EnableManagedSpotTraining": True,
    "StoppingCondition": {"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 900},
}
WAITS = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_DFL)
print("trains", flush=True)
time.sleep(600)
"""


def _members(aws: LocalAws, job: dict[str, Any]) -> dict[str, bytes]:
    bucket, _, key = job["ModelArtifacts"]["S3ModelArtifacts"].removeprefix("s3://").partition("/")
    body = aws.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(body)) as tar:
        return {m.name: tar.extractfile(m).read() for m in tar if m.isfile()}  # type: ignore[union-attr]


@pytest.fixture
def describe(aws: LocalAws) -> Callable[[str], dict[str, Any]]:
    return lambda name: dict(aws.client("sagemaker").describe_training_job(TrainingJobName=name))


@pytest.fixture
def wait_until_trains(aws: LocalAws, describe: Callable[[str], dict[str, Any]]) -> Callable[..., None]:
    """Wait until the log of a job has a text so many times."""

    def wait(name: str, text: str = "trains", times: int = 1) -> None:
        log = aws.logs_directory / "training" / name / "algo-1.log"
        wait_for(lambda: log.exists() and log.read_text().count(f"{text}\n") >= times)

    return wait


@pytest.fixture
def wait_for_end(describe: Callable[[str], dict[str, Any]]) -> Callable[[str], dict[str, Any]]:
    def wait(name: str) -> dict[str, Any]:
        wait_for(lambda: describe(name)["TrainingJobStatus"] not in ("InProgress", "Stopping"))
        return describe(name)

    return wait


@pytest.mark.skipif(why_no_container_view() is not None, reason=f"mounts: {why_no_container_view()}")
def test_a_job_that_is_interrupted_twice_ends_as_one_that_is_not(
    aws: LocalAws,
    train: Callable[..., Any],
    name: str,
    bucket: str,
    tmp_path: Path,
    wait_for_end: Callable[[str], dict[str, Any]],
    training_image: str,
) -> None:
    s3 = aws.client("s3")
    whole, parts = f"{name}-whole", f"{name}-parts"

    def start(job_name: str) -> None:
        script = DIGITS.replace("GATES", str(tmp_path / job_name)).replace("PORT", str(free_port()))
        train(
            script.replace("EPOCHS", str(EPOCHS)),
            wait=False,
            TrainingJobName=job_name,
            CheckpointConfig={"S3Uri": f"s3://{bucket}/checkpoints/{job_name}"},
            ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 1},
            AlgorithmSpecification={
                "TrainingImage": training_image,
                "TrainingInputMode": "File",
                "MetricDefinitions": [{"Name": "accuracy", "Regex": "accuracy=([0-9.]+)"}],
            },
            **SPOT,
        )

    def open_gates(job_name: str, *epochs: int) -> None:
        (tmp_path / job_name).mkdir(exist_ok=True)
        for epoch in epochs:
            (tmp_path / job_name / f"gate-{epoch}").touch()

    def is_saved(epoch: int) -> bool:
        prefix = f"checkpoints/{parts}/epoch-{epoch}.pt"
        return bool(s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("KeyCount"))

    open_gates(whole, *range(EPOCHS))
    start(whole)
    one = wait_for_end(whole)
    open_gates(parts, 0, 1)
    start(parts)
    wait_for(lambda: is_saved(2))
    aws.interrupt(parts)
    open_gates(parts, 3)  # the first gate after the restart: epoch 2 is not trained again
    wait_for(lambda: is_saved(4))
    aws.interrupt(parts, grace_seconds=0.1)
    open_gates(parts, *range(5, EPOCHS))

    other = wait_for_end(parts)
    assert (one["TrainingJobStatus"], other["TrainingJobStatus"]) == ("Completed", "Completed")
    metrics = [[item["Value"] for item in job["FinalMetricDataList"]] for job in (one, other)]
    assert metrics[0] == metrics[1]
    assert metrics[0][0] > 0.9
    statuses = [transition["Status"] for transition in other["SecondaryStatusTransitions"]]
    training = ["Starting", "Downloading", "Training"]
    assert statuses == [
        *training,
        "Interrupted",
        *training,
        "Interrupted",
        *training,
        "Uploading",
        "Completed",
    ]
    log = (aws.logs_directory / "training" / parts / "algo-2.log").read_text()
    begins = [line for line in log.splitlines() if line.startswith("begins with")]
    assert begins == ["begins with epoch 0", "begins with epoch 3", "begins with epoch 5"]
    weights = [_members(aws, job)["weights.json"] for job in (one, other)]
    assert weights[0] == weights[1]


@pytest.mark.skipif(why_no_container_view() is not None, reason=f"mounts: {why_no_container_view()}")
def test_a_script_that_saves_on_sigterm_goes_on_from_there(
    aws: LocalAws,
    train: Callable[..., Any],
    name: str,
    bucket: str,
    wait_until_trains: Callable[..., None],
    wait_for_end: Callable[[str], dict[str, Any]],
) -> None:
    """The second time it finds its checkpoint, in the folder that the job names, and nothing else."""
    script = """
import os, pathlib, signal, sys, time
saved = pathlib.Path("/data/saved/state.txt")
scratch = pathlib.Path("/opt/ml/scratch.txt")
if saved.exists():
    pathlib.Path("/opt/ml/model/found").write_text(f"{saved.read_text()} {scratch.exists()}")
    sys.exit()
scratch.touch()
def save(*_):
    saved.write_text("saved in time")
    sys.exit(1)
signal.signal(signal.SIGTERM, save)
print("trains", flush=True)
time.sleep(600)
"""
    train(
        script,
        wait=False,
        CheckpointConfig={"S3Uri": f"s3://{bucket}/checkpoints", "LocalPath": "/data/saved"},
        **SPOT,
    )
    wait_until_trains(name)
    aws.interrupt(name, grace_seconds=60)
    job = wait_for_end(name)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    assert _members(aws, job)["found"] == b"saved in time False"
    assert aws.client("s3").get_object(Bucket=bucket, Key="checkpoints/state.txt")["Body"].read() == (
        b"saved in time"
    )


def test_a_job_does_not_wait_longer_for_instances_than_it_may(
    aws: LocalAws,
    train: Callable[..., Any],
    name: str,
    wait_until_trains: Callable[..., None],
    wait_for_end: Callable[[str], dict[str, Any]],
) -> None:
    train(
        WAITS,
        wait=False,
        **SPOT | {"StoppingCondition": {"MaxRuntimeInSeconds": 5, "MaxWaitTimeInSeconds": 20}},
    )
    wait_until_trains(name)
    aws.interrupt(name, capacity_after_seconds=3600)
    job = wait_for_end(name)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxWaitTimeExceeded")
    assert job["BillableTimeInSeconds"] < job["TrainingTimeInSeconds"]


def test_a_job_that_waits_for_instances_can_be_stopped(
    aws: LocalAws,
    train: Callable[..., Any],
    name: str,
    wait_until_trains: Callable[..., None],
    wait_for_end: Callable[[str], dict[str, Any]],
    describe: Callable[[str], dict[str, Any]],
) -> None:
    train(WAITS, wait=False, **SPOT)
    wait_until_trains(name)
    aws.interrupt(name, capacity_after_seconds=600)
    wait_for(lambda: describe(name)["SecondaryStatus"] == "Interrupted")
    aws.client("sagemaker").stop_training_job(TrainingJobName=name)
    job = wait_for_end(name)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "Stopped")


def test_checkpoints_are_there_without_spot_instances_too(
    aws: LocalAws, train: Callable[..., Any], bucket: str
) -> None:
    aws.client("s3").put_object(Bucket=bucket, Key="checkpoints/before.txt", Body=b"of a job before")
    script = """
import os, pathlib
folder = pathlib.Path(os.environ["SM_MODEL_DIR"], "..", "checkpoints")
(folder / "after.txt").write_text((folder / "before.txt").read_text() + ", and after it")
raise ValueError("fails after its checkpoint")
"""
    job = train(script, CheckpointConfig={"S3Uri": f"s3://{bucket}/checkpoints/"})
    assert job["TrainingJobStatus"] == "Failed"
    saved = aws.client("s3").get_object(Bucket=bucket, Key="checkpoints/after.txt")["Body"].read()
    assert saved == b"of a job before, and after it"


def test_fails_when_the_role_may_not_write_checkpoints(
    train: Callable[..., Any], bucket: str, create_role: Callable[..., str]
) -> None:
    allowed = [
        {"Effect": "Allow", "Action": action, "Resource": f"arn:aws:s3:::{bucket}{path}"}
        for action, path in (("s3:GetObject", "/*"), ("s3:ListBucket", ""), ("s3:PutObject", "/out/*"))
    ]
    script = "import os; open(os.environ['SM_MODEL_DIR'] + '/../checkpoints/1.pt', 'w').close()"
    job = train(
        script,
        RoleArn=create_role("sagemaker.amazonaws.com", *allowed, suffix="-narrow"),
        CheckpointConfig={"S3Uri": f"s3://{bucket}/checkpoints"},
    )
    assert job["TrainingJobStatus"] == "Failed"
    assert f"checkpoints cannot be kept in s3://{bucket}/checkpoints" in job["FailureReason"]
    assert "s3:PutObject" in job["FailureReason"]


def test_fails_when_there_is_nothing_to_interrupt(
    aws: LocalAws,
    train: Callable[..., Any],
    name: str,
    wait_until_trains: Callable[..., None],
    wait_for_end: Callable[[str], dict[str, Any]],
) -> None:
    with pytest.raises(LocalAwsError, match=f"There is no training job {name}"):
        aws.interrupt(name)
    train(WAITS, wait=False)
    wait_until_trains(name)
    with pytest.raises(LocalAwsError, match="EnableManagedSpotTraining is not set"):
        aws.interrupt(name)
    aws.client("sagemaker").stop_training_job(TrainingJobName=name)
    wait_for_end(name)
    job = train("pass", TrainingJobName=f"{name}-2", **SPOT)
    assert job["TrainingJobStatus"] == "Completed"
    with pytest.raises(LocalAwsError, match="it must be Training, and is Completed"):
        aws.interrupt(f"{name}-2")


def test_fails_when_the_request_cannot_be_right(train: Callable[..., Any], bucket: str) -> None:
    with pytest.raises(ClientError, match="Invalid MaxWaitTimeInSeconds"):
        train("pass", EnableManagedSpotTraining=True, StoppingCondition={"MaxRuntimeInSeconds": 600})
    for path in ("/opt/ml", "/opt/ml/../../etc", "checkpoints"):
        with pytest.raises(ClientError, match="LocalPath of CheckpointConfig must be"):
            train("pass", CheckpointConfig={"S3Uri": f"s3://{bucket}/c", "LocalPath": path})


# The bundled script on both hosts, which stops before its sixth step until there is a gate.
GATED = """
import os, sys, time
import train, trainer

step, steps = trainer.Trainer._step, []
def gated(self, *arguments):
    steps.append(1)
    while len(steps) == 6 and not os.path.exists("GATE"):
        time.sleep(0.01)
    return step(self, *arguments)
trainer.Trainer._step = gated
train.main(sys.argv[1:])
"""


@pytest.mark.skipif(why_no_container_view() is not None, reason=f"mounts: {why_no_container_view()}")
def test_the_bundled_script_continues_bit_by_bit(
    aws: LocalAws,
    train: Callable[..., Any],
    name: str,
    bucket: str,
    put_archive: Callable[..., str],
    tmp_path: Path,
    wait_for_end: Callable[[str], dict[str, Any]],
) -> None:
    s3 = aws.client("s3")
    rows = "".join(f"{number % 2},{number % 7},{number % 2 * 3 + number % 5}\n" for number in range(80))
    s3.put_object(Bucket=bucket, Key="train/rows.csv", Body=rows.encode())
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{bucket}/train/"}
    files = {path.name: path.read_text() for path in (ROOT / "training_assets").glob("*.py")}

    def start(job_name: str) -> None:
        gate = tmp_path / job_name
        uri = put_archive(f"{job_name}.tar.gz", {**files, "gated.py": GATED.replace("GATE", str(gate))})
        hyperparameters = {
            "sagemaker_program": "gated.py",
            "sagemaker_submit_directory": uri,
            "epochs": 80,
            "batch-size": 4,
            "accumulation-steps": 2,
            "hidden-sizes": "8",
        }
        train(
            "",
            wait=False,
            TrainingJobName=job_name,
            HyperParameters={key: json.dumps(value) for key, value in hyperparameters.items()},
            InputDataConfig=[{"ChannelName": "train", "DataSource": {"S3DataSource": source}}],
            CheckpointConfig={"S3Uri": f"s3://{bucket}/checkpoints/{job_name}/"},
            ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 1},
            **SPOT,
        )

    def saved(job_name: str) -> list[str]:
        listed = s3.list_objects_v2(Bucket=bucket, Prefix=f"checkpoints/{job_name}/")
        return [item["Key"].rpartition("/")[2] for item in listed.get("Contents", [])]

    whole, parts = f"{name}-whole", f"{name}-parts"
    (tmp_path / whole).touch()
    start(whole)
    start(parts)
    one = wait_for_end(whole)
    # After the first epoch, of five steps; the processes ask each other at least each 200 steps.
    wait_for(lambda: saved(parts))
    aws.interrupt(parts, grace_seconds=60)
    (tmp_path / parts).touch()
    other = wait_for_end(parts)

    assert (one["TrainingJobStatus"], other["TrainingJobStatus"]) == ("Completed", "Completed")
    log = (aws.logs_directory / "training" / parts / "algo-1.log").read_text()
    assert "SIGTERM: ends, and continues from the checkpoint in /opt/ml/checkpoints" in log
    assert "continues from checkpoint-" in log
    assert not [key for key in saved(parts) if not key.startswith("checkpoint-")]
    weights = [
        torch.load(io.BytesIO(_members(aws, job)["model.pth"]), weights_only=True)["state_dict"]
        for job in (one, other)
    ]
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])
