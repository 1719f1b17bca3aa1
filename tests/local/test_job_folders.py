"""Scripts that say /opt/ml themselves, and those that talk to algo-1: what AWS's containers give them."""

import io
import json
import os
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cdk_sagemaker_pytorch.local import LocalAws
from cdk_sagemaker_pytorch.local.base.container_view import why_no_container_view
from cdk_sagemaker_pytorch.local.base.processes import free_port
from waiting import wait_for

pytestmark = [
    pytest.mark.local,
    pytest.mark.skipif(why_no_container_view() is not None, reason=f"mounts: {why_no_container_view()}"),
]

HARD_CODED = """
import json, os
config = json.load(open("/opt/ml/input/config/resourceconfig.json"))
hyperparameters = json.load(open("/opt/ml/input/config/hyperparameters.json"))
found = {
    "train": sorted(os.listdir("/opt/ml/input/data/train")),
    "hosts": config["hosts"],
    "program": hyperparameters["sagemaker_program"],
    "before": sorted(os.listdir("/opt/ml/model")),
    "model_dir": os.environ["SM_MODEL_DIR"],
    "folder": os.getcwd(),
}
with open("/opt/ml/model/m.pth", "w") as model:
    json.dump(found, model)
open("/opt/ml/output/data/notes.txt", "w").close()
"""
# Each rank gives its number plus one; all of them get the sum. The first host is found by its name.
FIXED_PORT = """
import json, os
import torch, torch.distributed as dist
hosts = json.loads(os.environ["SM_HOSTS"])
dist.init_process_group(
    "gloo",
    init_method=f"tcp://{hosts[0]}:PORT",
    rank=hosts.index(os.environ["SM_CURRENT_HOST"]),
    world_size=len(hosts),
)
total = torch.tensor([dist.get_rank() + 1.0])
dist.all_reduce(total)
with open(f"/opt/ml/model/{os.environ['SM_CURRENT_HOST']}", "w") as model:
    model.write(str(total.item()))
dist.destroy_process_group()
"""
TORCHRUN = """
import os
import torch, torch.distributed as dist
dist.init_process_group("gloo")
total = torch.tensor([dist.get_rank() + 1.0])
dist.all_reduce(total)
with open(f"/opt/ml/model/{os.environ['SM_CURRENT_HOST']}", "w") as model:
    model.write(str(total.item()))
dist.destroy_process_group()
"""
TWO_HOSTS = {"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 1}


@pytest.fixture(autouse=True)
def _nothing_in_the_machines_folder() -> Iterator[None]:
    def entries() -> list[str]:
        return sorted(str(path) for path in Path("/opt/ml").rglob("*"))

    existed, before = Path("/opt/ml").exists(), entries()
    yield
    assert (Path("/opt/ml").exists(), entries()) == (existed, before)


@pytest.fixture
def read_archive(aws: LocalAws) -> Callable[[str], dict[str, str]]:
    def read(uri: str) -> dict[str, str]:
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        body = aws.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
        with tarfile.open(fileobj=io.BytesIO(body)) as tar:
            return {m.name: tar.extractfile(m).read().decode() for m in tar if m.isfile()}  # type: ignore[union-attr]

    return read


@pytest.fixture
def channel(aws: LocalAws, bucket: str) -> dict[str, Any]:
    aws.client("s3").put_object(Bucket=bucket, Key="data/a.txt", Body=b"a")
    source = {
        "S3DataType": "S3Prefix",
        "S3Uri": f"s3://{bucket}/data/",
        "S3DataDistributionType": "FullyReplicated",
    }
    return {"ChannelName": "train", "DataSource": {"S3DataSource": source}}


def test_a_script_that_says_opt_ml_has_the_jobs_own_folder(
    train: Callable[..., Any], channel: dict[str, Any], read_archive: Callable[[str], dict[str, str]]
) -> None:
    job = train(HARD_CODED, InputDataConfig=[channel])
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    model = job["ModelArtifacts"]["S3ModelArtifacts"]
    assert json.loads(read_archive(model)["m.pth"]) == {
        "train": ["a.txt"],
        "hosts": ["algo-1"],
        "program": '"train.py"',
        "before": [],
        "model_dir": "/opt/ml/model",
        "folder": "/opt/ml/code",
    }
    assert "data/notes.txt" in read_archive(model.replace("model.tar.gz", "output.tar.gz"))


def test_jobs_side_by_side_do_not_see_each_other(
    train: Callable[..., Any],
    aws: LocalAws,
    name: str,
    read_archive: Callable[[str], dict[str, str]],
    tmp_path: Path,
) -> None:
    """Each waits until all have written their models, and then says what lies in /opt/ml/model."""
    script = f"""
import json, os, pathlib, time
meeting = pathlib.Path({str(tmp_path)!r})
name = os.environ["TRAINING_JOB_NAME"]
pathlib.Path("/opt/ml/model", name).touch()
(meeting / name).touch()
while len(list(meeting.iterdir())) < 3:
    time.sleep(0.01)
pathlib.Path("/opt/ml/model/seen.json").write_text(json.dumps(os.listdir("/opt/ml/model")))
"""
    names = [f"{name}-{number}" for number in range(3)]
    for job_name in names:
        train(script, wait=False, TrainingJobName=job_name)
    sagemaker = aws.client("sagemaker")
    for job_name in names:

        def ended(job_name: str = job_name) -> Any:
            job = sagemaker.describe_training_job(TrainingJobName=job_name)
            return job if job["TrainingJobStatus"] != "InProgress" else None

        job = wait_for(ended)
        model = read_archive(job["ModelArtifacts"]["S3ModelArtifacts"])
        assert json.loads(model["seen.json"]) == [job_name]


@pytest.mark.parametrize("launcher", ["plain", "torchrun"])
def test_two_hosts_find_the_first_by_its_name(
    train: Callable[..., Any], read_archive: Callable[[str], dict[str, str]], launcher: str, bucket: str
) -> None:
    hyperparameters = {
        "sagemaker_program": "train.py",
        "sagemaker_submit_directory": f"s3://{bucket}/code/sourcedir.tar.gz",
        "sagemaker_torch_distributed_enabled": launcher == "torchrun",
    }
    job = train(
        TORCHRUN if launcher == "torchrun" else FIXED_PORT.replace("PORT", str(free_port())),
        ResourceConfig=TWO_HOSTS,
        HyperParameters={key: json.dumps(value) for key, value in hyperparameters.items()},
        StoppingCondition={"MaxRuntimeInSeconds": 300},
    )
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    assert read_archive(job["ModelArtifacts"]["S3ModelArtifacts"]) == {"algo-1": "3.0", "algo-2": "3.0"}


def test_a_script_still_calls_the_local_aws(
    train: Callable[..., Any], aws: LocalAws, bucket: str, read_archive: Callable[[str], dict[str, str]]
) -> None:
    aws.client("s3").put_object(Bucket=bucket, Key="labels.txt", Body=b"cat, dog")
    script = f"""
import boto3
boto3.client("s3").download_file({bucket!r}, "labels.txt", "/opt/ml/model/labels.txt")
"""
    job = train(script)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    assert read_archive(job["ModelArtifacts"]["S3ModelArtifacts"]) == {"labels.txt": "cat, dog"}


def test_a_processing_job_has_its_own_folder(
    aws: LocalAws,
    name: str,
    bucket: str,
    sagemaker_role: str,
    training_image: str,
) -> None:
    """The script's own text says /opt/ml/processing, which nobody can replace."""
    s3, sagemaker = aws.client("s3"), aws.client("sagemaker")
    script = (
        "import pathlib\n"
        "text = pathlib.Path('/opt/ml/processing/' 'input/a.txt').read_text()\n"
        "pathlib.Path('/opt/ml/processing/output/b.txt').write_text(text.upper())\n"
    )
    for key, body in (("in/a.txt", "text"), ("code/run.py", script)):
        s3.put_object(Bucket=bucket, Key=key, Body=body.encode())
    s3_input = {"S3DataType": "S3Prefix", "S3InputMode": "File"}
    sagemaker.create_processing_job(
        ProcessingJobName=name,
        AppSpecification={
            "ImageUri": training_image,
            "ContainerEntrypoint": ["python", "/opt/ml/processing/code/run.py"],
        },
        ProcessingResources={
            "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}
        },
        RoleArn=sagemaker_role,
        ProcessingInputs=[
            {
                "InputName": folder,
                "S3Input": s3_input
                | {"S3Uri": f"s3://{bucket}/{prefix}/", "LocalPath": f"/opt/ml/processing/{folder}"},
            }
            for folder, prefix in (("input", "in"), ("code", "code"))
        ],
        ProcessingOutputConfig={
            "Outputs": [
                {
                    "OutputName": "out",
                    "S3Output": {
                        "S3Uri": f"s3://{bucket}/out",
                        "LocalPath": "/opt/ml/processing/output",
                        "S3UploadMode": "EndOfJob",
                    },
                }
            ]
        },
    )

    def ended() -> Any:
        job = sagemaker.describe_processing_job(ProcessingJobName=name)
        return job if job["ProcessingJobStatus"] != "InProgress" else None

    job = wait_for(ended)
    assert job["ProcessingJobStatus"] == "Completed", job.get("FailureReason")
    assert s3.get_object(Bucket=bucket, Key="out/b.txt")["Body"].read() == b"TEXT"
    assert not os.path.exists("/opt/ml/processing")
