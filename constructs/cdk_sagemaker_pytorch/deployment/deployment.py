"""Package, deploy, verify: what brings a trained model into service."""

import re
from collections.abc import Mapping
from typing import Any

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from cdk_sagemaker_pytorch.common.container_role import sagemaker_arn
from cdk_sagemaker_pytorch.common.networking import Networking
from cdk_sagemaker_pytorch.common.problems import Problems
from cdk_sagemaker_pytorch.common.stacks import check_stacks
from cdk_sagemaker_pytorch.images.framework_version import FrameworkVersion
from cdk_sagemaker_pytorch.images.pytorch_image import PyTorchImage
from cdk_sagemaker_pytorch.packaging.model_packager import ModelPackager
from cdk_sagemaker_pytorch.packaging.packaging_states import PackagingStates
from cdk_sagemaker_pytorch.serving.elastic_inference import warn_of_accelerator
from cdk_sagemaker_pytorch.serving.inference_code import CODE_DIRECTORY
from cdk_sagemaker_pytorch.serving.inference_container import InferenceContainer
from cdk_sagemaker_pytorch.serving.invokable_endpoint import InvokableEndpoint
from cdk_sagemaker_pytorch.serving.production_variant import ProductionVariant
from cdk_sagemaker_pytorch.serving.settings import Instances, ServingContainer, model_data_members
from cdk_sagemaker_pytorch.source.source_asset import SourceArchive
from cdk_sagemaker_pytorch.source.source_code import SourceCode
from cdk_sagemaker_pytorch.states import jsonata
from cdk_sagemaker_pytorch.states.input_check import check_input
from cdk_sagemaker_pytorch.states.names import RUN_SUFFIX, name_prefix
from cdk_sagemaker_pytorch.training.training_job import PyTorchTrainingJob

from .deployment_input import deployment_input_problems
from .deployment_states import DeploymentStates
from .endpoint_ownership import EndpointOwnership
from .settings import DeploymentOptions, SampleRequest

__all__ = ["PyTorchDeployment"]


