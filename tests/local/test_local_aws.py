import json
import os
import re
import signal
import socket
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import boto3
import psutil
import pytest

from cdk_sagemaker_pytorch.local import CdkError, LocalAws, LocalAwsError, LocalAwsWarning
from waiting import wait_for

pytestmark = pytest.mark.local

APP = """
import os
from aws_cdk import App, CfnOutput, CustomResource, NestedStack, RemovalPolicy, Stack
from aws_cdk import aws_lambda as lambda_, aws_logs as logs, aws_s3 as s3, aws_sns as sns
from aws_cdk import aws_s3_deployment as deployment

CODE = '''
import cfnresponse
def handler(event, context):
    properties = event["ResourceProperties"]
    status = "FAILED" if properties["Fail"] == "true" else "SUCCESS"
    data = {"Saw": event["RequestType"] + properties["Version"]}
    cfnresponse.send(event, context, status, data, "id", reason="as asked")
'''
app = App()
stack = Stack(app, "Small")
bucket = s3.Bucket(stack, "Bucket", removal_policy=RemovalPolicy.DESTROY, auto_delete_objects=True)
function = lambda_.Function(
    stack,
    "Function",
    code=lambda_.Code.from_inline(CODE),
    handler="index.handler",
    runtime=lambda_.Runtime.PYTHON_3_13,
)
custom = CustomResource(
    stack,
    "Custom",
    service_token=function.function_arn,
    properties={"Version": os.environ["VERSION"], "Fail": os.environ["VERSION"] == "bad"},
)
topic = sns.Topic(NestedStack(stack, "Nested"), "Topic", display_name=bucket.bucket_name)
deployment.BucketDeployment(
    stack,
    "Files",
    sources=[deployment.Source.data("greeting.txt", "from " + os.environ["VERSION"])],
    destination_bucket=bucket,
    destination_key_prefix="files",
)
logs.LogRetention(stack, "Retention", log_group_name="/small", retention=logs.RetentionDays.ONE_DAY)
CfnOutput(stack, "BucketName", value=bucket.bucket_name)
CfnOutput(stack, "TopicArn", value=topic.topic_arn)
CfnOutput(stack, "Saw", value=custom.get_att_string("Saw"))
app.synth()
"""

PARENT = """
import io, json, time, zipfile
from cdk_sagemaker_pytorch.local import LocalAws

code = io.BytesIO()
with zipfile.ZipFile(code, "w") as archive:
    archive.writestr("index.py", "import time\\ndef handler(event, context): time.sleep(600)")
trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
with LocalAws() as aws:
    role = aws.client("iam").create_role(
        RoleName="r", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    )["Role"]["Arn"]
    functions = aws.client("lambda")
    functions.create_function(
        FunctionName="sleeper", Role=role, Runtime="python3.13", Handler="index.handler", Timeout=900,
        Code={"ZipFile": code.getvalue()},
    )
    functions.invoke(FunctionName="sleeper", InvocationType="Event")
    print(aws.directory, aws.endpoint_url, flush=True)
    time.sleep(600)
"""


def test_programs_are_pointed_at_it(aws: LocalAws) -> None:
    environment = aws.environment
    assert environment["AWS_ENDPOINT_URL"] == environment["AWS_ENDPOINT_URL_S3"] == aws.endpoint_url
    assert environment["AWS_CONFIG_FILE"] == environment["AWS_SHARED_CREDENTIALS_FILE"] == os.devnull
    assert environment["AWS_REGION"] == environment["AWS_DEFAULT_REGION"] == "us-east-1"
    assert environment["AWS_DISABLE_HOST_PREFIX_INJECTION"] == "true"
    program = "import boto3; print(boto3.client('sts').get_caller_identity()['Account'])"
    run = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.strip() == "123456789012"


def test_everything_listens_on_loopback_only(aws: LocalAws) -> None:
    port = int(aws.endpoint_url.rsplit(":", 1)[1])
    listening = [c for c in psutil.net_connections("tcp") if c.status == "LISTEN" and c.laddr.port == port]
    assert [connection.laddr.ip for connection in listening] == ["127.0.0.1"]


