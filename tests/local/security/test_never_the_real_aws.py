"""Whatever this machine's configuration says, nothing that runs here asks another AWS, or anybody else."""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cdk_sagemaker_pytorch.local import LocalAws

pytestmark = pytest.mark.local

# Says in each Python program to whom it connects. Loopback has other addresses than the one of the local AWS;
# none of them counts as this machine's own.
SITE = """
import os, sys
def hook(event, arguments):
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        with open(os.environ["CONNECTIONS"], "a") as file:
            print(os.path.basename(sys.argv[0]) if hasattr(sys, "argv") else "?", arguments[1][0], file=file)
sys.addaudithook(hook)
"""
NODE = """
const net = require("net"), fs = require("fs");
const connect = net.Socket.prototype.connect;
net.Socket.prototype.connect = function (...given) {
  let options = given[0];
  if (Array.isArray(options)) options = options[0];
  const named = typeof options === "object" ? options.path || options.host : given[1];
  const host = named || "localhost";
  fs.appendFileSync(process.env.CONNECTIONS, `node ${host}\\n`);
  return connect.apply(this, given);
};
"""
# Writes the app's cloud assembly, and asks who it is.
APP = """
import json, os, pathlib, boto3
assert boto3.client("sts").get_caller_identity()["Account"] == os.environ["CDK_DEFAULT_ACCOUNT"]
out = pathlib.Path(os.environ["CDK_OUTDIR"])
template = {"Resources": {"Bucket": {"Type": "AWS::S3::Bucket"}}}
(out / "t.json").write_text(json.dumps(template))
stack = {
    "type": "aws:cloudformation:stack",
    "environment": "aws://unknown-account/unknown-region",
    "properties": {"templateFile": "t.json"},
}
(out / "manifest.json").write_text(json.dumps({"version": "48.0.0", "artifacts": {"Poisoned": stack}}))
"""
ASK = f"""{SITE}
import boto3, json
def handler(event, context):
    return boto3.client("sts").get_caller_identity()["Arn"] + boto3.client("s3").list_buckets()["Owner"]["ID"]
"""
TRAIN = f"""{SITE}
import boto3
print("i am", boto3.client("sts").get_caller_identity()["Arn"])
boto3.client("s3").list_buckets()
"""
SERVE = f"""{SITE}
import boto3
def model_fn(model_dir): return boto3.client("sts").get_caller_identity()["Arn"]
def input_fn(body, content_type): return body
def predict_fn(data, model): return model
def output_fn(prediction, accept): return prediction
"""
# Deploys, trains, runs a function, and talks to services from here.
PROGRAM = """
import io, json, os, sys, tarfile, time, zipfile
from cdk_sagemaker_pytorch.local import LocalAws
poison = json.loads(os.environ["POISON"])
with LocalAws(sys.argv[1]) as aws:
    aws.deploy([sys.executable, "app.py"], env=poison)
    s3, iam = aws.client("s3"), aws.client("iam")
    s3.create_bucket(Bucket="bucket")
    trust = {"Effect": "Allow", "Principal": {"Service": ["lambda.amazonaws.com", "sagemaker.amazonaws.com"]},
             "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    role = iam.create_role(RoleName="r", AssumeRolePolicyDocument=document)["Role"]["Arn"]
    iam.put_role_policy(RoleName="r", PolicyName="p", PolicyDocument=json.dumps(
        {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}))
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("index.py", os.environ["ASK"])
    functions = aws.client("lambda")
    keys = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"}  # which Lambda refuses
    functions.create_function(FunctionName="f", Role=role, Runtime="python3.13", Handler="index.handler",
        Timeout=60, Code={"ZipFile": code.getvalue()},
        Environment={"Variables": {name: value for name, value in poison.items() if name not in keys}})
    print(functions.invoke(FunctionName="f")["Payload"].read().decode())
    def put(key, name, text):
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w:gz") as tar:
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
        s3.put_object(Bucket="bucket", Key=key, Body=archive.getvalue())
        return f"s3://bucket/{key}"
    submitted = put("code.tar.gz", "train.py", os.environ["TRAIN"])
    parameters = {"sagemaker_program": "train.py", "sagemaker_submit_directory": submitted}
    image = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch:2.13.0-cpu-amzn2023-sagemaker"
    sagemaker = aws.client("sagemaker")
    sagemaker.create_training_job(TrainingJobName="job", RoleArn=role, Environment=poison,
        AlgorithmSpecification={"TrainingImage": image, "TrainingInputMode": "File"},
        HyperParameters={name: json.dumps(value) for name, value in parameters.items()},
        OutputDataConfig={"S3OutputPath": "s3://bucket/out"}, StoppingCondition={"MaxRuntimeInSeconds": 600},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1})
    look = lambda: sagemaker.describe_training_job(TrainingJobName="job")
    while (job := look())["TrainingJobStatus"] == "InProgress":
        time.sleep(0.1)
    print(job["TrainingJobStatus"], job.get("FailureReason"))
    print((aws.logs_directory / "training" / "job" / "algo-1.log").read_text())
    folder = "/opt/ml/processing/input/code"
    aws.client("s3").put_object(Bucket="bucket", Key="probe/probe.py", Body=os.environ["TRAIN"].encode())
    sagemaker.create_processing_job(ProcessingJobName="job", RoleArn=role, Environment=poison,
        AppSpecification={"ImageUri": image, "ContainerEntrypoint": ["python3", f"{folder}/probe.py"]},
        ProcessingInputs=[{"InputName": "code", "S3Input": {"S3Uri": "s3://bucket/probe", "LocalPath": folder,
            "S3DataType": "S3Prefix", "S3InputMode": "File"}}],
        ProcessingResources={"ClusterConfig":
            {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1}})
    look = lambda: sagemaker.describe_processing_job(ProcessingJobName="job")
    while (job := look())["ProcessingJobStatus"] == "InProgress":
        time.sleep(0.1)
    print("processing:", job["ProcessingJobStatus"], job.get("FailureReason"))
    container = {"Image": image.replace(":2.13.0-cpu-amzn2023-sagemaker", "-inference:2.6.0-cpu-py312"),
        "ModelDataUrl": put("model.tar.gz", "code/inference.py", os.environ["SERVE"]),
        "Environment": poison | {"SAGEMAKER_PROGRAM": "inference.py",
            "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code"}}
    sagemaker.create_model(ModelName="m", ExecutionRoleArn=role, PrimaryContainer=container)
    sagemaker.create_endpoint_config(EndpointConfigName="m", ProductionVariants=[{"VariantName": "v",
        "ModelName": "m", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}])
    sagemaker.create_endpoint(EndpointName="m", EndpointConfigName="m")
    look = lambda: sagemaker.describe_endpoint(EndpointName="m")
    while look()["EndpointStatus"] == "Creating":
        time.sleep(0.1)
    answer = aws.client("sagemaker-runtime").invoke_endpoint(EndpointName="m", Body=b"x")
    print("endpoint:", answer["Body"].read().decode())
    aws.destroy([sys.executable, "app.py"], env=poison)
"""


