"""What listens while everything runs: on loopback alone, and to the local AWS alone."""

import contextlib
import http.client
import json
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import grpc
import psutil
import pytest

from cdk_sagemaker_pytorch.local import LocalAws
from waiting import wait_for

pytestmark = pytest.mark.local

RAY_IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/ray:serve-ml-sagemaker-cpu-v1"
# As models are set up: HAProxy in front of replicas that listen themselves.
HAPROXY = {"RAY_SERVE_ENABLE_HA_PROXY": "1", "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1"} | {
    "RAY_SERVE_HAPROXY_MAXCONN": "2000"
}
HANDLERS = """
def model_fn(model_dir): return 0
def input_fn(body, content_type): return body
def predict_fn(data, model): return data
def output_fn(prediction, accept): return prediction
"""
RAY_APP = """
from ray import serve

@serve.deployment
class Echo:
    async def __call__(self, request):
        return (await request.body()).decode()

app = Echo.bind()
"""
# Opens what gloo opens, and stays until it is told to go.
TRAIN = """
import os, time
import torch, torch.distributed as dist

dist.init_process_group("gloo")
dist.all_reduce(torch.ones(1))
print("is running", flush=True)
while not os.path.exists({flag!r}):
    time.sleep(0.05)
"""
# Stays until its event's file is there, with the function's secrets in its environment.
FUNCTION = """
import os, time
def handler(event, context):
    open(event["running"], "w").close()
    while not os.path.exists(event["flag"]):
        time.sleep(0.05)
"""
# Calls of Ray's servers that hand over what they know, or run what they get.
RPC = [
    "/ray.rpc.NodeInfoGcsService/GetAllNodeInfo",
    "/ray.rpc.JobInfoGcsService/GetAllJobInfo",
    "/ray.rpc.InternalKVGcsService/InternalKVKeys",
    "/ray.rpc.NodeManagerService/GetNodeStats",
    "/ray.rpc.NodeManagerService/RequestWorkerLease",
    "/ray.rpc.ObjectManagerService/Push",
    "/ray.rpc.CoreWorkerService/GetCoreWorkerStats",
    "/ray.rpc.CoreWorkerService/PushTask",
    "/ray.rpc.ReporterService/GetTraceback",
    "/ray.rpc.MetricsService/Export",
    "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    "/ray.serve.ASGIService/HandleRequest",
    "/ray.serve.ASGIService/HandleRequestStreaming",
]
# Ports that nothing guards, by the processes that have them, as docs/local-aws.md names them.
METRICS = ("monitor.py", "dashboard.py", "ray::DashboardAgent")
TORCH = ("torch.distributed.run", "train.py")


@dataclass(frozen=True)
class Port:
    """A port on which a process listens."""

    command: str
    ip: str
    number: int

    def get(self, path: str) -> tuple[int, bytes] | None:
        """Ask for a path without anything that would let one in; None where HTTP is not spoken."""
        connection = http.client.HTTPConnection("127.0.0.1", self.number, timeout=10)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def rpc(self) -> set[str]:
        """Call Ray's servers without a token; return how that was answered."""
        answers = set()
        with grpc.insecure_channel(f"127.0.0.1:{self.number}") as channel:
            for method in RPC:
                try:
                    channel.unary_unary(method)(b"", timeout=10)
                    answers.add(f"{method} OK")
                except grpc.RpcError as error:
                    answers.add(error.code().name)
        return answers


