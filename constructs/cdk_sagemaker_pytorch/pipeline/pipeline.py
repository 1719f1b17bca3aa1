"""Train or attach, package, deploy, verify: one state machine."""

import re
from collections.abc import Mapping
from typing import Any

from aws_cdk import RemovalPolicy
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from cdk_sagemaker_pytorch.common.container_role import sagemaker_arn
from cdk_sagemaker_pytorch.common.json_values import plain_json
from cdk_sagemaker_pytorch.common.networking import Networking
from cdk_sagemaker_pytorch.common.problems import Problems
from cdk_sagemaker_pytorch.common.stacks import check_stacks
from cdk_sagemaker_pytorch.deployment.endpoint_deployment import EndpointDeployment
from cdk_sagemaker_pytorch.deployment.endpoint_ownership import EndpointOwnership
from cdk_sagemaker_pytorch.images.framework_version import FrameworkVersion
from cdk_sagemaker_pytorch.images.pytorch_image import PyTorchImage
from cdk_sagemaker_pytorch.packaging.model_packager import ModelPackager
from cdk_sagemaker_pytorch.packaging.packaging_states import PackagingStates
from cdk_sagemaker_pytorch.serving.elastic_inference import warn_of_accelerator
from cdk_sagemaker_pytorch.serving.endpoint import endpoint_metric, grant_invoke_endpoint
from cdk_sagemaker_pytorch.serving.inference_code import CODE_DIRECTORY
from cdk_sagemaker_pytorch.serving.inference_container import InferenceContainer
from cdk_sagemaker_pytorch.serving.production_variant import ProductionVariant
from cdk_sagemaker_pytorch.serving.settings import Instances, ServingContainer, model_data_members
from cdk_sagemaker_pytorch.source.source_code import SourceArchive, SourceCode
from cdk_sagemaker_pytorch.states import jsonata
from cdk_sagemaker_pytorch.states.names import RUN_SUFFIX, name_prefix
from cdk_sagemaker_pytorch.states.task_state import TaskState, integration_arn
from cdk_sagemaker_pytorch.training.execution_input import EXECUTION_INPUT
from cdk_sagemaker_pytorch.training.training_job import PyTorchTrainingJob

from .settings import PipelineOptions

__all__ = ["PyTorchPipeline"]

_MODELS_PREFIX = "models"


