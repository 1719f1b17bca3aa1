"""A TorchScript model, trained and served by PyTorch 1.5.1 with an accelerator; an app for tests/local."""

from pathlib import Path

from aws_cdk import App, CfnOutput, Stack

from cdk_sagemaker_pytorch import PyTorchPipeline, PyTorchTrainingJob, SampleRequest, SourceCode

SCRIPT = Path(__file__).parent / "scripts" / "trace_line.py"


def main() -> None:
    """Synthesize."""
    app = App()
    stack = Stack(app, "ElasticInference")
    job = PyTorchTrainingJob(
        stack,
        "Training",
        framework_version="1.5.1",
        source_code=SourceCode.from_file(SCRIPT),
        hyperparameters={"slope": 3},
    )
    pipeline = PyTorchPipeline(
        stack,
        "Pipeline",
        training_job=job,
        framework_version="1.5.1",
        instance_type="ml.m5.large",
        accelerator_type="ml.eia2.medium",
        sample_request=SampleRequest(body=[[1.0]], expected=[[3.0]]),
    )
    CfnOutput(stack, "Machine", value=pipeline.state_machine.state_machine_arn)
    CfnOutput(stack, "Endpoint", value=pipeline.endpoint_name)
    app.synth()


if __name__ == "__main__":
    main()
