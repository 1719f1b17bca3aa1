"""The app that tests/local deploys: a trained pipeline, a scripted one, two hosts, and a failing script."""

from pathlib import Path

from aws_cdk import App, CfnOutput, Size, Stack
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from cdk_sagemaker_pytorch import (
    ArtifactsBucket,
    ModelPackager,
    Networking,
    OutputData,
    PyTorchPipeline,
    PyTorchTrainingJob,
    SourceCode,
    TrainingInput,
)

SCRIPTS = Path(__file__).parent / "scripts"


class Pipelines(Stack):
    """Everything, over one bucket of data."""

    def __init__(self, scope: Construct, construct_id: str) -> None:
        super().__init__(scope, construct_id)
        self.data = ArtifactsBucket(self, "Data")
        train = {"train": TrainingInput.from_bucket(self.data, "first/")}
        CfnOutput(self, "DataBucket", value=self.data.bucket_name)

        trained = PyTorchTrainingJob(
            self,
            "TrainedJob",
            framework_version="2.13",
            inputs=train,
            hyperparameters={"epochs": 20, "hidden-sizes": "16"},
        )
        self.data.grant_read(trained, "second/*")  # an execution will train on it instead
        self.pipeline("Trained", trained, None)
        self.pipeline(
            "Scripted",
            PyTorchTrainingJob(
                self,
                "ScriptedJob",
                framework_version="2.6",
                source_code=SourceCode.from_file(SCRIPTS / "write_answer.py"),
                metric_definitions={"answer": "answer=([0-9.]+)"},
            ),
            SourceCode.from_file(SCRIPTS / "serve_answer.py"),
        )
        for name, compressed, limit in (("Large", True, Size.kibibytes(0)), ("Uncompressed", False, None)):
            self.pipeline(
                name,
                PyTorchTrainingJob(
                    self,
                    f"{name}Job",
                    framework_version="2.6",
                    source_code=SourceCode.from_file(SCRIPTS / "write_answer.py"),
                    hyperparameters={"answer": name},
                    output=OutputData(compress=compressed),
                    networking=Networking(enable_network_isolation=not compressed),
                ),
                SourceCode.from_file(SCRIPTS / "serve_answer.py"),
                ModelPackager(self, f"{name}Packager", function_limit=limit),
            )
        for name, script, hosts in (("TwoHosts", "two_hosts.py", 2), ("Failing", "raise_error.py", 1)):
            job = PyTorchTrainingJob(
                self,
                f"{name}Job",
                framework_version="2.13",
                source_code=SourceCode.from_file(SCRIPTS / script),
                inputs=train if name == "Failing" else {},
                instance_count=hosts,
            )
            machine = sfn.StateMachine(self, name, definition_body=sfn.DefinitionBody.from_chainable(job))
            CfnOutput(self, f"{name}Machine", value=machine.state_machine_arn)

    def pipeline(
        self,
        name: str,
        job: PyTorchTrainingJob,
        source_code: SourceCode | None,
        packager: ModelPackager | None = None,
    ) -> None:
        """Add a pipeline, and say where it is."""
        pipeline = PyTorchPipeline(
            self,
            name,
            training_job=job,
            source_code=source_code,
            packager=packager,
            sample_request=[[0.5, 0.5]],
        )
        CfnOutput(self, f"{name}Machine", value=pipeline.state_machine_arn)
        CfnOutput(self, f"{name}Endpoint", value=pipeline.endpoint_name)


app = App()
Pipelines(app, "Pipelines")
app.synth()
