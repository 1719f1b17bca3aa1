"""The real CDK CLI as its user runs it, on an app that needs no synthesis of its own."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cdk_sagemaker_pytorch.local import LocalAws
from cdk_sagemaker_pytorch.local.server.cdk_cli import CdkCli
from waiting import wait_for

pytestmark = pytest.mark.local

# Writes the app's cloud assembly; fails where a profile of the user would be read.
APP = """
import json, os, pathlib, boto3
assert boto3.client("sts").get_caller_identity()["Account"] == os.environ["CDK_DEFAULT_ACCOUNT"]
out = pathlib.Path(os.environ["CDK_OUTDIR"])
bucket = {"Type": "AWS::S3::Bucket", "Properties": json.loads(os.environ.get("BUCKET", "{}"))}
template = {"Resources": {"Bucket": bucket}, "Outputs": {"Name": {"Value": {"Ref": "Bucket"}}}}
(out / "t.json").write_text(json.dumps(template))
stack = {
    "type": "aws:cloudformation:stack",
    "environment": "aws://unknown-account/unknown-region",
    "properties": {"templateFile": "t.json"},
}
manifest = {"version": "48.0.0", "artifacts": {os.environ["STACK"]: stack}}
(out / "manifest.json").write_text(json.dumps(manifest))
"""
PROGRAM = """
import json, sys
from cdk_sagemaker_pytorch.local import LocalAws
with LocalAws() as aws:
    print(aws.client("s3").list_buckets()["Buckets"], aws.session().profile_name)
    print(json.dumps(aws.deploy([sys.executable, "app.py"], env={"STACK": "Poisoned"})))
    aws.destroy([sys.executable, "app.py"], env={"STACK": "Poisoned"})
"""
SETTINGS = {"VersioningConfiguration": {"Status": "Enabled"}}


def start_cli(
    aws: LocalAws, *arguments: str, app: str, folder: Path, env: dict[str, str] | None = None
) -> subprocess.Popen[str]:
    """Start the CLI in a folder, in a session of its own."""
    cli = CdkCli(aws.environment)
    return subprocess.Popen(
        [*cli._program(), *arguments, "--app", app, "--no-color", "--ci"],
        cwd=folder,
        env=cli._variables() | (env or {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


@pytest.fixture
def cdk(aws: LocalAws, tmp_path: Path, name: str) -> Callable[..., tuple[int, str]]:
    """Run the CLI in a folder with an app, whose bucket has some settings; return exit code and output."""
    (tmp_path / "app.py").write_text(APP)

    def run(*arguments: str, **bucket: Any) -> tuple[int, str]:
        more = ("--require-approval", "never") if arguments[0] == "deploy" else ()
        process = start_cli(
            aws,
            *arguments,
            *more,
            app=f"{sys.executable} app.py",
            folder=tmp_path,
            env={"STACK": name, "BUCKET": json.dumps(bucket)},
        )
        output, _ = process.communicate()
        return process.returncode, output

    return run


def test_the_cli_deploys_and_compares_by_change_sets(
    aws: LocalAws, name: str, cdk: Callable[..., tuple[int, str]]
) -> None:
    cloudformation, s3 = aws.client("cloudformation"), aws.client("s3")

    def bucket() -> str:
        outputs = cloudformation.describe_stacks(StackName=name)["Stacks"][0]["Outputs"]
        return str(outputs[0]["OutputValue"])

    # A new stack: compared without leaving one, prepared, and deployed.
    code, text = cdk("diff", "--fail")
    assert (code, "[+] AWS::S3::Bucket Bucket" in text) == (1, True)
    assert "Could not create a change set" not in text
    assert name not in str(cloudformation.describe_stacks()["Stacks"])
    code, text = cdk("deploy", "--no-execute")
    assert (code, "waiting in review" in text) == (0, True)
    code, text = cdk("deploy")
    assert (code, f"{name}.Name = {bucket()}" in text) == (0, True)

    # The same again, then something else, both with a change set of the last time there.
    code, text = cdk("deploy")
    assert (code, f"{name} (no changes)" in text) == (0, True)
    code, text = cdk("diff", "--fail")
    assert (code, "There were no differences" in text) == (0, True)
    assert "Could not create a change set" not in text
    code, text = cdk("diff", "--fail", **SETTINGS)
    assert (code, "[~] AWS::S3::Bucket Bucket" in text) == (1, True)
    assert "Could not create a change set" not in text

    # Directly, and by change set again.
    code, text = cdk("deploy", "--method=direct", **SETTINGS)
    assert code == 0, text
    assert s3.get_bucket_versioning(Bucket=bucket())["Status"] == "Enabled"
    code, text = cdk("deploy", Tags=[{"Key": "a", "Value": "1"}], **SETTINGS)
    assert code == 0, text
    assert {"Key": "a", "Value": "1"} in s3.get_bucket_tagging(Bucket=bucket())["TagSet"]


BROKEN = {"Code": {"ZipFile": "x"}, "Role": "arn:aws:iam::123456789012:role/absent", "Handler": "a.b"}
TOPIC = {"Type": "AWS::SNS::Topic"}


@pytest.fixture
def templates(tmp_path: Path, name: str) -> Callable[..., None]:
    """Write the app's cloud assembly: templates by stack, each stack after those before it."""

    def write(**stacks: dict[str, Any]) -> None:
        artifacts: dict[str, Any] = {}
        texts: dict[str, Any] = {"manifest.json": {"version": "48.0.0", "artifacts": artifacts}}
        for stack, resources in stacks.items():
            template = {"Resources": resources}
            if "Outputs" in resources:
                template = {"Resources": {k: v for k, v in resources.items() if k != "Outputs"}}
                template["Outputs"] = resources["Outputs"]
            texts[f"{stack}.json"] = template
            artifacts[f"{name}-{stack}"] = {
                "type": "aws:cloudformation:stack",
                "environment": "aws://unknown-account/unknown-region",
                "properties": {"templateFile": f"{stack}.json"},
                "dependencies": list(artifacts),
            }
        for file, text in texts.items():
            # A CLI that watches reads at once, and must not see half a file.
            (tmp_path / f"{file}.new").write_text(json.dumps(text))
            (tmp_path / f"{file}.new").replace(tmp_path / file)

    return write