@pytest.fixture(scope="module")
def everything(
    tmp_path_factory: pytest.TempPathFactory,
    training_image: str,
    inference_image: str,
) -> Iterator[LocalAws]:
    """A local AWS where an endpoint of each kind, a function and a training job run."""
    import io
    import tarfile
    import zipfile

    folder = tmp_path_factory.mktemp("everything")
    flag, running = folder / "flag", folder / "running"
    with LocalAws(folder / "aws") as aws:
        s3, iam, sagemaker = aws.client("s3"), aws.client("iam"), aws.client("sagemaker")
        s3.create_bucket(Bucket="bucket")

        def put(key: str, files: Mapping[str, str]) -> str:
            archive = io.BytesIO()
            with tarfile.open(fileobj=archive, mode="w:gz") as tar:
                for name, text in files.items():
                    member = tarfile.TarInfo(name)
                    member.size = len(text)
                    tar.addfile(member, io.BytesIO(text.encode()))
            s3.put_object(Bucket="bucket", Key=key, Body=archive.getvalue())
            return f"s3://bucket/{key}"

        trust = {
            "Effect": "Allow",
            "Principal": {"Service": ["sagemaker.amazonaws.com", "lambda.amazonaws.com"]},
            "Action": "sts:AssumeRole",
        }
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        role = iam.create_role(RoleName="r", AssumeRolePolicyDocument=document)["Role"]["Arn"]
        allowed = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}
        iam.put_role_policy(RoleName="r", PolicyName="p", PolicyDocument=json.dumps(allowed))
        for kind, image, code, variables in (
            ("asgi", inference_image, {"code/inference.py": HANDLERS}, {"SAGEMAKER_PROGRAM": "inference.py"}),
            ("ray", RAY_IMAGE, {"code/app.py": RAY_APP}, {"SM_RAYSERVE_APP": "app:app"}),
            ("haproxy", RAY_IMAGE, {"code/app.py": RAY_APP}, {"SM_RAYSERVE_APP": "app:app"} | HAPROXY),
        ):
            container = {
                "Image": image,
                "ModelDataUrl": put(f"{kind}.tar.gz", code),
                "Environment": variables | {"SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code"},
            }
            sagemaker.create_model(ModelName=kind, ExecutionRoleArn=role, PrimaryContainer=container)
            variant = {"VariantName": "v", "ModelName": kind, "InstanceType": "ml.m5.large"}
            sagemaker.create_endpoint_config(
                EndpointConfigName=kind, ProductionVariants=[variant | {"InitialInstanceCount": 1}]
            )
            sagemaker.create_endpoint(EndpointName=kind, EndpointConfigName=kind)
        hyperparameters = {
            "sagemaker_program": "train.py",
            "sagemaker_submit_directory": put("train.tar.gz", {"train.py": TRAIN.format(flag=str(flag))}),
            "sagemaker_torch_distributed_enabled": True,
        }
        sagemaker.create_training_job(
            TrainingJobName="job",
            AlgorithmSpecification={"TrainingImage": training_image, "TrainingInputMode": "File"},
            RoleArn=role,
            HyperParameters={name: json.dumps(value) for name, value in hyperparameters.items()},
            OutputDataConfig={"S3OutputPath": "s3://bucket/out"},
            ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 1},
            StoppingCondition={"MaxRuntimeInSeconds": 600},
        )
        code = io.BytesIO()
        with zipfile.ZipFile(code, "w") as archive:
            archive.writestr("index.py", FUNCTION)
        functions = aws.client("lambda")
        functions.create_function(
            FunctionName="f",
            Code={"ZipFile": code.getvalue()},
            Role=role,
            Runtime="python3.13",
            Handler="index.handler",
            Timeout=600,
        )
        event = json.dumps({"flag": str(flag), "running": str(running)})
        functions.invoke(FunctionName="f", InvocationType="Event", Payload=event)
        for name in ("asgi", "ray", "haproxy"):
            look = lambda name=name: sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"]  # noqa: E731
            assert wait_for(lambda look=look: look() != "Creating" and look()) == "InService"
        log = aws.logs_directory / "training" / "job" / "algo-1.log"
        wait_for(lambda: running.exists() and log.exists() and "is running" in log.read_text())
        yield aws
        flag.touch()
        wait_for(
            lambda: sagemaker.describe_training_job(TrainingJobName="job")["TrainingJobStatus"] == "Completed"
        )


def processes(aws: LocalAws) -> list[psutil.Process]:
    assert aws._process is not None
    return psutil.Process(aws._process.pid).children(recursive=True)