@pytest.fixture
def trap() -> Iterator[tuple[str, list[bytes]]]:
    """A listener on another loopback address, for all that should not be asked; and what it got."""
    got: list[bytes] = []
    with socket.socket() as listener:
        listener.bind(("127.0.0.9", 0))
        listener.listen()

        def listen() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.settimeout(1)
                    try:
                        got.append(connection.recv(200))
                    except OSError as error:
                        got.append(str(error).encode())

        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        yield f"http://127.0.0.9:{listener.getsockname()[1]}", got
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.fixture
def poisoned(tmp_path: Path, trap: tuple[str, list[bytes]]) -> tuple[dict[str, str], dict[str, str]]:
    """Variables of a machine that lead everything to the trap, and those an app could give to its own."""
    url, home = trap[0], tmp_path / "home"
    project = tmp_path / "project"
    for folder in (home / ".aws" / "sso" / "cache", project, tmp_path / "site"):
        folder.mkdir(parents=True)
    program = f"{sys.executable} -c \"import urllib.request; urllib.request.urlopen('{url}')\""
    profile = f"""
region = nowhere-1
credential_process = {program}
endpoint_url = {url}
ignore_configured_endpoint_urls = true
use_fips_endpoint = true
use_dualstack_endpoint = true
ca_bundle = /nowhere
sso_session = corp
sso_account_id = 111111111111
sso_role_name = Admin
services = closed
"""
    more = f"""
[sso-session corp]
sso_region = us-east-1
sso_start_url = {url}
[services closed]
s3 =
  endpoint_url = {url}
sts =
  endpoint_url = {url}
"""
    (home / ".aws" / "config").write_text(f"[default]{profile}[profile prod]{profile}{more}")
    (home / ".aws" / "credentials").write_text(f"[default]{profile}[prod]{profile}")
    (home / ".aws" / "sso" / "cache" / "x.json").write_text(json.dumps({"startUrl": url, "accessToken": "t"}))
    settings = {"profile": "prod", "proxy": url, "caBundlePath": "/nowhere", "toolkitStackName": "CDKToolkit"}
    for file in (home / ".cdk.json", project / "cdk.json"):
        file.write_text(json.dumps(settings))
    (project / "app.py").write_text(APP)
    (tmp_path / "site" / "sitecustomize.py").write_text(SITE)
    (tmp_path / "node.js").write_text(NODE)
    services = ("S3", "STS", "CLOUDFORMATION", "SSM", "ECR", "IAM", "LAMBDA", "SAGEMAKER", "LOGS", "SFN")
    leads = {
        "AWS_PROFILE": "unknown",
        "AWS_DEFAULT_PROFILE": "unknown",
        "AWS_CONFIG_FILE": str(home / ".aws" / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(home / ".aws" / "credentials"),
        "AWS_SDK_LOAD_CONFIG": "1",
        "AWS_ENDPOINT_URL": url,
        **{f"AWS_ENDPOINT_URL_{service}": url for service in services},
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
        "AWS_USE_FIPS_ENDPOINT": "true",
        "AWS_USE_DUALSTACK_ENDPOINT": "true",
        "AWS_CA_BUNDLE": "/nowhere",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{url}/credentials",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/credentials",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN": "t",
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(home / ".cdk.json"),
        "AWS_ROLE_ARN": "arn:aws:iam::111111111111:role/Admin",
        "AWS_EC2_METADATA_DISABLED": "false",
        "AWS_EC2_METADATA_SERVICE_ENDPOINT": url,
        "AWS_ACCESS_KEY_ID": "AKIAREAL",
        "AWS_SECRET_ACCESS_KEY": "real",
        "AWS_SESSION_TOKEN": "real",
    }
    proxies = {
        name: url for way in ("HTTP", "HTTPS", "ALL") for name in (f"{way}_PROXY", f"{way.lower()}_proxy")
    }
    machine = {
        **leads,
        **proxies,
        "HOME": str(home),
        "NO_PROXY": "internal.example",
        "NODE_OPTIONS": f"--require {tmp_path / 'node.js'}",
        "CONNECTIONS": str(tmp_path / "connections"),
        "PYTHONPATH": os.pathsep.join([str(tmp_path / "site"), *filter(None, sys.path)]),
    }
    return machine, leads | proxies


def test_nothing_leaves_loopback_whatever_is_configured(
    tmp_path: Path, trap: tuple[str, list[bytes]], poisoned: tuple[dict[str, str], dict[str, str]]
) -> None:
    machine, leads = poisoned
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    texts = {"ASK": ASK, "TRAIN": TRAIN, "SERVE": SERVE, "POISON": json.dumps(leads)}
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, tmp_path / "aws"],
        cwd=tmp_path / "project",
        env=kept | machine | texts,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    assert ":assumed-role/r/f" in run.stdout
    assert "Completed None" in run.stdout
    assert "processing: Completed None" in run.stdout
    assert "endpoint: arn:aws:sts::123456789012:assumed-role/r/SageMaker" in run.stdout
    assert "i am arn:aws:sts::123456789012:assumed-role/r/SageMaker" in run.stdout
    assert trap[1] == []
    connections = (tmp_path / "connections").read_text().splitlines()
    assert {line.rpartition(" ")[2] for line in connections} <= {"127.0.0.1", "localhost"}
    # Both ways of looking have seen what there was to see.
    assert {line.partition(" ")[0] for line in connections} >= {
        "node",
        "-c",
        "app.py",
        "lambda_runtime.py",
        "train.py",
        "application.py",
        "asgi_host.py",
    }


