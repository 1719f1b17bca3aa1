"""The real CDK CLI as its user runs it, on an app that needs no synthesis of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cdk_sagemaker_pytorch.local import LocalAws
from cdk_sagemaker_pytorch.local.server.cdk_cli import CdkCli

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


@pytest.fixture
def cdk(aws: LocalAws, tmp_path: Path, name: str) -> Callable[..., tuple[int, str]]:
    """Run the CLI in a folder with an app, whose bucket has some settings; return exit code and output."""
    (tmp_path / "app.py").write_text(APP)
    cli = CdkCli(aws.environment)

    def run(*arguments: str, **bucket: Any) -> tuple[int, str]:
        command = [*cli._command(), *arguments, "--app", f"{sys.executable} app.py", "--no-color", "--ci"]
        if arguments[0] == "deploy":
            command += ["--require-approval", "never"]
        variables = cli._variables() | {"STACK": name, "BUCKET": json.dumps(bucket)}
        process = subprocess.run(
            command,
            cwd=tmp_path,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return process.returncode, process.stdout

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