def test_two_run_side_by_side_and_leave_nothing(aws: LocalAws, children: Callable[[Path], list[str]]) -> None:
    with LocalAws(region="eu-west-1", account="000000000042") as other:
        directory, port = other.directory, int(other.endpoint_url.rsplit(":", 1)[1])
        other.client("s3").create_bucket(
            Bucket="only-there", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
        )
        assert other.client("sts").get_caller_identity()["Account"] == "000000000042"
        assert "only-there" not in str(aws.client("s3").list_buckets()["Buckets"])
        assert children(directory)
    assert not directory.exists()
    assert not children(directory)
    assert not _is_open(port)


def test_logs_stay_in_a_given_directory(tmp_path: Path) -> None:
    with LocalAws(tmp_path / "kept") as aws:
        assert aws.logs_directory == tmp_path / "kept" / "logs"
    assert "listening on http://127.0.0.1:" in (tmp_path / "kept" / "logs" / "server.log").read_text()


def test_fails_when_the_port_is_in_use(aws: LocalAws) -> None:
    port = int(aws.endpoint_url.rsplit(":", 1)[1])
    with pytest.raises(LocalAwsError, match=rf"port {port} cannot be used \(Address already in use\)"):
        LocalAws(port=port).start()


def test_fails_when_the_account_is_no_account() -> None:
    with pytest.raises(ValueError, match="account must have 12 digits, got 'me'"):
        LocalAws(account="me")


def test_fails_when_it_is_not_started() -> None:
    for use in (lambda: LocalAws().client("s3"), lambda: LocalAws().environment):
        with pytest.raises(LocalAwsError, match="not started"):
            use()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="orphans are adopted on Linux only")
def test_nothing_is_left_when_the_parent_is_killed(children: Callable[[Path], list[str]]) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    folder, endpoint_url = parent.stdout.readline().split()
    directory, port = Path(folder), int(endpoint_url.rsplit(":", 1)[1])
    # The server's process and, below it, the function's.
    wait_for(lambda: any("lambda_runtime.py" in command for command in children(directory)))
    assert directory.is_dir()
    assert _is_open(port)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    wait_for(lambda: not children(directory) and not _is_open(port) and not directory.exists())