@pytest.fixture
def run_cdk(aws: LocalAws, tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """Start the CLI on the cloud assembly that `templates` wrote."""

    def run(*arguments: str) -> subprocess.Popen[str]:
        return start_cli(aws, *arguments, app=str(tmp_path), folder=tmp_path)

    return run


@pytest.fixture
def cdk_on(run_cdk: Callable[..., subprocess.Popen[str]]) -> Callable[..., tuple[int, str]]:
    def run(*arguments: str) -> tuple[int, str]:
        process = run_cdk(*arguments)
        output, _ = process.communicate()
        return process.returncode, output

    return run


@pytest.fixture
def status(aws: LocalAws, name: str) -> Callable[[str], str | None]:
    """Return the status of a stack of the app, None where there is none."""

    def look(stack: str) -> str | None:
        stacks = aws.client("cloudformation").describe_stacks()["Stacks"]
        return next((item["StackStatus"] for item in stacks if item["StackName"] == f"{name}-{stack}"), None)

    return look


def test_several_stacks_with_exports_go_in_their_order_and_back(
    templates: Callable[..., None], cdk_on: Callable[..., Any], status: Callable[..., Any], name: str
) -> None:
    export = {"Value": {"Ref": "Topic"}, "Export": {"Name": f"{name}-arn"}}
    parameter = {"Type": "String", "Name": f"/{name}", "Value": {"Fn::ImportValue": f"{name}-arn"}}
    templates(
        first={"Topic": TOPIC, "Outputs": {"Arn": export}},
        second={"Parameter": {"Type": "AWS::SSM::Parameter", "Properties": parameter}},
    )
    code, text = cdk_on("deploy", "--all", "--require-approval", "never")
    assert (code, status("first"), status("second")) == (0, "CREATE_COMPLETE", "CREATE_COMPLETE"), text
    # What another stack imports stays.
    code, text = cdk_on("destroy", f"{name}-first", "--exclusively", "--force")
    assert (code, "is in use by" in text) == (1, True), text
    code, text = cdk_on("destroy", "--all", "--force")
    assert (code, status("first"), status("second")) == (0, None, None), text


def test_a_deployment_that_stops_where_it_fails_is_rolled_back_or_gone_on_with(
    templates: Callable[..., None], cdk_on: Callable[..., Any], status: Callable[..., Any], aws: LocalAws
) -> None:
    aws.bootstrap()  # `cdk rollback` asks for its stack
    deploy = ("deploy", "--require-approval", "never")
    rollback = ("rollback", "--toolkit-stack-name", "CDKToolkit")
    broken = {"Type": "AWS::Lambda::Function", "Properties": BROKEN, "DependsOn": "Second"}
    templates(a={"First": TOPIC})
    assert cdk_on(*deploy)[0] == 0
    topics = len(aws.client("sns").list_topics()["Topics"])

    for end in ("rollback", "deploy"):
        templates(a={"First": TOPIC, "Second": TOPIC, "Broken": broken})
        code, text = cdk_on(*deploy, "--no-rollback")
        assert (code, status("a")) == (1, "UPDATE_FAILED"), text
        assert len(aws.client("sns").list_topics()["Topics"]) == topics + 1
        templates(a={"First": TOPIC, "Second": TOPIC})
        code, text = cdk_on(*(rollback if end == "rollback" else (*deploy, "--no-rollback")))
        assert code == 0, text
        expected = ("UPDATE_ROLLBACK_COMPLETE", 0) if end == "rollback" else ("UPDATE_COMPLETE", 1)
        assert (status("a"), len(aws.client("sns").list_topics()["Topics"]) - topics) == expected
    assert cdk_on("destroy", "--force")[0] == 0


def test_what_was_half_made_is_destroyed(
    templates: Callable[..., None], cdk_on: Callable[..., Any], status: Callable[..., Any], aws: LocalAws
) -> None:
    topics = aws.client("sns").list_topics()["Topics"]
    templates(
        a={"Topic": TOPIC, "B": {"Type": "AWS::Lambda::Function", "Properties": BROKEN, "DependsOn": "Topic"}}
    )
    assert cdk_on("deploy", "--require-approval", "never", "--no-rollback")[0] == 1
    assert status("a") == "CREATE_FAILED"
    code, text = cdk_on("destroy", "--force")
    assert (code, status("a")) == (0, None), text
    assert aws.client("sns").list_topics()["Topics"] == topics
    code, text = cdk_on("destroy", "--force")  # again
    assert code == 0, text


def test_tags_of_a_stack_reach_its_resources(
    templates: Callable[..., None], cdk_on: Callable[..., Any], aws: LocalAws, name: str
) -> None:
    templates(a={"Bucket": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": name}}})
    for value in ("one", "two"):
        code, text = cdk_on("deploy", "--require-approval", "never", "--tags", f"team={value}")
        assert code == 0, text
        tags = aws.client("s3").get_bucket_tagging(Bucket=name)["TagSet"]
        assert {"Key": "team", "Value": value} in tags


def test_an_import_is_refused_with_words(
    templates: Callable[..., None], cdk_on: Callable[..., Any], status: Callable[..., Any], tmp_path: Path
) -> None:
    templates(a={"Bucket": {"Type": "AWS::S3::Bucket", "DeletionPolicy": "Retain"}})
    mapping = tmp_path / "mapping.json"
    mapping.write_text(json.dumps({"Bucket": {"BucketName": "b"}}))
    code, text = cdk_on("import", "--resource-mapping", str(mapping), "--force")
    assert (code, "The local AWS does not import resources into stacks" in text) == (1, True), text
    assert status("a") is None


def test_of_two_deploys_at_once_one_does_it_and_the_other_says_why_not(
    templates: Callable[..., None], run_cdk: Callable[..., subprocess.Popen[str]], status: Callable[..., Any]
) -> None:
    templates(a={"Topic": TOPIC})
    processes = [run_cdk("deploy", "--require-approval", "never") for _ in range(2)]
    outputs = [process.communicate()[0] for process in processes]
    codes = [process.returncode for process in processes]
    assert 0 in codes, outputs
    # They share the name of the change set: the second finds it there, executed, or the stack busy.
    refusals = ("already exists", "ChangeSetNotFound", "InvalidChangeSetStatus", "IN_PROGRESS state")
    for code, output in zip(codes, outputs, strict=True):
        assert code == 0 or any(refusal in output for refusal in refusals), output
    assert status("a") == "CREATE_COMPLETE"


FUNCTION = {
    "Role": {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "AssumeRolePolicyDocument": {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Effect": "Allow",
                        "Action": "sts:AssumeRole",
                        "Principal": {"Service": "lambda.amazonaws.com"},
                    }
                ],
            }
        },
    },
    "Outputs": {"Name": {"Value": {"Ref": "Function"}}},
}


