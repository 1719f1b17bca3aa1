"""A PyTorch training job, run by Step Functions."""

from collections.abc import Mapping, Sequence
from typing import Any

import jsii
from aws_cdk import Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from cdk_sagemaker_pytorch.common.api_request import request
from cdk_sagemaker_pytorch.common.artifacts_bucket import ArtifactsBucket
from cdk_sagemaker_pytorch.common.container_role import grant_logs_and_metrics, new_container_role
from cdk_sagemaker_pytorch.common.environment import check_environment
from cdk_sagemaker_pytorch.common.image_check import check_image
from cdk_sagemaker_pytorch.common.networking import Networking
from cdk_sagemaker_pytorch.common.problems import Problems
from cdk_sagemaker_pytorch.images.framework_version import FrameworkVersion
from cdk_sagemaker_pytorch.images.pytorch_image import PyTorchImage, PyTorchImageConfig
from cdk_sagemaker_pytorch.scripts.script_annotations import annotate_training_script
from cdk_sagemaker_pytorch.source.source_asset import SourceArchive
from cdk_sagemaker_pytorch.source.source_code import SourceCode
from cdk_sagemaker_pytorch.states import jsonata
from cdk_sagemaker_pytorch.states.names import name_prefix

from .code_channel import CODE_CHANNEL, check_code_channel, code_channel, submit_directory
from .description_size import check_description_size
from .entry_point import check_entry_point, refuse_shadowed_modules
from .execution_input import input_problems
from .hyperparameters import Hyperparameters, own_hyperparameters
from .metric_definitions import check_metric_definitions, metric_names
from .settings import Checkpoints, Compute, JobOptions, OutputData
from .training_input import TrainingInput, check_inputs, inputs_of
from .training_states import TrainingStates

__all__ = ["PyTorchTrainingJob"]


