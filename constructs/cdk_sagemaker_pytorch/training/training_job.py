"""A PyTorch training job, run by Step Functions."""

import json
from collections.abc import Mapping
from typing import Any

import jsii
from aws_cdk import Annotations, Duration, Size, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from cdk_sagemaker_pytorch.common.artifacts_bucket import ArtifactsBucket
from cdk_sagemaker_pytorch.common.container_role import grant_logs_and_metrics, new_container_role
from cdk_sagemaker_pytorch.common.problems import Problems
from cdk_sagemaker_pytorch.images.framework_version import FrameworkVersion
from cdk_sagemaker_pytorch.images.pytorch_image import PyTorchImage
from cdk_sagemaker_pytorch.scripts.script_annotations import annotate_training_script
from cdk_sagemaker_pytorch.source.source_code import SourceCode
from cdk_sagemaker_pytorch.states import jsonata
from cdk_sagemaker_pytorch.states.names import RUN_SUFFIX, name_prefix

from .training_input import TrainingInput
from .training_states import training_states

__all__ = ["PyTorchTrainingJob"]

# Limits of the SageMaker API: CreateTrainingJob, HyperParameters and MaxRuntimeInSeconds.
_MOST_HYPERPARAMETERS = 100
_LONGEST_HYPERPARAMETER = 2500
_LONGEST_RUN = Duration.days(28)

# What the bundled training script prints once an epoch.
_BUNDLED_METRICS = {
    name: rf"{name}=([0-9.eE+-]+);" for name in ("train_loss", "test_loss", "test_accuracy", "test_rmse")
}


