"""Train or attach, package, deploy, verify: one state machine."""

from collections.abc import Mapping
from typing import Any

from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from cdk_sagemaker_pytorch.common.container_role import sagemaker_arn
from cdk_sagemaker_pytorch.common.problems import Problems
from cdk_sagemaker_pytorch.deployment.endpoint_deployment import EndpointDeployment
from cdk_sagemaker_pytorch.deployment.endpoint_ownership import EndpointOwnership
from cdk_sagemaker_pytorch.images.framework_version import FrameworkVersion
from cdk_sagemaker_pytorch.images.pytorch_image import PyTorchImage
from cdk_sagemaker_pytorch.packaging.model_packager import ModelPackager
from cdk_sagemaker_pytorch.scripts.script_annotations import annotate_inference_script
from cdk_sagemaker_pytorch.serving.elastic_inference import check_accelerator, warn_of_accelerator
from cdk_sagemaker_pytorch.serving.endpoint import endpoint_metric, grant_invoke_endpoint
from cdk_sagemaker_pytorch.serving.inference_code import (
    CODE_DIRECTORY,
    check_inference_code,
    default_inference_code,
    serving_environment,
)
from cdk_sagemaker_pytorch.serving.production_variant import ProductionVariant
from cdk_sagemaker_pytorch.source.source_code import SourceCode
from cdk_sagemaker_pytorch.states import jsonata
from cdk_sagemaker_pytorch.states.names import RUN_SUFFIX, name_prefix
from cdk_sagemaker_pytorch.states.task_state import TaskState, integration_arn
from cdk_sagemaker_pytorch.training.training_job import PyTorchTrainingJob

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
    `PyTorchTrainingJob`. Its output is ``{"training_job_name", "metrics", "model_name",
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
    instance_type : str, optional
        Instance type of the endpoint. Defaults to ``ml.m5.large``.
    initial_instance_count : int, optional
        Defaults to 1.
    accelerator_type : str, optional
        Elastic Inference accelerator, which AWS has discontinued. Defaults to none.
    endpoint_name : str, optional
        Up to 63 lower-case letters, digits and dashes. Defaults to a unique name made from the
        construct's path: another path is another endpoint. Under a name of its own an endpoint stays as it is
        when the construct is renamed or moved; another name means another endpoint, and the old one goes.
    variant_name : str, optional
        Defaults to ``AllTraffic``.
    environment : Mapping of str to str, optional
        Further environment variables of the serving container. Defaults to none.
    model_server_workers : int, optional
        Worker processes, each with a copy of the model. Defaults to the container's choice.
    response_timeout : Duration, optional
        Longest time for one answer. Defaults to the container's: 60 seconds, Ray Serve 300.
    startup_timeout : Duration, optional
        How long the container may take to load the model. Defaults to SageMaker's own.
    sample_request : Any, optional
        Body of a request that every new version must answer, as JSON, for example ``[[0.0, 1.0]]``.
        Defaults to no request: the container's health check decides.
    retain_versions : int, optional
        How many superseded versions stay for a rollback. Defaults to 1.
    removal_policy : RemovalPolicy, optional
        What happens to the endpoint and its versions when they leave the stack: ``DESTROY``, or ``RETAIN``,
        which keeps the role that they need too. Changing it changes nothing else. Defaults to ``DESTROY``.
    volume_key : kms.IKey, optional
        Key for the storage of the endpoint's instances. Defaults to a key of SageMaker's.
    image : PyTorchImage, optional
        Serving image. Defaults to AWS's inference image of `framework_version`.
    packager : ModelPackager, optional
        Defaults to the stack's own.
    poll_interval : Duration, optional
        How often the endpoint is looked at while it changes. Defaults to 5 seconds.

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
        instance_type: str = "ml.m5.large",
        initial_instance_count: int = 1,
        accelerator_type: str | None = None,
        endpoint_name: str | None = None,
        variant_name: str = "AllTraffic",
        environment: Mapping[str, str] | None = None,
        model_server_workers: int | None = None,
        response_timeout: Duration | None = None,
        startup_timeout: Duration | None = None,
        sample_request: Any = None,
        retain_versions: int = 1,
        removal_policy: RemovalPolicy = RemovalPolicy.DESTROY,
        volume_key: kms.IKey | None = None,
        image: PyTorchImage | None = None,
        packager: ModelPackager | None = None,
        poll_interval: Duration | None = None,
    ) -> None:
        version = (
            FrameworkVersion.of(framework_version)
            if framework_version is not None
            else training_job.framework_version
        )
        variant = ProductionVariant(
            model_name=jsonata.evaluate("$version"),
            framework_version=version,
            instance_type=instance_type,
            initial_instance_count=initial_instance_count,
            variant_name=variant_name,
            accelerator_type=accelerator_type,
            startup_timeout=startup_timeout,
        )
        problems = Problems("PyTorchPipeline")
        variant.check(problems)
        check_accelerator(problems, accelerator_type, version)
        check_inference_code(problems, source_code, version, has_default=True)
        problems.check_at_least("model_server_workers", model_server_workers, 1)
        problems.check_at_least("retain_versions", retain_versions, 0)
        problems.check(
            endpoint_name is None or _is_endpoint_name(endpoint_name),
            f"endpoint_name must be up to 63 lower-case letters, digits and dashes, got {endpoint_name}",
        )
        problems.check(
            endpoint_name is None or not EndpointOwnership.exists(scope, endpoint_name),
            f"endpoint_name must belong to one construct of a stack, got {endpoint_name} twice",
        )
        problems.check(
            training_job.compress_output or version.code_in_model_archive,
            "training_job must compress its output for framework_version before 1.2, whose code is an archive"
            f" of its own, got compress_output=False with {version.full}",
        )
        problems.raise_if_any()

        super().__init__(scope, construct_id)
        warn_of_accelerator(self, accelerator_type, instance_type)
        self.training_job = training_job
        self.variant_name = variant_name
        self.endpoint_name = endpoint_name or name_prefix(self)
        self.endpoint_arn = sagemaker_arn(self, "endpoint", self.endpoint_name)
        self.packager = packager or ModelPackager.of(self)
        artifacts = training_job.output_bucket
        ownership = EndpointOwnership.of(
            self,
            self.endpoint_name,
            artifacts=artifacts,
            artifacts_prefix=_MODELS_PREFIX,
            removal_policy=removal_policy,
        )
        self.version_prefix = ownership.version_prefix
        self.model_role = ownership.model_role

        image_config = (image or PyTorchImage.inference(version, accelerator_type=accelerator_type)).bind(
            self, instance_type=instance_type
        )
        image_config.grant_pull(self.model_role)

        inference_code = source_code or default_inference_code(accelerator_type)
        archive = inference_code.bind_inference(self, "SourceCode", with_handlers=version.ships_handlers)
        annotate_inference_script(
            self, inference_code, framework_version=version, accelerator_type=accelerator_type
        )
        archive.grant_read(self.packager)
        training_job.grant_read_output(self.packager)
        models = f"{_MODELS_PREFIX}/*"
        self.packager.grant_output(artifacts, models)
        self.packager.grant_read_output(self.model_role, artifacts, models)

        models_uri = artifacts.s3_url_for_object(_MODELS_PREFIX)
        compressed = training_job.compress_output
        model_name = "model.tar.gz" if compressed else "model/"
        begin = sfn.Pass.jsonata(
            self,
            "Name version",
            assign={
                "training": jsonata.evaluate("$states.input"),
                "version": jsonata.evaluate(f"'{self.version_prefix}-' & {RUN_SUFFIX}"),
            },
        )
        package = self.packager.package_states(
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
            model_arns=artifacts.arn_for_objects(f"{training_job.output_prefix}/*") if compressed else None,
            submit_directory=(
                jsonata.literal(CODE_DIRECTORY)
                if version.code_in_model_archive
                else f"'{models_uri}/' & $version & '/sourcedir.tar.gz'"
            ),
        )
        create_model = TaskState(
            self,
            "Create model",
            resource=integration_arn(self, "aws-sdk:sagemaker:createModel"),
            arguments={
                "ModelName": jsonata.evaluate("$version"),
                "ExecutionRoleArn": self.model_role.role_arn,
                "PrimaryContainer": {
                    "Image": image_config.image_uri,
                    **_model_data(jsonata.evaluate("$packaged.model_data_url"), compressed),
                    "Environment": {
                        **serving_environment(
                            version,
                            entry_point=archive.entry_point,
                            has_handlers=archive.has_handlers,
                            submit_directory=jsonata.evaluate("$packaged.submit_directory"),
                            region=Stack.of(self).region,
                            model_server_workers=model_server_workers,
                            response_timeout=response_timeout,
                        ),
                        **(environment or {}),
                    },
                },
            },
            statements=[
                iam.PolicyStatement(
                    actions=["sagemaker:CreateModel"],
                    resources=[ownership.version_arns("model")],
                ),
                iam.PolicyStatement(
                    actions=["iam:PassRole"],
                    resources=[self.model_role.role_arn],
                    conditions={"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
                ),
            ],
        )
        deployment = EndpointDeployment(
            self,
            "Deployment",
            endpoint_name=self.endpoint_name,
            variant=variant,
            volume_key=volume_key,
            sample_request=sample_request,
            ownership=ownership,
            retain_versions=retain_versions,
            poll_interval=poll_interval or Duration.seconds(5),
        )
        deployment.remove_on_failure(create_model)
        self.state_machine = sfn.StateMachine(
            self,
            "Resource",
            definition_body=sfn.DefinitionBody.from_chainable(
                sfn.Chain.start(training_job).next(begin).next(package).next(create_model).next(deployment)
            ),
            comment="Trains, packages, deploys and verifies a PyTorch model",
        )
        # Deleted in reverse: first nothing can start any more, then the endpoint goes.
        self.state_machine.node.add_dependency(ownership)

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


def _model_data(uri: str, compressed: bool) -> dict[str, Any]:
    """Render where a container finds its model."""
    if compressed:
        return {"ModelDataUrl": uri}
    source = {"S3Uri": uri, "S3DataType": "S3Prefix", "CompressionType": "None"}
    return {"ModelDataSource": {"S3DataSource": source}}


def _is_endpoint_name(name: str) -> bool:
    return (
        0 < len(name) <= 63
        and name.isascii()
        and name.replace("-", "").isalnum()
        and name == name.lower()
        and not name.startswith("-")
        and not name.endswith("-")
    )
