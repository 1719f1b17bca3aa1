import sys
from pathlib import Path

import pytest

from cdk_sagemaker_pytorch.local import CdkError, LocalAwsError
from cdk_sagemaker_pytorch.local.server.cdk_cli import CdkCli

FAKE_CLI = """#!{python}
import json, os, sys
print(sys.argv[1:], os.environ["AWS_ENDPOINT_URL"], os.environ.get("AWS_PROFILE"), os.environ.get("MORE"))
if "--outputs-file" in sys.argv:
    with open(sys.argv[sys.argv.index("--outputs-file") + 1], "w") as file:
        json.dump({{"Stack": {{"Arguments": " ".join(sys.argv[1:])}}}}, file)
sys.exit(1 if "bootstrap" in sys.argv else 0)
"""


@pytest.fixture
def cli(tmp_path: Path) -> CdkCli:
    program = tmp_path / "cdk"
    program.write_text(FAKE_CLI.format(python=sys.executable))
    program.chmod(0o755)
    return CdkCli({"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, program)


def test_deploy_names_stacks_and_returns_outputs(cli: CdkCli, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").touch()
    arguments = cli.deploy(tmp_path, ["One", "Two"])["Stack"]["Arguments"]
    assert arguments.startswith(f"deploy One Two --app {tmp_path} --require-approval never --method direct")


def test_a_command_is_quoted_and_all_stacks_are_the_default(cli: CdkCli) -> None:
    arguments = cli.deploy(["python", "my app.py"], [])["Stack"]["Arguments"]
    assert arguments.startswith("deploy --all --app python 'my app.py'")


def test_fails_with_what_the_cli_wrote(cli: CdkCli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    with pytest.raises(CdkError, match=r"cdk bootstrap aws://1/r .* ended with exit code 1") as failure:
        cli.bootstrap("1", "r")
    assert failure.value.returncode == 1
    assert failure.value.command[:2] == ["cdk", "bootstrap"]
    # The user's own profile does not reach it.
    assert "http://127.0.0.1:1 None None" in failure.value.output


def test_fails_when_the_cli_is_missing(tmp_path: Path) -> None:
    with pytest.raises(LocalAwsError, match="cdk_executable not found"):
        CdkCli({}, tmp_path / "missing").bootstrap("1", "r")