class PyTorchPipeline(Construct):
    """Trains a model and serves it: `fit` and `deploy` of the SageMaker Python SDK as a state machine.

    Every execution trains, or attaches to the training job that its input names, packages the model
    with the inference code, and creates or updates the endpoint. A version that does not come into
    service, or does not answer the sample request, is removed again, the endpoint goes back to the
    version before, and the execution fails with the reason.

    The endpoint is made at run time, but belongs to the stack: it is deleted with it.

    The input of an execution may carry ``hyperparameters``, ``inputs`` and ``training_job_name``, see
    `PyTorchTrainingJob`; any other member, or a value that cannot be meant, is refused before anything
    starts. Its output is ``{"training_job_name", "metrics", "model_name",
    "model_data_url", "endpoint_name", "endpoint_config_name"}``.

    Parameters
    ----------
    scope, construct_id
        As for every construct.
    training_job : PyTorchTrainingJob
        What to train.
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
    sample_request : Any, optional
        Body of a request that every new version must answer, as JSON, for example ``[[0.0, 1.0]]``.
        Defaults to no request: the container's health check decides.
    retain_versions : int, optional
        How many superseded versions stay for a rollback. Defaults to 1.
    removal_policy : RemovalPolicy, optional
        What happens to the endpoint and its versions when they leave the stack: ``DESTROY``, or ``RETAIN``,
        which keeps the role that they need too. Changing it changes nothing else. Defaults to ``DESTROY``.
    packager : ModelPackager, optional
        Defaults to the stack's own.

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
        training_job: PyTorchTrainingJob,
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
        removal_policy: RemovalPolicy = RemovalPolicy.DESTROY,
        packager: ModelPackager | None = None,
    ) -> None:
        problems = Problems("PyTorchPipeline")
        problems.require(training_job, PyTorchTrainingJob, "training_job")
        version = FrameworkVersion.of(framework_version or training_job.framework_version)
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
        variant.check(problems)
        PipelineOptions(
            retain_versions=retain_versions, removal_policy=removal_policy, packager=packager
        ).check(problems, "")
        runs.check(problems)
        sample_request = _plain_request(problems, sample_request)
        _check_endpoint_name(problems, scope, endpoint_name)
        _check_archives(problems, training_job, version)
        check_stacks(problems, scope, "training_job", training_job, training_job.uses)
        problems.raise_if_any()

        super().__init__(scope, construct_id)
        problems.annotate(self)
        warn_of_accelerator(self, accelerator_type, instance_type)
        self.training_job = training_job
        self.variant_name = instances.variant_name
        self.endpoint_name = endpoint_name or name_prefix(self)
        self.endpoint_arn = sagemaker_arn(self, "endpoint", self.endpoint_name)
        self.packager = packager or ModelPackager.of(self)
        self._ownership = EndpointOwnership.of(
            self,
            self.endpoint_name,
            artifacts=training_job.output_bucket,
            artifacts_prefix=_MODELS_PREFIX,
            networking=networking or Networking(),
            removal_policy=removal_policy,
        )
        self.version_prefix = self._ownership.version_prefix
        self.model_role = self._ownership.model_role
        self.state_machine = self._state_machine(
            runs, variant, sample_request=sample_request, retain_versions=retain_versions
        )

    @property
    def state_machine_arn(self) -> str:
        """ARN of the state machine: start an execution to train and deploy."""
        return self.state_machine.state_machine_arn

    def grant_start(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let `grantee` start executions."""
        return self.state_machine.grant_start_execution(grantee)

    def grant_invoke(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let `grantee` invoke the endpoint."""
        return grant_invoke_endpoint(grantee, self.endpoint_arn)

    def metric(self, metric_name: str, **options: Any) -> cloudwatch.Metric:
        """Get a metric of the endpoint's variant.

        Parameters
        ----------
        metric_name : str
            For example ``Invocations`` or ``ModelLatency``.
        **options
            Further properties of `aws_cloudwatch.Metric`, for example ``statistic``.
        """
        return endpoint_metric(self.endpoint_name, self.variant_name, metric_name, **options)

    def _state_machine(
        self, runs: InferenceContainer, variant: ProductionVariant, **options: Any
    ) -> sfn.StateMachine:
        deployment = EndpointDeployment(
            self,
            "Deployment",
            endpoint_name=self.endpoint_name,
            variant=variant,
            ownership=self._ownership,
            **options,
        )
        image_uri = runs.bind_image(self, self.model_role)
        archive = runs.bind_code(self)
        assert archive is not None, "a pipeline has inference code"  # noqa: S101
        archive.grant_read(self.packager)
        package = self._package_states(archive, runs.framework_version)
        submit_directory = jsonata.evaluate("$packaged.submit_directory")
        variables = runs.variables(self, archive, submit_directory=submit_directory)
        create_model = self._create_model(image_uri, variables)
        deployment.remove_on_failure(create_model)
        machine = sfn.StateMachine(
            self,
            "Resource",
            definition_body=sfn.DefinitionBody.from_chainable(
                self._check_input(
                    sfn.Chain.start(self.training_job.states())
                    .next(self._name_version())
                    .next(package)
                    .next(create_model)
                    .next(deployment)
                )
            ),
            comment="Trains, packages, deploys and verifies a PyTorch model",
        )
        # Deleted in reverse: first nothing can start any more, then the endpoint goes.
        machine.node.add_dependency(self._ownership)
        return machine

    def _check_input(self, understood: sfn.IChainable) -> sfn.Choice:
        """Refuse an input that is not understood, before anything starts; null counts as absent."""
        problems = self.training_job.input_problems("$states.input")
        refused = sfn.Fail.jsonata(
            self, "Input refused", error="InputRefused", cause=jsonata.evaluate(problems)
        )
        given = (
            "$merge([{}, $sift($states.input, function($value, $name)"
            f" {{$name in {jsonata.literal(EXECUTION_INPUT)} and $value != null}})])"
        )
        return (
            sfn.Choice.jsonata(self, "Input understood?")
            .when(
                sfn.Condition.jsonata(jsonata.evaluate(f"{problems} = ''")),
                understood,
                outputs=jsonata.evaluate(given),
            )
            .otherwise(refused)
        )

    def _name_version(self) -> sfn.Pass:
        return sfn.Pass.jsonata(
            self,
            "Name version",
            assign={
                "training": jsonata.evaluate("$states.input"),
                "version": jsonata.evaluate(f"'{self.version_prefix}-' & {RUN_SUFFIX}"),
            },
        )

    def _package_states(self, archive: SourceArchive, version: FrameworkVersion) -> PackagingStates:
        output, artifacts = self.training_job.output, self.training_job.output_bucket
        models = f"{_MODELS_PREFIX}/*"
        self.training_job.grant_read_output(self.packager)
        self.packager.grant_output(artifacts, models)
        self.packager.grant_read_output(self.model_role, artifacts, models)
        models_uri = artifacts.s3_url_for_object(_MODELS_PREFIX)
        model_name = "model.tar.gz" if output.compress else "model/"
        return self.packager.package_states(
            self,
            "Packaging",
            event={
                "model_data": jsonata.evaluate("$training.model_data"),
                "source_code": archive.s3_uri,
                "output": jsonata.evaluate(f"'{models_uri}/' & $version & '/{model_name}'"),
                "framework_version": version.full,
                "entry_point": archive.entry_point,
            },
            job_name="$version",
            job_name_prefix=self.version_prefix,
            model_arns=artifacts.arn_for_objects(f"{output.prefix}/*") if output.compress else None,
            submit_directory=(
                jsonata.literal(CODE_DIRECTORY)
                if version.code_in_model_archive
                else f"'{models_uri}/' & $version & '/sourcedir.tar.gz'"
            ),
        )

    def _create_model(self, image_uri: str, environment: Mapping[str, str]) -> TaskState:
        model_url = jsonata.evaluate("$packaged.model_data_url")
        return TaskState(
            self,
            "Create model",
            resource=integration_arn(self, "aws-sdk:sagemaker:createModel"),
            arguments={
                "ModelName": jsonata.evaluate("$version"),
                "ExecutionRoleArn": self.model_role.role_arn,
                "PrimaryContainer": {
                    "Image": image_uri,
                    **model_data_members(model_url, self.training_job.output.compress),
                    "Environment": dict(environment),
                },
                **self._ownership.network,
            },
            statements=[
                iam.PolicyStatement(
                    actions=["sagemaker:CreateModel"], resources=[self._ownership.version_arns("model")]
                ),
                iam.PolicyStatement(
                    actions=["iam:PassRole"],
                    resources=[self.model_role.role_arn],
                    conditions={"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
                ),
            ],
        )


def _plain_request(problems: Problems, sample_request: Any) -> Any:
    """Note a sample request that is no JSON, and return it as JSON has it."""
    try:
        return plain_json(sample_request)
    except ValueError as error:
        problems.add(f"sample_request {error}")
        return None


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


def _check_archives(problems: Problems, training_job: PyTorchTrainingJob, version: FrameworkVersion) -> None:
    problems.check(
        training_job.output.compress or version.code_in_model_archive,
        "training_job must compress its output for framework_version before 1.2, whose code is an archive"
        f" of its own, got OutputData(compress=False) with {version.full}",
    )
