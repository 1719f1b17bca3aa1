"""PyTorch 2.6 for both: its own training image, and the last inference image with TorchServe, on Graviton."""

from aws_cdk import App, CfnOutput, Stack

from cdk_sagemaker_pytorch import (
    ArtifactsBucket,
    PyTorchPipeline,
    PyTorchTrainingJob,
    ServingContainer,
    TrainingInput,
)

app = App()
stack = Stack(app, "TorchServe")
data = ArtifactsBucket(stack, "Data")
pipeline = PyTorchPipeline(
    stack,
    "Pipeline",
    training_job=PyTorchTrainingJob(
        stack,
        "Training",
        framework_version="2.6",
        inputs={"train": TrainingInput.from_bucket(data, "train/")},
        hyperparameters={"epochs": 20},
    ),
    instance_type="ml.c7g.large",
    container=ServingContainer(model_server_workers=2),
    sample_request=[[0.0] * 64],
)
CfnOutput(stack, "DataBucket", value=data.bucket_name)
CfnOutput(stack, "StateMachineArn", value=pipeline.state_machine_arn)
CfnOutput(stack, "EndpointName", value=pipeline.endpoint_name)
app.synth()