def function(answer: int) -> dict[str, Any]:
    """Return a stack with a function that gives this answer."""
    properties = {
        "Code": {"ZipFile": f"def handler(event, context): return {answer}"},
        "Handler": "index.handler",
        "Runtime": "python3.13",
        "Role": {"Fn::GetAtt": ["Role", "Arn"]},
    }
    return FUNCTION | {"Function": {"Type": "AWS::Lambda::Function", "Properties": properties}}


@pytest.fixture
def answer(aws: LocalAws, name: str) -> Callable[[], Any]:
    """Return what the function of the stack answers."""

    def ask() -> Any:
        stack = aws.client("cloudformation").describe_stacks(StackName=f"{name}-a")["Stacks"][0]
        invoked = aws.client("lambda").invoke(FunctionName=stack["Outputs"][0]["OutputValue"])
        return json.loads(invoked["Payload"].read())

    return ask


def test_a_hotswap_changes_the_function_alone(
    templates: Callable[..., None], cdk_on: Callable[..., Any], aws: LocalAws, answer: Callable[[], Any]
) -> None:
    templates(a=function(1))
    assert cdk_on("deploy", "--require-approval", "never")[0] == 0
    assert answer() == 1
    templates(a=function(2))
    code, text = cdk_on("deploy", "--require-approval", "never", "--hotswap")
    assert (code, "hotswapped" in text) == (0, True), text
    assert answer() == 2


