"""A folder of one's own: closed to others, and fit to be used again."""

import os
import signal
import stat
from pathlib import Path

import psutil
import pytest

from cdk_sagemaker_pytorch.local import LocalAws, LocalAwsError
from cdk_sagemaker_pytorch.local.server import local_aws
from waiting import wait_for

pytestmark = pytest.mark.local


def run_job(aws: LocalAws, image: str) -> str:
    """Run a job that fails where something of its name is left; return how it ended."""
    trust = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": '
    trust += '{"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}]}'
    role = aws.client("iam").create_role(RoleName="r", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    sagemaker = aws.client("sagemaker")
    sagemaker.create_processing_job(
        ProcessingJobName="job",
        ProcessingResources={
            "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}
        },
        AppSpecification={
            "ImageUri": image,
            "ContainerEntrypoint": ["sh", "-c", "set -C; mkdir -p /opt/ml/x; echo 1 > /opt/ml/x/file"],
        },
        RoleArn=role,
    )
    look = lambda: sagemaker.describe_processing_job(ProcessingJobName="job")  # noqa: E731
    return str(
        wait_for(lambda: (job := look())["ProcessingJobStatus"] != "InProgress" and job)[
            "ProcessingJobStatus"
        ]
    )


def test_a_folder_can_be_used_again_after_any_end(tmp_path: Path, training_image: str) -> None:
    folder = tmp_path / "folder"
    with LocalAws(folder) as aws:
        assert run_job(aws, training_image) == "Completed"
    with LocalAws(folder) as aws:
        assert run_job(aws, training_image) == "Completed"
        # Now without a word: everything is killed at once.
        assert aws._process is not None
        for process in [
            psutil.Process(aws._process.pid),
            *psutil.Process(aws._process.pid).children(recursive=True),
        ]:
            os.kill(process.pid, signal.SIGKILL)
    with LocalAws(folder) as aws:
        assert run_job(aws, training_image) == "Completed"


def test_what_others_could_read_is_closed(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    for name in ("", *local_aws._FOLDERS):
        (folder / name).mkdir(exist_ok=True)
        (folder / name).chmod(0o755)
    with LocalAws(folder):
        for name in local_aws._FOLDERS:
            assert stat.S_IMODE((folder / name).stat().st_mode) == 0o700
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755  # the user's own business


def test_fails_when_a_link_is_laid_where_it_writes(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "logs").symlink_to(tmp_path)
    with pytest.raises(LocalAwsError, match="logs must be a folder of your own"):
        LocalAws(folder).start()
    assert not (tmp_path / "server.log").exists()


def test_fails_when_another_one_uses_the_folder(aws: LocalAws) -> None:
    with pytest.raises(LocalAwsError, match="is used by another local AWS"):
        LocalAws(aws.directory).start()
    aws.client("s3").list_buckets()
