"""The demo app: trains a classifier of handwritten digits with PyTorch 2.13, and serves it with Ray Serve."""

from aws_cdk import App, CfnOutput, Stack
from constructs import Construct

from cdk_sagemaker_pytorch import (
    ArtifactsBucket,
    PyTorchPipeline,
    PyTorchTrainingJob,
    TrainingInput,
)


class DigitsStack(Stack):
    """A bucket for the data, and a pipeline from the data to an endpoint."""

    def __init__(self, scope: Construct, construct_id: str) -> None:
        super().__init__(scope, construct_id)
        data = ArtifactsBucket(self, "Data")
        training_job = PyTorchTrainingJob(
            self,
            "Training",
            framework_version="2.13",
            inputs={
                "train": TrainingInput.from_bucket(data, "digits/train/"),
                "test": TrainingInput.from_bucket(data, "digits/test/"),
            },
            hyperparameters={"epochs": 30, "hidden-sizes": "128,64", "seed": 1},
        )
        pipeline = PyTorchPipeline(
            self,
            "Pipeline",
            training_job=training_job,
            instance_type="ml.m5.large",
            initial_instance_count=1,
        )
        CfnOutput(self, "DataBucket", value=data.bucket_name)
        CfnOutput(self, "StateMachineArn", value=pipeline.state_machine_arn)
        CfnOutput(self, "EndpointName", value=pipeline.endpoint_name)


app = App()
DigitsStack(app, "Digits")
app.synth()
