"""The states of a real pipeline, from the model on."""

import json
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App, Stack
from aws_cdk.assertions import Template

from cdk_sagemaker_pytorch import PyTorchPipeline, PyTorchTrainingJob


@pytest.fixture(scope="session")
def definition(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The definition of a pipeline with a sample request, begun after packaging."""
    context = json.loads((Path(__file__).parents[2] / "cdk.json").read_text())["context"]
    context["cdk-sagemaker-pytorch:skip-wheels"] = True
    app = App(context=context, outdir=str(tmp_path_factory.mktemp("simulated") / "cdk.out"))
    stack = Stack(app, "Stack")
    job = PyTorchTrainingJob(stack, "Training", framework_version="2.13")
    PyTorchPipeline(stack, "Pipeline", training_job=job, sample_request=[[0.5]], endpoint_name="digits")
    machines = Template.from_stack(stack).find_resources("AWS::StepFunctions::StateMachine")
    ((_, machine),) = machines.items()
    parts = machine["Properties"]["DefinitionString"]["Fn::Join"][1]
    text = "".join(part if isinstance(part, str) else "token" for part in parts)
    return {**json.loads(text), "StartAt": "Create model"}
