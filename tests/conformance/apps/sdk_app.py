"""The app that the SageMaker Python SDK looks at: a training job in a state machine, and an endpoint."""

import os
from pathlib import Path

from aws_cdk import App, CfnOutput, Stack
from aws_cdk import aws_stepfunctions as sfn

from cdk_sagemaker_pytorch import (
    ModelData,
    PyTorchEndpoint,
    PyTorchModel,
    PyTorchTrainingJob,
    SourceCode,
)

app = App()
stack = Stack(app, "Sdk")
job = PyTorchTrainingJob(
    stack,
    "Job",
    framework_version="2.6",
    source_code=SourceCode.from_file(Path(__file__).with_name("train.py")),
    hyperparameters={
        "epochs": 3,
        "learning-rate": 0.5,
        "optimizer": "adam",
        "layers": [16, 8],
        "nesterov": True,
    },
    instance_type="ml.c5.xlarge",
    instance_count=2,
)
machine = sfn.StateMachine(stack, "Machine", definition_body=sfn.DefinitionBody.from_chainable(job))
model = PyTorchModel(
    stack,
    "Model",
    model_data=ModelData.from_directory(os.environ["MODEL_DIRECTORY"]),
    framework_version="2.6",
    source_code=SourceCode.bundled_inference(),
)
endpoint = PyTorchEndpoint(stack, "Endpoint", model=model)
CfnOutput(stack, "MachineArn", value=machine.state_machine_arn)
CfnOutput(stack, "EndpointName", value=endpoint.endpoint_name)
app.synth()