class PyTorchDeployment(Construct, InvokableEndpoint):
    """Brings a trained model into service: `deploy` of the SageMaker Python SDK as a state machine.

    Every execution packages a model with the inference code, and creates or updates the endpoint. Deployments
    of one endpoint come one after the other, and the newest wins. A version counts once it is in service and
    has answered its sample request; whatever happens before that leads back to the version that was verified
    last. docs/deployments.md says what is promised, and how.

    The input of an execution is one of ``{"model_data": "s3://..."}``, ``{"training_job_name": "..."}``, a
    job that is completed, and ``{"roll_back": "..."}``, a version that is kept; beside it ``requested_at``,
    when what asked for it began, by which the newest is found; it defaults to the start of the execution.
    Anything else is refused before anything starts. Its output is ``{"outcome", "model_name",
    "model_data_url", "model_data_etag", "endpoint_name", "endpoint_config_name", "warnings"}`` with the
    outcome ``deployed`` or ``superseded``. The entity tag is that of the model in S3 from which the version
    was packaged; null for a prefix of files, and where nothing is packaged.

    The endpoint is made at run time, but belongs to the stack: it is deleted with it.

    Parameters
    ----------
    scope, construct_id
        As for every construct.
    training_job : PyTorchTrainingJob, optional
        Whose models are deployed. Defaults to none; then `model_data_bucket` says where they lie.
    model_data_bucket : s3.IBucket, optional
        Where models lie that no `training_job` made. Defaults to none.
    source_code : SourceCode, optional
        The inference code. Defaults to the bundled handlers, which serve a TorchScript ``model.pt``
        or what the bundled training script saves.
    framework_version : str or FrameworkVersion, optional
        PyTorch version of the serving container. Defaults to the one that trains.
    image : PyTorchImage, optional
        Serving image. Defaults to AWS's inference image of `framework_version`, with its newest Python.
    environment : Mapping of str to str, optional
        Further environment variables of the serving container. Defaults to none.
    container : ServingContainer, optional
        Settings of the model server. Defaults to those of `ServingContainer`.
    networking : Networking, optional
        A VPC, isolation. Defaults to those of `Networking`.
    instance_type : str, optional
        Instance type of the endpoint. Defaults to ``ml.m5.large``.
    initial_instance_count : int, optional
        Defaults to 1.
    accelerator_type : str, optional
        Elastic Inference accelerator, which AWS has discontinued. Defaults to none.
    instances : Instances, optional
        What else the endpoint's instances are given. Defaults to those of `Instances`.
    endpoint_name : str, optional
        Up to 63 lower-case letters, digits and dashes. Defaults to a unique name made from the
        construct's path: another path is another endpoint. Under a name of its own an endpoint stays as it is
        when the construct is renamed or moved; another name means another endpoint, and the old one goes.
    sample_request : SampleRequest or Any, optional
        A request that every new version must answer; a JSON value, for example ``[[0.0, 1.0]]``, is its body.
        Defaults to no request: the container's health check decides.
    retain_versions : int, optional
        How many superseded versions stay for a rollback. Defaults to 1.
    artifacts_bucket : s3.IBucket, optional
        Where packaged models go, below ``models/``. Defaults to one that belongs to the endpoint and is kept
        when the stack is deleted.
    compressed : bool, optional
        Whether models are archives, model.tar.gz, or prefixes of files. Defaults to what `training_job`
        makes, else to archives.
    timeout : Duration, optional
        When an execution is given up, waiting for its turn included; up to a day. Defaults to six hours.
    adopt : bool, optional
        Take over an endpoint of that name that no stack owns and that is in service. It serves on, what it
        serves is what a deployment that fails goes back to, and after the first successful one it is the
        stack's to delete. Defaults to refusing it.
    removal_policy : RemovalPolicy, optional
        What happens to the endpoint and its versions when they leave the stack: ``DESTROY``, or ``RETAIN``,
        which keeps the role and the ledger that they need too. Changing it changes nothing else. Defaults to
        ``DESTROY``.
    packager : ModelPackager or str, optional
        Packages the model; ``"own"`` makes one that nothing else uses. Defaults to the stack's, which reads
        what all its users deploy.

    Attributes
    ----------
    endpoint_name : str
        The endpoint.
    endpoint_arn : str
        Its ARN.
    version_prefix : str
        Prefix of the names of its versions.
    model_role : iam.Role
        Role of the versions' containers.
    artifacts_bucket : s3.IBucket
        Bucket of the packaged models.
    packager : ModelPackager
        Packages the models.
    function : lambda_.Function
        The steps of a deployment.
    state_machine : sfn.StateMachine
        The state machine.

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
        training_job: PyTorchTrainingJob | None = None,
        model_data_bucket: s3.IBucket | None = None,
        source_code: SourceCode | None = None,
        framework_version: str | FrameworkVersion | None = None,
        image: PyTorchImage | None = None,
        environment: Mapping[str, str] | None = None,
        container: ServingContainer | None = None,
        networking: Networking | None = None,
        instance_type: str = "ml.m5.large",
        initial_instance_count: int = 1,
        accelerator_type: str | None = None,
        instances: Instances | None = None,
        endpoint_name: str | None = None,
        sample_request: Any = None,
        retain_versions: int = 1,
        artifacts_bucket: s3.IBucket | None = None,
        compressed: bool | None = None,
        timeout: Duration | None = None,
        adopt: bool = False,
        removal_policy: RemovalPolicy = RemovalPolicy.DESTROY,
        packager: ModelPackager | str | None = None,
    ) -> None:
        problems = Problems(type(self).__name__)
        version = _framework_version(problems, training_job, framework_version)
        instances = Instances.of(instances, problems, "instances")
        variant = ProductionVariant(
            model_name=jsonata.evaluate("$version"),
            framework_version=version,
            instance_type=instance_type,
            initial_instance_count=initial_instance_count,
            accelerator_type=accelerator_type,
            instances=instances,
        )
        runs = InferenceContainer(
            framework_version=version,
            instance_type=instance_type,
            accelerator_type=accelerator_type,
            source_code=source_code,
            image=image,
            environment=environment,
            container=container,
            networking=networking,
            has_default=True,
        )
        options = DeploymentOptions(
            model_data_bucket=model_data_bucket,
            artifacts_bucket=artifacts_bucket,
            compressed=_compressed(training_job, compressed),
            retain_versions=retain_versions,
            timeout=timeout or Duration.hours(6),
            adopt=adopt,
            removal_policy=removal_policy,
            packager=packager,
        )
        variant.check(problems)
        runs.check(problems)
        if isinstance(container, ServingContainer):
            container.check_real_time(problems, "container")
        options.check(problems, "")
        sample = (
            None if sample_request is None else SampleRequest.of(sample_request, problems, "sample_request")
        )
        _check_model_data(problems, training_job, options, version)
        _check_endpoint_name(problems, scope, endpoint_name)
        if training_job is not None:
            check_stacks(problems, scope, "training_job", training_job, training_job.uses)
        problems.raise_if_any()

        super().__init__(scope, construct_id)
        problems.annotate(self)
        warn_of_accelerator(self, accelerator_type, instance_type)
        self.variant_name = instances.variant_name
        self.endpoint_name = endpoint_name or name_prefix(self)
        self.endpoint_arn = sagemaker_arn(self, "endpoint", self.endpoint_name)
        self.packager = ModelPackager.of(self, packager)
        self._options = options
        self._ownership = EndpointOwnership.of(
            self,
            self.endpoint_name,
            artifacts=artifacts_bucket,
            networking=networking or Networking(),
        )
        self.artifacts_bucket = self._ownership.artifacts
        self.function = self._ownership.function
        self.version_prefix = self._ownership.version_prefix
        self.model_role = self._ownership.model_role
        self._grant(training_job, instances)
        self.state_machine = self._new_state_machine(training_job, runs, variant, sample)
        self._ownership.claim(self.state_machine, removal_policy=removal_policy, adopt=adopt)

    @property
    def state_machine_arn(self) -> str:
        """ARN of the state machine: start an execution to deploy, or to roll back."""
        return self.state_machine.state_machine_arn

    def grant_start(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let `grantee` start executions."""
        return self.state_machine.grant_start_execution(grantee)

    def _grant(self, training_job: PyTorchTrainingJob | None, instances: Instances) -> None:
        if training_job is not None:
            training_job.grant_read_output(self.packager)
        if self._options.model_data_bucket is not None:
            self._options.model_data_bucket.grant_read(self.packager)
        self.packager.grant_output(self.artifacts_bucket, self._ownership.artifacts_pattern)
        self.packager.grant_read_output(
            self.model_role, self.artifacts_bucket, self._ownership.artifacts_pattern
        )
        if self._options.adopt:
            self._ownership.allow_adoption()
        if instances.volume_key is not None:
            self._ownership.allow_volume_key(instances.volume_key)

    def _new_state_machine(
        self,
        training_job: PyTorchTrainingJob | None,
        runs: InferenceContainer,
        variant: ProductionVariant,
        sample: SampleRequest | None,
    ) -> sfn.StateMachine:
        scope = self._ownership
        image_uri = runs.bind_image(self, self.model_role)
        archive = runs.bind_code(self)
        assert archive is not None, "a deployment has inference code"  # noqa: S101
        archive.grant_read(self.packager)
        submit_directory = jsonata.evaluate("$packaged.submit_directory")
        variables = runs.variables(self, archive, submit_directory=submit_directory)
        states = DeploymentStates(
            scope,
            "Deployment",
            endpoint_name=self.endpoint_name,
            function=scope.function,
            packaging=self._package_states(training_job, archive, runs.framework_version),
            requests={
                "CreateModel": self._create_model(image_uri, variables),
                "CreateEndpointConfig": _create_endpoint_config(variant),
            },
            sample=None if sample is None else sample.event(),
            retain_versions=self._options.retain_versions,
        )
        return sfn.StateMachine(
            scope,
            "Machine",
            definition_body=sfn.DefinitionBody.from_chainable(self._begin(states)),
            comment=f"Deploys and verifies versions of {self.endpoint_name}",
            timeout=self._options.timeout,
        )

    def _begin(self, states: DeploymentStates) -> sfn.Choice:
        """Refuse an input that is not understood before anything starts; null counts as absent."""
        problems = deployment_input_problems(
            "$states.input", version_prefix=self.version_prefix, compressed=self._options.compressed
        )
        scope = self._ownership
        absent = "{'model_data': null, 'training_job_name': null, 'roll_back': null, 'requested_at': null}"
        begin = sfn.Pass.jsonata(
            scope,
            "Name version",
            assign={
                "version": jsonata.evaluate(
                    "$states.input.roll_back ? $states.input.roll_back"
                    f" : '{self.version_prefix}-' & {RUN_SUFFIX}"
                ),
                "order": jsonata.evaluate(
                    "($states.input.requested_at ? $states.input.requested_at"
                    " : $states.context.Execution.StartTime) & ' ' & $states.context.Execution.Name"
                ),
                "rolls_back": jsonata.evaluate("$boolean($states.input.roll_back)"),
                "training_job_name": jsonata.evaluate("$states.input.training_job_name"),
                "model_data": jsonata.evaluate("$states.input.model_data"),
                "packaged": {
                    "model_data_url": jsonata.evaluate("null"),
                    "submit_directory": jsonata.evaluate("null"),
                    "model_data_etag": jsonata.evaluate("null"),
                },
            },
        )
        begin.next(states)
        return check_input(scope, problems, begin, f"$merge([{absent}, $states.input])")

    def _package_states(
        self, training_job: PyTorchTrainingJob | None, archive: SourceArchive, version: FrameworkVersion
    ) -> PackagingStates:
        models_uri = self._ownership.artifacts_uri
        model_name = "model.tar.gz" if self._options.compressed else "model/"
        model_arns = []
        if training_job is not None:
            model_arns.append(training_job.output_bucket.arn_for_objects(f"{training_job.output.prefix}/*"))
        if self._options.model_data_bucket is not None:
            model_arns.append(self._options.model_data_bucket.arn_for_objects("*"))
        return self.packager.package_states(
            self._ownership,
            "Packaging",
            event={
                "model_data": jsonata.evaluate("$model_data"),
                "output": jsonata.evaluate(f"'{models_uri}/' & $version & '/{model_name}'"),
                "framework_version": version.full,
                **archive.event_fields,
            },
            job_name="$version",
            job_name_prefix=self.version_prefix,
            model_arns=model_arns if self._options.compressed else None,
            submit_directory=(
                jsonata.literal(CODE_DIRECTORY)
                if version.code_in_model_archive
                else f"'{models_uri}/' & $version & '/sourcedir.tar.gz'"
            ),
        )

    def _create_model(self, image_uri: str, environment: Mapping[str, str]) -> dict[str, Any]:
        model_url = jsonata.evaluate("$packaged.model_data_url")
        return {
            "ExecutionRoleArn": self.model_role.role_arn,
            "PrimaryContainer": {
                "Image": image_uri,
                **model_data_members(model_url, self._options.compressed),
                "Environment": dict(environment),
            },
            **self._ownership.network,
        }


