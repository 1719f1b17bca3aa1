from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cdk_sagemaker_pytorch.local import LocalAws
from waiting import wait_for

pytestmark = pytest.mark.local

Process = Callable[..., dict[str, Any]]


@pytest.fixture
def process(aws: LocalAws, name: str, sagemaker_role: str, training_image: str) -> Process:
    """Run a processing job with this script to its end, and return its description."""

    def run(script: str, *arguments: str, wait: bool = True, **changes: Any) -> dict[str, Any]:
        specification: dict[str, Any] = {
            "ImageUri": training_image,
            "ContainerEntrypoint": ["bash", "-c", script, "script"],
        }
        if arguments:
            specification["ContainerArguments"] = list(arguments)
        request = {
            "ProcessingJobName": name,
            "AppSpecification": specification,
            "ProcessingResources": {
                "ClusterConfig": {
                    "InstanceCount": 1,
                    "InstanceType": "ml.m5.large",
                    "VolumeSizeInGB": 1,
                }
            },
            "RoleArn": sagemaker_role,
        } | changes
        sagemaker = aws.client("sagemaker")
        sagemaker.create_processing_job(**request)

        def ended() -> dict[str, Any] | None:
            job: dict[str, Any] = sagemaker.describe_processing_job(ProcessingJobName=name)
            return job if job["ProcessingJobStatus"] in ("Completed", "Failed", "Stopped") else None

        if not wait:
            return dict(sagemaker.describe_processing_job(ProcessingJobName=name))
        return dict(wait_for(ended))

    return run


def test_inputs_are_there_and_outputs_are_uploaded(
    aws: LocalAws, process: Process, bucket: str, name: str, log_lines: Callable[[str], list[str]]
) -> None:
    s3 = aws.client("s3")
    s3.put_object(Bucket=bucket, Key="in/a.txt", Body=b"text")
    job = process(
        'tr a-z A-Z < /opt/ml/processing/input/a.txt > "$1" && echo "$WHO is done"',
        "/opt/ml/processing/output/b.txt",
        Environment={"WHO": "the job"},
        ProcessingInputs=[
            {
                "InputName": "in",
                "S3Input": {
                    "S3Uri": f"s3://{bucket}/in/",
                    "LocalPath": "/opt/ml/processing/input",
                    "S3DataType": "S3Prefix",
                    "S3InputMode": "File",
                },
            }
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
    assert job["ProcessingJobStatus"] == "Completed"
    assert job["ProcessingStartTime"] <= job["ProcessingEndTime"]
    assert s3.get_object(Bucket=bucket, Key="out/b.txt")["Body"].read() == b"TEXT"
    assert "the job is done" in log_lines("/aws/sagemaker/ProcessingJobs")
    (summary,) = aws.client("sagemaker").list_processing_jobs(NameContains=name)["ProcessingJobSummaries"]
    assert summary["ProcessingJobStatus"] == "Completed"


def test_a_job_that_fails_says_why(process: Process) -> None:
    job = process("echo 'no such model' > /opt/ml/output/message; exit 3")
    assert job["ProcessingJobStatus"] == "Failed"
    assert job["FailureReason"] == "AlgorithmError: See job logs for more information, exit code: 3"
    assert job["ExitMessage"] == "no such model\n"


def test_a_job_is_stopped_after_its_time(process: Process) -> None:
    job = process("sleep 600", StoppingCondition={"MaxRuntimeInSeconds": 1})
    assert job["ProcessingJobStatus"] == "Failed"
    assert "MaxRuntimeExceeded" in job["FailureReason"]


def test_a_job_can_be_stopped(aws: LocalAws, process: Process, name: str) -> None:
    process("sleep 600", wait=False)
    sagemaker = aws.client("sagemaker")
    sagemaker.stop_processing_job(ProcessingJobName=name)

    def status() -> str:
        found: str = sagemaker.describe_processing_job(ProcessingJobName=name)["ProcessingJobStatus"]
        return found

    wait_for(lambda: status() == "Stopped")
    with pytest.raises(ClientError, match="is in status Stopped"):
        sagemaker.stop_processing_job(ProcessingJobName=name)


def test_fails_when_an_input_has_no_objects(process: Process, bucket: str) -> None:
    source = {"S3Uri": f"s3://{bucket}/nothing/", "LocalPath": "/opt/ml/processing/input"}
    job = process(
        "true",
        ProcessingInputs=[
            {
                "InputName": "in",
                "S3Input": source | {"S3DataType": "S3Prefix", "S3InputMode": "File"},
            }
        ],
    )
    assert job["ProcessingJobStatus"] == "Failed"
    assert f"no S3 objects found under s3://{bucket}/nothing/" in job["FailureReason"]


def test_fails_when_the_local_aws_cannot_run_it(process: Process, inference_image: str) -> None:
    with pytest.raises(ClientError) as raised:
        process(
            "true",
            AppSpecification={"ImageUri": inference_image, "ContainerEntrypoint": ["no-such-program"]},
        )
    message = raised.value.response["Error"]["Message"]
    assert "ImageUri must be one of AWS's PyTorch training images" in message
    assert "ContainerEntrypoint must begin with a program of this machine, got no-such-program" in message


def test_fails_when_the_name_is_taken(process: Process) -> None:
    process("true")
    with pytest.raises(ClientError, match="Processing job names must be unique"):
        process("true")
