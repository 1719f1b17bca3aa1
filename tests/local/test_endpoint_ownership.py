"""An endpoint through what happens to its stack: it goes when its owner lets it go, and never before."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App, CfnOutput, CustomResource, Duration, RemovalPolicy, Stack
from constructs import Construct

from cdk_sagemaker_pytorch import PyTorchPipeline, PyTorchTrainingJob, SourceCode
from cdk_sagemaker_pytorch.local import LocalAws
from waiting import end_of_execution, wait_for

pytestmark = [pytest.mark.local]

SCRIPTS = Path(__file__).parent / "apps" / "scripts"
CONTEXT = json.loads((Path(__file__).parents[2] / "cdk.json").read_text())["context"]
NO_FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:no-function"


class Owned:
    """A stack with one pipeline, deployed and changed again and again."""

    def __init__(self, aws: LocalAws, folder: Path) -> None:
        self.aws = aws
        self.sagemaker = aws.client("sagemaker")
        self._cloudformation = aws.client("cloudformation")
        self._folder = folder
        self._assemblies = 0
        self.job = ""

    def assembly(self, stack_name: str, **options: Any) -> Path:
        """Synthesize the stack, as `deploy` takes its options."""
        self._assemblies += 1
        out = self._folder / f"cdk.out-{self._assemblies}"
        app = App(context={**CONTEXT, "cdk-sagemaker-pytorch:skip-wheels": True}, outdir=str(out))
        add_pipeline(Stack(app, stack_name), **options)
        app.synth()
        return out

    def deploy(self, stack_name: str = "Owned", **options: Any) -> str:
        """Deploy a stack, by the CDK CLI when it is new; return its status."""
        assembly = self.assembly(stack_name, **options)
        if stack_name not in self._names():
            self.aws.deploy(assembly)
            return self._status(stack_name)
        # Through S3, as it may be larger than a request takes.
        bucket, key = f"cdk-hnb659fds-assets-{self.aws.account}-{self.aws.region}", f"{stack_name}.json"
        body = (assembly / f"{stack_name}.template.json").read_bytes()
        self.aws.client("s3").put_object(Bucket=bucket, Key=key, Body=body)
        self._cloudformation.update_stack(
            StackName=stack_name,
            TemplateURL=f"https://s3.{self.aws.region}.amazonaws.com/{bucket}/{key}",
            Capabilities=["CAPABILITY_IAM"],
        )
        return self._settled(stack_name)

    def destroy(self, stack_name: str = "Owned") -> None:
        """Delete a stack, to the end."""
        self._cloudformation.delete_stack(StackName=stack_name)

        def gone() -> bool:
            if stack_name not in self._names():
                return True
            assert self._status(stack_name) != "DELETE_FAILED"
            return False

        wait_for(gone)

    def execute(self, answer: str, status: str = "SUCCEEDED") -> str:
        """Bring a version into service that answers so, and return its name where it succeeds."""
        states = self.aws.client("stepfunctions")
        outputs = self._cloudformation.describe_stacks(StackName="Owned")["Stacks"][0]["Outputs"]
        machine = next(o["OutputValue"] for o in outputs if o["OutputKey"] == "Machine")
        arn = states.start_execution(
            stateMachineArn=machine, input=json.dumps({"hyperparameters": {"answer": answer}})
        )["executionArn"]
        execution = end_of_execution(states, arn)
        assert execution["status"] == status, execution.get("cause")
        if status != "SUCCEEDED":
            return ""
        name: str = json.loads(execution["output"])["model_name"]
        return name

    def answer(self, endpoint: str = "owned") -> str:
        """What the endpoint answers."""
        response = self.aws.client("sagemaker-runtime").invoke_endpoint(
            EndpointName=endpoint, Body=b"[[1]]", ContentType="application/json"
        )
        return str(response["Body"].read().decode())

    def serve_again(self, version: str, endpoint: str = "owned") -> None:
        """Start new instances with a version, under its role."""
        self.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=version)
        look = lambda: self.sagemaker.describe_endpoint(EndpointName=endpoint)  # noqa: E731
        found = wait_for(lambda: (seen := look())["EndpointStatus"] != "Updating" and seen)
        assert (found["EndpointStatus"], found["EndpointConfigName"]) == ("InService", version), found

    def endpoints(self) -> set[str]:
        """All endpoints."""
        return {e["EndpointName"] for e in self.sagemaker.list_endpoints()["Endpoints"]}

    def versions(self) -> set[str]:
        """All versions."""
        models = {m["ModelName"] for m in self.sagemaker.list_models()["Models"]}
        configs = self.sagemaker.list_endpoint_configs()["EndpointConfigs"]
        assert models == {c["EndpointConfigName"] for c in configs}
        return models

    def _names(self) -> set[str]:
        found = self._cloudformation.describe_stacks()["Stacks"]
        return {
            stack["StackName"] for stack in found if not stack["StackStatus"].startswith("DELETE_COMPLETE")
        }

    def _status(self, stack_name: str) -> str:
        return str(self._cloudformation.describe_stacks(StackName=stack_name)["Stacks"][0]["StackStatus"])

    def _settled(self, stack_name: str) -> str:
        look = lambda: self._status(stack_name)  # noqa: E731
        return str(wait_for(lambda: not (status := look()).endswith("IN_PROGRESS") and status))


def add_pipeline(
    stack: Stack,
    *,
    construct_id: str = "Pipeline",
    endpoint_name: str = "owned",
    removal_policy: RemovalPolicy = RemovalPolicy.DESTROY,
    adopt: bool = False,
    fails: bool = False,
    moved: bool = False,
    **options: Any,
) -> None:
    """Add a pipeline to a stack; with `fails` something cannot be made after all of it."""
    job = PyTorchTrainingJob(
        stack,
        "Job",
        framework_version="2.6",
        source_code=SourceCode.from_file(SCRIPTS / "write_answer.py"),
    )
    pipeline = PyTorchPipeline(
        Construct(stack, "Elsewhere") if moved else stack,
        construct_id,
        training_job=job,
        source_code=SourceCode.from_file(SCRIPTS / "serve_answer.py"),
        endpoint_name=endpoint_name,
        removal_policy=removal_policy,
        adopt=adopt,
        **options,
    )
    CfnOutput(stack, "Machine", value=pipeline.state_machine_arn)
    if fails:
        CustomResource(stack, "Failing", service_token=NO_FUNCTION).node.add_dependency(pipeline)


@pytest.fixture(scope="module")
def owned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Owned]:
    folder = tmp_path_factory.mktemp("owned")
    with LocalAws(folder / "aws", wait_factor=0.1) as aws:
        yield Owned(aws, folder)


@pytest.fixture
def served(owned: Owned) -> str:
    """The version that the endpoint of the stack serves, made by its pipeline."""
    if "owned" not in owned.endpoints():
        owned.deploy()
        owned.execute("first")
    return str(owned.sagemaker.describe_endpoint(EndpointName="owned")["EndpointConfigName"])


def exhaustive(change_id: str, **change: Any) -> Any:
    """A change that `make exhaustive` tries."""
    return pytest.param(change, id=change_id, marks=pytest.mark.exhaustive)


CHANGES = [
    pytest.param({"removal_policy": RemovalPolicy.RETAIN}, id="retained"),
    pytest.param({"construct_id": "Renamed"}, id="renamed"),
    pytest.param({"moved": True, "removal_policy": RemovalPolicy.RETAIN}, id="moved"),
    exhaustive("renamed and moved", construct_id="Renamed", moved=True),
    exhaustive("keeps more", retain_versions=3),
    exhaustive("other instances", instance_type="ml.c5.large", initial_instance_count=2),
    exhaustive("environment", environment={"LOG": "1"}),
    exhaustive("sample request", sample_request=[[1]]),
    exhaustive("given up earlier", timeout=Duration.hours(1)),
    pytest.param({}, id="back"),
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_the_construct_leaves_the_endpoint_and_what_it_needs(
    owned: Owned, served: str, change: dict[str, Any]
) -> None:
    assert owned.deploy(**change, fails=True) == "UPDATE_ROLLBACK_COMPLETE"
    assert owned.answer() == "first"
    assert owned.deploy(**change) == "UPDATE_COMPLETE"
    assert owned.answer() == "first"
    owned.serve_again(served)
    assert owned.answer() == "first"
    assert owned.versions() == {served}


def test_a_renamed_pipeline_goes_on_with_the_versions_of_the_endpoint(owned: Owned, served: str) -> None:
    owned.deploy(construct_id="Renamed")
    second = owned.execute("second")
    assert owned.answer() == "second"
    assert owned.versions() == {served, second}
    owned.serve_again(served)  # a rollback
    assert owned.answer() == "first"
    owned.deploy()


def test_a_changed_endpoint_name_that_is_rolled_back_leaves_everything(owned: Owned, served: str) -> None:
    versions = owned.versions()
    assert owned.deploy(endpoint_name="other", fails=True) == "UPDATE_ROLLBACK_COMPLETE"
    assert owned.answer() == "first"
    assert owned.versions() == versions
    owned.serve_again(served)


def test_another_stack_cannot_take_the_endpoint(owned: Owned, served: str) -> None:
    with pytest.raises(Exception, match="endpoint owned belongs to the stack"):
        owned.deploy("Other")
    owned.destroy("Other")
    assert owned.answer() == "first"
    owned.serve_again(served)


def test_a_changed_endpoint_name_replaces_the_endpoint(owned: Owned, served: str) -> None:
    assert owned.deploy(endpoint_name="other") == "UPDATE_COMPLETE"
    assert owned.endpoints() == set()
    assert owned.versions() == set()
    version = owned.execute("third")
    assert owned.answer("other") == "third"
    assert owned.versions() == {version}
    owned.destroy()
    assert owned.endpoints() == set()
    assert owned.versions() == set()


def test_a_retained_endpoint_serves_on_until_a_stack_has_adopted_it(owned: Owned) -> None:
    assert owned.deploy(removal_policy=RemovalPolicy.RETAIN) == "CREATE_COMPLETE"
    version = owned.execute("retained")
    owned.destroy()
    assert owned.answer() == "retained"
    owned.serve_again(version)

    with pytest.raises(Exception, match="this stack has not made it: adopt it"):
        owned.deploy()
    owned.destroy()
    # A stack that adopts it and is rolled back has not made it its own.
    with pytest.raises(Exception, match="no-function"):
        owned.deploy(adopt=True, fails=True)
    owned.destroy()
    assert owned.answer() == "retained"
    owned.serve_again(version)

    owned.deploy(adopt=True)
    owned.execute("broken", status="FAILED")
    assert owned.answer() == "retained"
    newest = owned.execute("adopted")
    assert owned.answer() == "adopted"
    assert newest in owned.versions()
    owned.destroy()
    assert owned.endpoints() == set()
    assert owned.versions() == set()