def test_a_watch_brings_every_change(
    templates: Callable[..., None],
    cdk_on: Callable[..., Any],
    run_cdk: Callable[..., subprocess.Popen[str]],
    answer: Callable[[], Any],
    tmp_path: Path,
) -> None:
    templates(a=function(1))
    (tmp_path / "cdk.json").write_text(json.dumps({"app": ".", "watch": {"include": ["a.json"]}}))
    assert cdk_on("deploy", "--require-approval", "never")[0] == 0
    assert answer() == 1
    watching = run_cdk("watch")
    try:
        for value in (2, 3):
            templates(a=function(value))
            wait_for(lambda value=value: answer() == value)
    finally:
        os.killpg(watching.pid, signal.SIGTERM)
        watching.communicate()


def test_drift_is_refused_with_words(templates: Callable[..., None], cdk_on: Callable[..., Any]) -> None:
    templates(a={"Topic": TOPIC})
    assert cdk_on("deploy", "--require-approval", "never")[0] == 0
    code, text = cdk_on("drift")
    assert (code, "detect_stack_drift" in text.lower() or "DetectStackDrift" in text) == (1, True), text


def test_no_profile_of_the_user_is_read(tmp_path: Path) -> None:
    marker, home, project = tmp_path / "marker", tmp_path / "home", tmp_path / "project"
    (home / ".aws").mkdir(parents=True)
    project.mkdir()
    profile = f"""
region = nowhere-1
credential_process = {sys.executable} -c "open('{marker}', 'w')"
endpoint_url = http://127.0.0.1:9
ignore_configured_endpoint_urls = true
use_fips_endpoint = true
services = closed
"""
    services = "[services closed]\ns3 =\n  endpoint_url = http://127.0.0.1:9\n"
    text = f"[default]{profile}[profile prod]{profile}{services}"
    (home / ".aws" / "config").write_text(text)
    (home / ".aws" / "credentials").write_text(text.replace("profile prod", "prod"))
    for file in (home / ".cdk.json", project / "cdk.json"):
        file.write_text(json.dumps({"profile": "prod"}))
    (project / "app.py").write_text(APP)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    poison = {
        "HOME": str(home),
        "AWS_PROFILE": "unknown",
        "AWS_DEFAULT_PROFILE": "unknown",
        "AWS_CONFIG_FILE": str(home / ".aws" / "config"),
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9",
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
        "AWS_USE_FIPS_ENDPOINT": "true",
        "AWS_CA_BUNDLE": "/nowhere",
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=project, env=kept | poison, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    listed, outputs = run.stdout.splitlines()
    assert listed == "[] default"
    assert json.loads(outputs)["Poisoned"]["Name"].startswith("poisoned-bucket-")
    assert not marker.exists()
