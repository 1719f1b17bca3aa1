"""The state machine of a real deployment, from its synthesized template."""

import json
import tempfile
from pathlib import Path
from typing import Any

from aws_cdk import App, Stack
from aws_cdk import aws_s3 as s3
from aws_cdk.assertions import Template

from cdk_sagemaker_pytorch import PyTorchDeployment


def definition() -> dict[str, Any]:
    """Synthesize a deployment with a sample request, and return its state machine."""
    context = json.loads((Path(__file__).parents[2] / "cdk.json").read_text())["context"]
    context["cdk-sagemaker-pytorch:skip-wheels"] = True
    with tempfile.TemporaryDirectory() as folder:
        stack = Stack(App(context=context, outdir=folder), "Stack")
        PyTorchDeployment(
            stack,
            "Deployment",
            framework_version="2.13",
            model_data_bucket=s3.Bucket(stack, "Models"),
            sample_request=[[0.5]],
            endpoint_name="digits",
        )
        ((_, machine),) = (
            Template.from_stack(stack).find_resources("AWS::StepFunctions::StateMachine").items()
        )
    parts = machine["Properties"]["DefinitionString"]["Fn::Join"][1]
    found: dict[str, Any] = json.loads("".join(part if isinstance(part, str) else "token" for part in parts))
    return found