def test_by_hand_it_prints_the_environment_and_ends_with_sigterm(
    tmp_path: Path, children: Callable[[Path], list[str]]
) -> None:
    command = [sys.executable, "-m", "cdk_sagemaker_pytorch.local", "--directory", str(tmp_path / "d")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = []
        while not (lines and lines[-1].startswith("# logs:")):
            lines.append(process.stdout.readline())
        assert lines[0] == "unset AWS_PROFILE AWS_DEFAULT_PROFILE AWS_SESSION_TOKEN\n"
        exports = dict(re.findall(r"export (\w+)=(\S+)", "".join(lines)))
        client = boto3.client(
            "s3",
            endpoint_url=exports["AWS_ENDPOINT_URL"],
            aws_access_key_id=exports["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=exports["AWS_SECRET_ACCESS_KEY"],
            region_name=exports["AWS_REGION"],
        )
        assert client.list_buckets()["Buckets"] == []
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert not children(tmp_path / "d")


def test_by_hand_a_port_in_use_is_a_clear_error(aws: LocalAws) -> None:
    port = aws.endpoint_url.rsplit(":", 1)[1]
    run = subprocess.run(
        [sys.executable, "-m", "cdk_sagemaker_pytorch.local", "--port", port], capture_output=True, text=True
    )
    assert run.returncode == 1
    assert run.stderr.startswith(f"error: port {port} cannot be used")


def test_the_real_cdk_cli_deploys_updates_rolls_back_and_destroys(aws: LocalAws, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP)

    def synthesize(version: str) -> Path:
        out = tmp_path / version
        environment = os.environ | {"CDK_OUTDIR": str(out), "VERSION": version}
        subprocess.run([sys.executable, tmp_path / "app.py"], env=environment, check=True)
        return out

    with warnings.catch_warnings(action="error", category=LocalAwsWarning):
        outputs = aws.deploy(synthesize("1"))["Small"]
    assert outputs["Saw"] == "Create1"
    attributes = aws.client("sns").get_topic_attributes(TopicArn=outputs["TopicArn"])["Attributes"]
    assert attributes["DisplayName"] == outputs["BucketName"]  # made in the stack within the stack
    groups = aws.client("logs").describe_log_groups(logGroupNamePrefix="/small")["logGroups"]
    assert [group["retentionInDays"] for group in groups] == [1]
    s3 = aws.client("s3")
    s3.put_object(Bucket=outputs["BucketName"], Key="k", Body=b"stays until the stack goes")

    def greeting() -> bytes:
        """What the CDK's own function put there, by the AWS CLI in its layer."""
        body: bytes = s3.get_object(Bucket=outputs["BucketName"], Key="files/greeting.txt")["Body"].read()
        return body

    assert greeting() == b"from 1"

    second = synthesize("2")
    assert aws.deploy(second, "Small")["Small"] == {**outputs, "Saw": "Update2"}
    assert greeting() == b"from 2"

    with pytest.raises(CdkError, match="as asked") as failure:
        aws.deploy(synthesize("bad"))
    assert failure.value.returncode != 0
    assert "UPDATE_FAILED" in failure.value.output
    assert _status(aws, "Small") == "UPDATE_ROLLBACK_COMPLETE"
    assert s3.get_object(Bucket=outputs["BucketName"], Key="k")["Body"].read()

    aws.destroy(second)
    assert outputs["BucketName"] not in str(s3.list_buckets()["Buckets"])
    assert outputs["TopicArn"] not in str(aws.client("sns").list_topics()["Topics"])
    # By the CDK's own function, a Node.js program.
    log = next((aws.logs_directory / "lambda").glob("Small-CustomS3AutoDelete*"))
    wait_for(lambda: "Delete" in log.read_text())


def test_waits_are_shortened_and_quotas_hold_on_request(training_image: str) -> None:
    trust = {"Effect": "Allow", "Principal": {"Service": "states.amazonaws.com"}, "Action": "sts:AssumeRole"}
    look = {
        "Type": "Task",
        "Resource": "arn:aws:states:::aws-sdk:s3:headBucket",
        "Arguments": {"Bucket": "no-such-bucket"},
        "Retry": [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 10**6, "MaxAttempts": 2}],
        "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Wait"}],
        "End": True,
    }
    wait = {"Type": "Wait", "Seconds": 10**6, "End": True}
    definition = {"QueryLanguage": "JSONata", "StartAt": "Look", "States": {"Look": look, "Wait": wait}}
    with LocalAws(wait_factor=0, quotas={"ml.m5.large for training job usage": 0}) as aws:
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        role = aws.client("iam").create_role(RoleName="states", AssumeRolePolicyDocument=document)["Role"]
        trust["Principal"]["Service"] = "sagemaker.amazonaws.com"
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        trainer = aws.client("iam").create_role(RoleName="trains", AssumeRolePolicyDocument=document)["Role"]
        sagemaker = aws.client("sagemaker")
        with pytest.raises(sagemaker.exceptions.ResourceLimitExceeded, match="is 0 Instances"):
            sagemaker.create_training_job(
                TrainingJobName="too-many",
                AlgorithmSpecification={"TrainingImage": training_image, "TrainingInputMode": "File"},
                RoleArn=trainer["Arn"],
                OutputDataConfig={"S3OutputPath": "s3://bucket/out"},
                ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
                StoppingCondition={"MaxRuntimeInSeconds": 600},
            )
        assert sagemaker.list_training_jobs()["TrainingJobSummaries"] == []

        machines = aws.client("stepfunctions")
        machine = machines.create_state_machine(
            name="waits", definition=json.dumps(definition), roleArn=role["Arn"]
        )
        execution = machines.start_execution(stateMachineArn=machine["stateMachineArn"])["executionArn"]
        wait_for(lambda: machines.describe_execution(executionArn=execution)["status"] == "SUCCEEDED")
        events = machines.get_execution_history(executionArn=execution)["events"]
        assert [event["type"] for event in events].count("TaskFailed") == 3


@pytest.mark.parametrize("factor", [-0.1, 1.5, float("nan")])
def test_fails_when_the_wait_factor_would_lengthen(factor: float) -> None:
    with pytest.raises(ValueError, match="wait_factor must be between 0 and 1"):
        LocalAws(wait_factor=factor)


def test_fails_when_the_app_is_not_synthesized(aws: LocalAws, tmp_path: Path) -> None:
    with pytest.raises(LocalAwsError, match="folder of a synthesized app or a command, got"):
        aws.deploy(tmp_path)


def _status(aws: LocalAws, stack: str) -> str:
    return str(aws.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"])


def _is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
