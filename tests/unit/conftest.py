"""Fixtures for constructs: a stack, its template, and its state machine."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App, Stack
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk.assertions import Template

from cdk_sagemaker_pytorch import SourceCode

CONTEXT = json.loads((Path(__file__).parents[2] / "cdk.json").read_text())["context"]
# Functions without their wheels: a test asks no package index.
CONTEXT["cdk-sagemaker-pytorch:skip-wheels"] = True


@pytest.fixture
def app(tmp_path: Path) -> App:
    return App(context=CONTEXT, outdir=str(tmp_path / "cdk.out"))


@pytest.fixture
def another_stack() -> Stack:
    """A stack of the same name, in an app of its own: the same app after a change."""
    return Stack(App(context=CONTEXT), "Stack")


@pytest.fixture
def stack(app: App) -> Stack:
    return Stack(app, "Stack")


@pytest.fixture
def training_code(tmp_path: Path) -> SourceCode:
    """A training script that runs in every version's container."""
    (tmp_path / "train_itself.py").write_text("print('trained')\n")
    return SourceCode.from_file(tmp_path / "train_itself.py")


def _as_text(value: Any) -> str:
    """Render a template's string, with ${...} where CloudFormation fills something in."""
    if isinstance(value, str):
        return value
    ((function, argument),) = value.items()
    if function == "Fn::Join":
        return argument[0].join(_as_text(part) for part in argument[1])
    if function == "Fn::GetAtt":
        argument = ".".join(argument)
    return "${" + str(argument) + "}"


@pytest.fixture
def as_text() -> Callable[[Any], str]:
    return _as_text


@pytest.fixture
def states(stack: Stack) -> Callable[..., dict[str, Any]]:
    """The states, by name, of the state machine whose logical id begins with a prefix."""

    def read(machine_prefix: str = "") -> dict[str, Any]:
        machines = Template.from_stack(stack).find_resources("AWS::StepFunctions::StateMachine")
        (machine,) = (each for name, each in machines.items() if name.startswith(machine_prefix))
        definition = json.loads(_as_text(machine["Properties"]["DefinitionString"]))
        found: dict[str, Any] = definition["States"]
        return found

    return read


@pytest.fixture
def run(stack: Stack) -> Callable[[sfn.IChainable], sfn.StateMachine]:
    """Puts a fragment into a state machine."""

    def put(chainable: sfn.IChainable) -> sfn.StateMachine:
        return sfn.StateMachine(
            stack, "Machine", definition_body=sfn.DefinitionBody.from_chainable(chainable)
        )

    return put


@pytest.fixture
def statements(stack: Stack) -> Callable[[str], list[dict[str, Any]]]:
    """All statements of the policies of the role whose logical id begins with a prefix."""

    def read(role_prefix: str) -> list[dict[str, Any]]:
        policies = Template.from_stack(stack).find_resources("AWS::IAM::Policy")
        return [
            statement
            for policy in policies.values()
            for role in policy["Properties"]["Roles"]
            if role["Ref"].startswith(role_prefix)
            for statement in policy["Properties"]["PolicyDocument"]["Statement"]
        ]

    return read


@pytest.fixture
def inference_code(tmp_path: Path) -> SourceCode:
    """A user's inference script."""
    script = tmp_path / "inference.py"
    script.write_text("def model_fn(model_dir):\n    return None\n")
    return SourceCode.from_file(script)