@jsii.implements(iam.IGrantable)
class PyTorchTrainingJob(sfn.StateMachineFragment):
    """Trains a PyTorch script on SageMaker: what `PyTorch(...)` and `fit` do in the SageMaker Python SDK.

    It is a fragment: use it as a step of any state machine, or give it to a `PyTorchPipeline`. Its
    input may carry, all optional, ``hyperparameters`` (an object, merged over the construct's own),
    ``inputs`` (channel name to S3 URI, merged over the construct's own if it has any; grant the job
    to read what lies elsewhere: ``bucket.grant_read(job)``) and ``training_job_name``: the job to
    attach to instead of training a new one. Its output is ``{"training_job_name", "model_data",
    "metrics"}``.

    The state machine's role gets what the states need; the training job has a role of its own, which
    may read the source code and the channels and write below its output path, and nothing else.

    Parameters
    ----------
    scope, construct_id
        As for every construct.
    framework_version : str or FrameworkVersion
        PyTorch version, for example ``"2.13"``.
    source_code : SourceCode, optional
        The training script. Defaults to the one that ships with the library.
    inputs : Mapping of str to TrainingInput, optional
        The channels by name. Defaults to none; then an execution can give none either.
    hyperparameters : Mapping of str to Any, optional
        Arguments of the script: JSON values, or tokens. Defaults to none.
    instance_type : str, optional
        Defaults to ``ml.m5.xlarge``.
    instance_count : int, optional
        Number of hosts. Defaults to 1.
    volume_size : Size, optional
        Storage of each host. Defaults to 30 GiB.
    max_run : Duration, optional
        When the job is stopped. Defaults to one day, as in the SageMaker Python SDK.
    use_spot_instances : bool, optional
        Train on spare capacity, which may be interrupted. Defaults to on-demand instances.
    max_wait : Duration, optional
        Longest time for waiting and training together on spot instances. Defaults to `max_run`
        with an hour on top.
    checkpoint_prefix : str, optional
        Prefix in the output bucket that ``/opt/ml/checkpoints`` is kept in sync with. Defaults to no
        checkpoints.
    keep_alive_period : Duration, optional
        How long the instances wait for a next job of the same shape (a warm pool, billed). Defaults
        to not at all.
    environment : Mapping of str to str, optional
        Environment variables of the container. Defaults to none.
    metric_definitions : Mapping of str to str, optional
        Name to regular expression with one group, searched in the log. Defaults to what the bundled
        training script prints, and to none for another script.
    torch_distributed : bool, optional
        Start the script with torchrun on every host. Defaults to running it plainly.
    encrypt_inter_container_traffic : bool, optional
        Encrypt what the hosts send to each other; it slows training down. Defaults to no.
    output_bucket : s3.IBucket, optional
        Where model artifacts go. Defaults to a new `ArtifactsBucket`.
    output_prefix : str, optional
        Key prefix in it. Defaults to ``training``.
    compress_output : bool, optional
        Whether the model artifact is a model.tar.gz. Weights hardly compress: without compression a large
        model is saved, packaged and loaded sooner, as objects below a prefix. Defaults to yes.
    output_key, volume_key : kms.IKey, optional
        Keys for the artifacts and for the hosts' storage. Default to the bucket's encryption and to
        a key of SageMaker's.
    image : PyTorchImage, optional
        Container image. Defaults to AWS's training image of `framework_version`.
    py_version : str, optional
        Python of the image. Defaults to the newest that it comes with.
    role : iam.IRole, optional
        Role of the training job. Defaults to a new one.
    poll_interval : Duration, optional
        How often an attached job is looked at. Defaults to 10 seconds.

    Raises
    ------
    ConfigurationError
        With everything that is wrong with the parameters.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        framework_version: str | FrameworkVersion,
        source_code: SourceCode | None = None,
        inputs: Mapping[str, TrainingInput] | None = None,
        hyperparameters: Mapping[str, Any] | None = None,
        instance_type: str = "ml.m5.xlarge",
        instance_count: int = 1,
        volume_size: Size | None = None,
        max_run: Duration | None = None,
        use_spot_instances: bool = False,
        max_wait: Duration | None = None,
        checkpoint_prefix: str | None = None,
        keep_alive_period: Duration | None = None,
        environment: Mapping[str, str] | None = None,
        metric_definitions: Mapping[str, str] | None = None,
        torch_distributed: bool = False,
        encrypt_inter_container_traffic: bool = False,
        output_bucket: s3.IBucket | None = None,
        output_prefix: str = "training",
        compress_output: bool = True,
        output_key: kms.IKey | None = None,
        volume_key: kms.IKey | None = None,
        image: PyTorchImage | None = None,
        py_version: str | None = None,
        role: iam.IRole | None = None,
        poll_interval: Duration | None = None,
    ) -> None:
        self.framework_version = FrameworkVersion.of(framework_version)
        volume_size = volume_size or Size.gibibytes(30)
        max_run = max_run or Duration.days(1)
        encoded = {name: json.dumps(value) for name, value in (hyperparameters or {}).items()}
        _check(
            instance_type=instance_type,
            instance_count=instance_count,
            volume_size=volume_size,
            max_run=max_run,
            max_wait=max_wait,
            use_spot_instances=use_spot_instances,
            hyperparameters=encoded,
            output_prefix=output_prefix,
        )
        super().__init__(scope, construct_id)
        self.inputs = dict(inputs or {})
        self.instance_type = instance_type
        self.source_code = source_code or SourceCode.bundled_training()
        self.output_bucket = output_bucket or ArtifactsBucket(self, "Artifacts")
        self.output_prefix = output_prefix
        self.compress_output = compress_output
        self.role = role or new_container_role(self, "Role")
        self.job_name_prefix = name_prefix(self)
        if use_spot_instances and checkpoint_prefix is None:
            Annotations.of(self).add_warning_v2(
                "cdk-sagemaker-pytorch:TrainingJob.spotWithoutCheckpoints",
                "a spot interruption starts training from the beginning: set checkpoint_prefix, and"
                " write and read checkpoints in /opt/ml/checkpoints",
            )

        archive = self.source_code.bind_training(self, "SourceCode")
        image_config = (image or PyTorchImage.training(self.framework_version, py_version=py_version)).bind(
            self, instance_type=instance_type
        )
        annotate_training_script(
            self,
            self.source_code,
            hyperparameters=hyperparameters or {},
            channels=self.inputs,
            framework_version=self.framework_version,
            py_version=py_version,
        )
        output_uri = self.output_bucket.s3_url_for_object(output_prefix)

        archive.grant_read(self.role)
        image_config.grant_pull(self.role)
        for channel in self.inputs.values():
            channel.grant_read(self.role)
        self.output_bucket.grant_put(self.role, f"{output_prefix}/*")
        if checkpoint_prefix is not None:
            self.output_bucket.grant_read_write(self.role, f"{checkpoint_prefix}/*")
        if output_key is not None:
            output_key.grant_encrypt_decrypt(self.role)
        if volume_key is not None:
            # SageMaker attaches the encrypted storage in the name of the role.
            volume_key.grant(self.role, "kms:CreateGrant", "kms:Decrypt", "kms:GenerateDataKey*")
        grant_logs_and_metrics(self.role, self, "/aws/sagemaker/TrainingJobs")

        resources: dict[str, Any] = {
            "InstanceType": instance_type,
            "InstanceCount": instance_count,
            "VolumeSizeInGB": volume_size.to_gibibytes(),
        }
        if volume_key is not None:
            resources["VolumeKmsKeyId"] = volume_key.key_arn
        if keep_alive_period is not None:
            resources["KeepAlivePeriodInSeconds"] = keep_alive_period.to_seconds()
        stopping: dict[str, Any] = {"MaxRuntimeInSeconds": max_run.to_seconds()}
        if use_spot_instances:
            wait = max_wait or max_run.plus(Duration.hours(1))
            stopping["MaxWaitTimeInSeconds"] = wait.to_seconds()
        output: dict[str, Any] = {"S3OutputPath": output_uri}
        if not compress_output:
            output["CompressionType"] = "NONE"
        if output_key is not None:
            output["KmsKeyId"] = output_key.key_arn
        algorithm: dict[str, Any] = {"TrainingImage": image_config.image_uri, "TrainingInputMode": "File"}
        if metric_definitions is None:
            metric_definitions = _BUNDLED_METRICS if source_code is None else {}
        if metric_definitions:
            algorithm["MetricDefinitions"] = [
                {"Name": name, "Regex": regex} for name, regex in metric_definitions.items()
            ]
        job_name = f"'{self.job_name_prefix}-' & {RUN_SUFFIX}"
        own = {
            "sagemaker_program": jsonata.literal(json.dumps(archive.entry_point)),
            "sagemaker_submit_directory": f"'\"{archive.s3_uri}\"'",
            "sagemaker_region": f"'\"{Stack.of(self).region}\"'",
            "sagemaker_job_name": f"'\"' & {job_name} & '\"'",
            "sagemaker_container_log_level": "'20'",
        }
        if torch_distributed:
            own["sagemaker_torch_distributed_enabled"] = "'true'"
            own["sagemaker_instance_type"] = f"'\"{instance_type}\"'"
        channels = [channel.render(name) for name, channel in self.inputs.items()]
        arguments: dict[str, Any] = {
            "TrainingJobName": jsonata.evaluate(job_name),
            "RoleArn": self.role.role_arn,
            "AlgorithmSpecification": algorithm,
            "HyperParameters": jsonata.evaluate(
                jsonata.hyperparameters(encoded, own, "$states.input.hyperparameters")
            ),
            "OutputDataConfig": output,
            "ResourceConfig": resources,
            "StoppingCondition": stopping,
        }
        if channels:  # the API refuses an empty list
            arguments["InputDataConfig"] = jsonata.evaluate(
                jsonata.input_channels(channels, "$states.input.inputs")
            )
        if environment:
            arguments["Environment"] = dict(environment)
        if use_spot_instances:
            arguments["EnableManagedSpotTraining"] = True
        if encrypt_inter_container_traffic:
            arguments["EnableInterContainerTrafficEncryption"] = True
        if checkpoint_prefix is not None:
            arguments["CheckpointConfig"] = {"S3Uri": self.output_bucket.s3_url_for_object(checkpoint_prefix)}
        self._start, self._ends = training_states(
            self,
            arguments=arguments,
            job_name_prefix=self.job_name_prefix,
            role=self.role,
            poll_interval=poll_interval or Duration.seconds(10),
        )

    @property
    def grant_principal(self) -> iam.IPrincipal:
        """The training job's role: grant it what the script needs besides its channels."""
        return self.role.grant_principal

    @property
    def id(self) -> str:
        """Id of the construct."""
        return self.node.id

    @property
    def start_state(self) -> sfn.State:
        """The first state: train, or attach to the job that the input names."""
        return self._start

    @property
    def end_states(self) -> list[sfn.INextable]:
        """The states after which the job is known and completed."""
        return self._ends

    def grant_read_output(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let `grantee` read what the training jobs made."""
        return self.output_bucket.grant_read(grantee, f"{self.output_prefix}/*")


def _check(
    *,
    instance_type: str,
    instance_count: int,
    volume_size: Size,
    max_run: Duration,
    max_wait: Duration | None,
    use_spot_instances: bool,
    hyperparameters: Mapping[str, str],
    output_prefix: str,
) -> None:
    problems = Problems("PyTorchTrainingJob")
    problems.check_instance_type("instance_type", instance_type)
    problems.check_at_least("instance_count", instance_count, 1)
    problems.check_at_least("volume_size", volume_size.to_gibibytes(), 1)
    if not max_run.is_unresolved():
        seconds = max_run.to_seconds()
        problems.check(
            1 <= seconds <= _LONGEST_RUN.to_seconds(),
            f"max_run must be between 1 second and 28 days, got {seconds} seconds",
        )
    if max_wait is not None:
        problems.check(use_spot_instances, "max_wait needs use_spot_instances=True")
        if not (max_wait.is_unresolved() or max_run.is_unresolved()):
            problems.check(
                max_wait.to_seconds() >= max_run.to_seconds(),
                f"max_wait must be at least max_run ({max_run.to_seconds()} seconds),"
                f" got {max_wait.to_seconds()} seconds",
            )
    problems.check(
        len(hyperparameters) <= _MOST_HYPERPARAMETERS,
        f"hyperparameters must be at most {_MOST_HYPERPARAMETERS}, got {len(hyperparameters)}",
    )
    for name, value in hyperparameters.items():
        problems.check(
            len(value) <= _LONGEST_HYPERPARAMETER,
            f"hyperparameters must have at most {_LONGEST_HYPERPARAMETER} characters each as JSON,"
            f" got {len(value)} for {name}",
        )
        problems.check(
            not name.startswith("sagemaker_"),
            f"hyperparameters beginning with sagemaker_ belong to the container, got {name}",
        )
    problems.check(
        bool(output_prefix) and not output_prefix.startswith("/") and not output_prefix.endswith("/"),
        f"output_prefix must be a key prefix without slashes at its ends, got {output_prefix!r}",
    )
    problems.raise_if_any()