def _create_endpoint_config(variant: ProductionVariant) -> dict[str, Any]:
    volume_key = variant.instances.volume_key
    key = {} if volume_key is None else {"KmsKeyId": volume_key.key_arn}
    return {"ProductionVariants": [variant.members()], **key}


def _framework_version(
    problems: Problems,
    training_job: PyTorchTrainingJob | None,
    framework_version: str | FrameworkVersion | None,
) -> FrameworkVersion:
    if training_job is not None:
        problems.require(training_job, PyTorchTrainingJob, "training_job")
    if framework_version is None and training_job is None:
        problems.add(
            "framework_version must be given where no training_job says which PyTorch version trains"
        )
        problems.raise_if_any()
    return FrameworkVersion.of(framework_version or training_job.framework_version)  # type: ignore[union-attr]


def _compressed(training_job: PyTorchTrainingJob | None, compressed: bool | None) -> bool:
    if compressed is not None:
        return compressed
    return training_job is None or training_job.output.compress


def _check_model_data(
    problems: Problems,
    training_job: PyTorchTrainingJob | None,
    options: DeploymentOptions,
    version: FrameworkVersion,
) -> None:
    problems.check(
        training_job is not None or options.model_data_bucket is not None,
        "model_data_bucket or training_job must be given: where the models lie",
    )
    problems.check(
        training_job is None or options.compressed == training_job.output.compress,
        "compressed must be left out where a training_job is given, whose OutputData(compress=...) says it",
    )
    problems.check(
        options.compressed is not False or version.code_in_model_archive,
        (
            "compressed must be True"
            if training_job is None
            else "training_job must compress its output, OutputData(compress=True),"
        )
        + f" for framework_version before 1.2, whose code is an archive of its own, got {version.full}",
    )


def _check_endpoint_name(problems: Problems, scope: Construct, endpoint_name: Any) -> None:
    if endpoint_name is None:
        return
    name = endpoint_name
    is_valid = isinstance(name, str) and re.fullmatch(r"[a-z0-9](-*[a-z0-9]){0,62}", name) is not None
    problems.check(
        is_valid and len(name) <= 63,
        f"endpoint_name must be up to 63 lower-case letters, digits and dashes, got {name}",
    )
    problems.check(
        not is_valid or not EndpointOwnership.exists(scope, name),
        f"endpoint_name must belong to one construct of a stack, got {name} twice",
    )