def test_the_trap_catches(
    trap: tuple[str, list[bytes]], poisoned: tuple[dict[str, str], dict[str, str]]
) -> None:
    """Without the local AWS, the same machine leads a program into it."""
    ask = "import boto3; boto3.client('s3', region_name='us-east-1').list_buckets()"
    names = ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE")
    env = {name: value for name, value in poisoned[0].items() if name not in names}
    env = {name: value for name, value in env.items() if "PROFILE" not in name and "CA_BUNDLE" not in name}
    subprocess.run([sys.executable, "-c", ask], env=os.environ | env, capture_output=True)
    assert trap[1]


@pytest.mark.parametrize(
    "set_up", [lambda aws: aws.client("s3"), lambda aws: aws.session().resource("s3").meta.client]
)
def test_clients_of_this_process_ask_no_proxy(
    aws: LocalAws,
    trap: tuple[str, list[bytes]],
    set_up: Callable[[LocalAws], object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, trap[0])
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    set_up(aws).list_buckets()  # type: ignore[attr-defined]
    assert trap[1] == []


def test_the_environment_for_other_programs_asks_no_proxy(
    aws: LocalAws, trap: tuple[str, list[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "internal.example")
    variables = aws.environment | {"HTTP_PROXY": trap[0], "http_proxy": trap[0]}
    ask = "import boto3; print(boto3.client('sts').get_caller_identity()['Arn'])"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    run = subprocess.run([sys.executable, "-c", ask], env=kept | variables, capture_output=True, text=True)
    assert ":user/" in run.stdout or ":sts:" in run.stdout
    assert trap[1] == []
    assert variables["NO_PROXY"] == variables["no_proxy"] == "127.0.0.1,localhost,internal.example"