@pytest.fixture(scope="module")
def ports(everything: LocalAws) -> list[Port]:
    found = []
    for process in processes(everything):
        with contextlib.suppress(psutil.NoSuchProcess):  # short-lived, as HAProxy's when it is told anew
            command = " ".join(process.cmdline()).strip()
            found += [
                Port(command, connection.laddr.ip, connection.laddr.port)
                for connection in process.net_connections("inet")
                if connection.status == "LISTEN"
            ]
    return found


def test_what_runs_answers_the_local_aws(everything: LocalAws) -> None:
    for name in ("asgi", "ray", "haproxy"):
        answer = everything.client("sagemaker-runtime").invoke_endpoint(EndpointName=name, Body=b"hello")
        assert answer["Body"].read() == b"hello"


def is_torch(port: Port) -> bool:
    return any(word in port.command for word in TORCH)


def test_everything_but_the_store_of_torch_listens_on_loopback_alone(ports: list[Port]) -> None:
    assert {port.ip for port in ports if not is_torch(port)} <= {"127.0.0.1", "::ffff:127.0.0.1", "::1"}
    # torch.distributed's TCPStore cannot be told where to listen.
    assert [port.ip for port in ports if is_torch(port) and "torch.distributed.run" in port.command] == ["::"]
    script = [port.ip for port in ports if is_torch(port) and "torch.distributed.run" not in port.command]
    assert set(script) <= {"127.0.0.1", "::ffff:127.0.0.1"}
    servers = ("asgi_host.py", "ray::ProxyActor", "haproxy.cfg", "ray::ServeReplica", "gcs_server")
    for word in ("application", *servers, "train.py"):
        assert any(word in port.command for port in ports), f"{word} does not listen: is it running?"


def test_every_port_wants_a_secret_or_is_named_in_the_documentation(ports: list[Port]) -> None:
    text = (Path(__file__).parents[3] / "docs" / "local-aws.md").read_text()
    open_ports = []
    for port in ports:
        if is_torch(port):
            open_ports.append("torch.distributed")
            continue
        answer = port.get("/invocations")
        if answer is None:
            answers = port.rpc()
            assert answers <= {"UNAUTHENTICATED", "UNIMPLEMENTED"}, port
            assert "UNAUTHENTICATED" in answers, port
        elif answer[0] in (401, 403):
            assert all((port.get(path) or (403,))[0] in (401, 403) for path in ("/", "/ping", "/api/jobs/"))
        else:
            # Figures for Prometheus, whatever the path.
            assert any(word in port.command for word in METRICS), port
            assert answer[1].startswith(b"# HELP"), port
            open_ports.append("metrics")
    assert set(open_ports) == {"torch.distributed", "metrics"}
    assert "torch.distributed" in text
    assert "Prometheus" in text


def test_no_secret_is_in_a_command_line_or_a_log(everything: LocalAws) -> None:
    secrets = {everything.environment["AWS_SECRET_ACCESS_KEY"]}
    commands = []
    for process in processes(everything):
        environment = process.environ()
        secrets |= {
            value
            for name, value in environment.items()
            if name
            in ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "LOCAL_AWS_SERVER_TOKEN", "RAY_AUTH_TOKEN")
        }
        commands.append(" ".join(process.cmdline()))
    secrets.discard("")
    assert len(secrets) > 5
    for secret in secrets:
        assert not [command for command in commands if secret in command]
        for log in everything.logs_directory.rglob("*.log"):
            assert secret not in log.read_text(errors="replace")


def test_every_folder_and_every_secret_is_open_to_its_user_alone(everything: LocalAws) -> None:
    for folder in (everything.directory, *everything.directory.iterdir()):
        if folder.is_dir():
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700, folder
    # What a folder of its own lies in does not matter then; temporary folders lie among those of others.
    for process in processes(everything):
        for name in ("TMPDIR", "RAY_TMPDIR"):
            folder = process.environ().get(name)
            if folder and Path(folder).exists() and everything.directory not in Path(folder).parents:
                around = (Path(folder), Path(folder).parent)
                assert 0o700 in [stat.S_IMODE(path.stat().st_mode) for path in around], folder