@jsii.implements(iam.IGrantable)
class PyTorchTrainingJob(sfn.StateMachineFragment):
    """Trains a PyTorch script on SageMaker: what `PyTorch(...)` and `fit` do in the SageMaker Python SDK.

    It is a fragment: use it as a step of any state machine, or give it to a `PyTorchPipeline`; where it is
    used more than once, each further use is a step of its own, `states`. Its input may carry, all optional,
    ``hyperparameters`` (an object, merged over the construct's own), ``inputs`` (channel name to S3 URI,
    merged over the construct's own if it has any; grant the job to read what lies elsewhere:
    ``bucket.grant_read(job)``), ``training_job_name``: the job to attach to instead of training a new
    one, and, where it has `checkpoints`, ``resume_from``: the job whose checkpoints to begin with. Its output
    is ``{"training_job_name", "model_data", "metrics", "warnings"}``; a warning names metrics that were
    defined here and that no line of the log had.

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
    inputs : Mapping of str to TrainingInput or str, optional
        The channels by name; a text is an S3 URI. Defaults to none; then an execution can give none either.
    hyperparameters : Mapping of str to Any, optional
        Arguments of the script: JSON values, numbers of NumPy, paths, or tokens. Defaults to none.
    instance_type : str, optional
        Defaults to ``ml.m5.xlarge``.
    instance_count : int, optional
        Number of hosts. Defaults to 1.
    max_run : Duration, optional
        When the job is stopped, up to 28 days. Defaults to one day, as in the SageMaker Python SDK.
    compute : Compute, optional
        Storage of the instances, spot capacity, warm pools. Defaults to those of `Compute`.
    environment : Mapping of str to str, optional
        Environment variables of the container. Defaults to none.
    metric_definitions : Mapping of str to str, or sequence of Mapping, optional
        Name to regular expression with one group, searched in the log; or the SageMaker Python SDK's list.
        Defaults to what the bundled training script prints, and to none for another script.
    torch_distributed : bool, optional
        Start the script with torchrun on every host. Defaults to running it plainly.
    output : OutputData or s3.IBucket, optional
        Where model artifacts go, and how. Defaults to those of `OutputData`.
    checkpoints : Checkpoints or str, optional
        Where ``/opt/ml/checkpoints`` is kept in sync with, each execution's below a prefix of its own; a text
        is the prefix of them all in the output bucket. Defaults to no checkpoints.
    networking : Networking, optional
        A VPC, isolation, encryption between hosts. Defaults to those of `Networking`.
    image : PyTorchImage, optional
        Container image. Defaults to AWS's training image of `framework_version`, with its newest Python.
    role : iam.IRole, optional
        Role of the training job. Defaults to a new one.

    Attributes
    ----------
    inputs : dict of str to TrainingInput
        The channels by name.
    output_bucket : s3.IBucket
        Bucket of the model artifacts.
    output : OutputData
        What else is known of them.
    role : iam.IRole
        Role of the training job.

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
        inputs: Mapping[str, TrainingInput | str] | None = None,
        hyperparameters: Mapping[str, Any] | None = None,
        instance_type: str = "ml.m5.xlarge",
        instance_count: int = 1,
        max_run: Duration | None = None,
        compute: Compute | None = None,
        environment: Mapping[str, str] | None = None,
        metric_definitions: Mapping[str, str] | Sequence[Mapping[str, str]] | None = None,
        torch_distributed: bool = False,
        output: OutputData | s3.IBucket | None = None,
        checkpoints: Checkpoints | str | None = None,
        networking: Networking | None = None,
        image: PyTorchImage | None = None,
        role: iam.IRole | None = None,
    ) -> None:
        self.framework_version = FrameworkVersion.of(framework_version)
        problems = Problems("PyTorchTrainingJob")
        self._options = JobOptions(
            source_code=source_code,
            instance_type=instance_type,
            instance_count=instance_count,
            max_run=Duration.days(1) if max_run is None else max_run,
            torch_distributed=torch_distributed,
            image=image,
            role=role,
        )
        self._options.check(problems, "")
        check_image(problems, image, family="training", framework_version=self.framework_version)
        self._compute = Compute.of(compute, problems, "compute")
        self._compute.check_with(problems, "compute", self._options)
        self.output = OutputData.of(output, problems, "output")
        self._checkpoints = (
            None if checkpoints is None else Checkpoints.of(checkpoints, problems, "checkpoints")
        )
        if self._checkpoints is not None:
            self._checkpoints.check_with(problems, "checkpoints", self.output)
        self._networking = Networking.of(networking, problems, "networking")
        self._given = Hyperparameters(hyperparameters, problems, torch_distributed=torch_distributed)
        self._metrics = check_metric_definitions(problems, metric_definitions, bundled=source_code is None)
        # The bundled script prints some of its own only with a test channel.
        self._expected_metrics = [] if metric_definitions is None else metric_names(self._metrics)
        self._environment = check_environment(problems, environment, shape="TrainingEnvironment")
        check_description_size(problems, self._given.encoded, self._environment)
        check_inputs(problems, inputs)
        self.source_code = source_code or SourceCode.bundled_training()
        if isinstance(self.source_code, SourceCode):
            check_entry_point(problems, self.source_code, self._options, self.framework_version)
        if self._networking.enable_network_isolation:
            check_code_channel(problems, inputs, self.source_code)
        problems.raise_if_any()

        super().__init__(scope, construct_id)
        problems.annotate(self)
        self._compute.warn(self, has_checkpoints=self._checkpoints is not None)
        self.inputs = inputs_of(self, inputs)
        self.instance_type = instance_type
        self.output_bucket = self.output.bucket or ArtifactsBucket(self, "Artifacts")
        self.role = role or new_container_role(self, "Role")
        self.job_name_prefix = name_prefix(self)
        image = image or PyTorchImage.training()
        image_config = image.bind(self, instance_type=instance_type, framework_version=self.framework_version)
        archive = self._bind_code(image.py_version)
        self._grant(archive, image_config)
        self._lineage = (
            self._checkpoints.bind(self, self.role, self.output_bucket) if self._checkpoints else None
        )
        self._request = self._render(archive, image_config.image_uri)
        self._states: TrainingStates | None = None

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
        """The first state of the first use: train, or attach to the job that the input names."""
        return self._own_states().start_state

    @property
    def end_states(self) -> list[sfn.INextable]:
        """The states of the first use after which the job is known and completed."""
        return self._own_states().end_states

    def states(self, scope: Construct | None = None, construct_id: str | None = None) -> "TrainingStates":
        """Make the states for one use of the job: for each state machine, or each place in one, its own.

        Parameters
        ----------
        scope : Construct, optional
            Where they live. Defaults to the job.
        construct_id : str, optional
            Their id there. In one state machine the names of states must differ: there
            ``job.states().prefix_states("Again: ")`` gives them others. Defaults to a new id.
        """
        scope = scope or self
        if construct_id is None:
            count = sum(isinstance(child, TrainingStates) for child in scope.node.children)
            construct_id = f"States{count + 1}" if count else "States"
        return TrainingStates(
            scope,
            construct_id,
            request=self._request,
            job_name_prefix=self.job_name_prefix,
            role=self.role,
            lineage=self._lineage,
            metrics=self._expected_metrics,
        )

    @property
    def uses(self) -> list[Any]:
        """Resources that those of the job refer to: of another stack, they make this one depend on it."""
        return [
            self.output_bucket,
            self.output.key,
            self._compute.volume_key,
            self._networking.vpc,
            self._checkpoints.bucket if self._checkpoints is not None else None,
            *(channel.bucket for channel in self.inputs.values()),
        ]

    def input_problems(self, given: str) -> str:
        """Write JSONata of what is wrong with an execution's input: a text, empty when nothing is.

        Parameters
        ----------
        given : str
            Path of the input, for example ``$states.input``.
        """
        return input_problems(
            given,
            hyperparameters=self._given.encoded,
            own_hyperparameters=self._given.own_count,
            channels=self.inputs,
            own_channels=[CODE_CHANNEL] if self._networking.enable_network_isolation else [],
            has_checkpoints=self._checkpoints is not None,
        )

    def grant_read_output(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let `grantee` read what the training jobs made."""
        return self.output_bucket.grant_read(grantee, f"{self.output.prefix}/*")

    def _own_states(self) -> "TrainingStates":
        if self._states is None:
            self._states = self.states()
        return self._states

    def _bind_code(self, py_version: str | None) -> SourceArchive:
        refuse_shadowed_modules(self, self.source_code)
        annotate_training_script(
            self,
            self.source_code,
            hyperparameters=self._given.values,
            channels=self.inputs,
            environment=self._environment,
            framework_version=self.framework_version,
            py_version=py_version,
        )
        return self.source_code.bind_training(self, "SourceCode")

    def _grant(self, archive: SourceArchive, image: PyTorchImageConfig) -> None:
        archive.grant_read(self.role)
        image.grant_pull(self.role)
        for channel in self.inputs.values():
            channel.grant_read(self.role)
        self.output.grant_to(self.role, self.output_bucket)
        grant_logs_and_metrics(self.role, self, "/aws/sagemaker/TrainingJobs")
        self._compute.grant_to(self.role)

    def _render(self, archive: SourceArchive, image_uri: str) -> dict[str, Any]:
        """Write ``CreateTrainingJob`` but for the name."""
        return request(
            {"RoleArn": self.role.role_arn},
            {"AlgorithmSpecification.TrainingImage": image_uri},
            {"AlgorithmSpecification.TrainingInputMode": "File"},
            self._metrics,
            {"HyperParameters": self._hyperparameters(archive)},
            self.output.members_in(self.output_bucket),
            self._compute.members_with(self._options),
            self._channels(archive),
            {"Environment": self._environment} if self._environment else {},
            self._networking.bind(self, self.role),
            self._checkpoints.members_with() if self._checkpoints else {},
        )

    def _hyperparameters(self, archive: SourceArchive) -> str:
        own = own_hyperparameters(
            archive.entry_point,
            submit_directory(archive, is_isolated=self._networking.enable_network_isolation),
            job_name=TrainingStates.job_name(self.job_name_prefix),
            region=Stack.of(self).region,
            torchrun_on=self.instance_type if self._options.torch_distributed else None,
        )
        given = "$states.input.hyperparameters"
        return jsonata.evaluate(jsonata.hyperparameters(self._given.encoded, own, given))

    def _channels(self, archive: SourceArchive) -> dict[str, Any]:
        channels = [channel.render(name) for name, channel in self.inputs.items()]
        if self._networking.enable_network_isolation:
            channels.append(code_channel(archive))
        if not channels:  # the API refuses an empty list
            return {}
        return {"InputDataConfig": jsonata.evaluate(jsonata.input_channels(channels, "$states.input.inputs"))}
