"""A PyTorch model on SageMaker."""

from collections.abc import Mapping
from typing import Any

import jsii
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_s3_assets as s3_assets
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from cdk_sagemaker_pytorch.common.api_request import cloudformation_properties, request
from cdk_sagemaker_pytorch.common.container_role import grant_logs_and_metrics, new_container_role
from cdk_sagemaker_pytorch.common.networking import Networking
from cdk_sagemaker_pytorch.common.problems import Problems
from cdk_sagemaker_pytorch.images.framework_version import FrameworkVersion
from cdk_sagemaker_pytorch.images.pytorch_image import PyTorchImage
from cdk_sagemaker_pytorch.packaging.model_data import ModelData
from cdk_sagemaker_pytorch.packaging.model_packager import ModelPackager
from cdk_sagemaker_pytorch.packaging.packaged_model import PackagedModel, package_at_deployment
from cdk_sagemaker_pytorch.source.source_asset import SourceArchive
from cdk_sagemaker_pytorch.source.source_code import SourceCode

from .inference_code import CODE_DIRECTORY
from .inference_container import InferenceContainer
from .model_layout import check_model_layout
from .settings import ModelOptions, ServingContainer

__all__ = ["PyTorchModel"]


@jsii.implements(iam.IGrantable)
class PyTorchModel(Construct):
    """A model with its inference code: what `PyTorchModel(...)` does in the SageMaker Python SDK.

    At deployment the model packager copies the model data, with the source code in the layout that
    the version's container expects, to a bucket of the stack. Model data in S3 without source code is
    used where it lies, except after PyTorch 2.6: there the library's handlers join it, which run its
    ``code/inference.py``, unless the environment names an application in ``SM_RAYSERVE_APP``.

    Parameters
    ----------
    scope, construct_id
        As for every construct.
    model_data : ModelData
        The trained model.
    framework_version : str or FrameworkVersion
        PyTorch version of the serving container, for example ``"2.6"``.
    source_code : SourceCode, optional
        The inference script. Defaults to what `model_data` carries in ``code/``.
    entry_point : str, optional
        Name of the script in ``code/`` where no source code is given. Defaults to ``inference.py``.
    instance_type : str, optional
        Instance type that the container image is chosen for. Defaults to ``ml.m5.large``.
    accelerator_type : str, optional
        Elastic Inference accelerator that the image is chosen for. Defaults to none.
    environment : Mapping of str to str, optional
        Further environment variables of the container. Defaults to none.
    container : ServingContainer, optional
        Settings of the model server. Defaults to those of `ServingContainer`.
    networking : Networking, optional
        A VPC, isolation. Defaults to those of `Networking`.
    image : PyTorchImage, optional
        Container image. Defaults to AWS's inference image of `framework_version`, with its newest Python.
    artifacts_bucket : s3.IBucket, optional
        Where the packaged model goes. Defaults to a new `ArtifactsBucket`, if one is needed.
    packager : ModelPackager or str, optional
        Packages the model, if that is needed; ``"own"`` makes one that nothing else uses. Defaults to the
        stack's, which reads what all its users deploy.
    role : iam.IRole, optional
        Role of the container. Defaults to a new one, which may read the model.

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
        model_data: ModelData,
        framework_version: str | FrameworkVersion,
        source_code: SourceCode | None = None,
        entry_point: str = "inference.py",
        instance_type: str = "ml.m5.large",
        accelerator_type: str | None = None,
        environment: Mapping[str, str] | None = None,
        container: ServingContainer | None = None,
        networking: Networking | None = None,
        image: PyTorchImage | None = None,
        artifacts_bucket: s3.IBucket | None = None,
        packager: ModelPackager | str | None = None,
        role: iam.IRole | None = None,
    ) -> None:
        problems = Problems("PyTorchModel")
        problems.require(model_data, ModelData, "model_data")
        self.framework_version = FrameworkVersion.of(framework_version)
        self.instance_type = instance_type
        self.accelerator_type = accelerator_type
        self.container = ServingContainer() if container is None else container
        runs = InferenceContainer(
            framework_version=self.framework_version,
            instance_type=instance_type,
            accelerator_type=accelerator_type,
            source_code=source_code,
            image=image,
            environment=environment,
            container=container,
            networking=networking,
        )
        ModelOptions(
            entry_point=entry_point,
            instance_type=instance_type,
            artifacts_bucket=artifacts_bucket,
            packager=packager,
            role=role,
        ).check(problems, "")
        runs.check(problems)
        _check_archives(problems, model_data, source_code, self.framework_version)
        problems.raise_if_any()
        local_model = check_model_layout(
            problems,
            model_data,
            source_code=source_code,
            entry_point=entry_point,
            framework_version=self.framework_version,
            accelerator_type=accelerator_type,
            has_application=runs.has_application,
        )
        problems.raise_if_any()

        super().__init__(scope, construct_id)
        problems.annotate(self)
        self.role = role or new_container_role(self, "Role")
        image_uri = runs.bind_image(self, self.role)
        grant_logs_and_metrics(self.role, self, "/aws/sagemaker/Endpoints")
        archive = runs.bind_code(self)
        if archive is None and local_model is not None:
            runs.annotate_own_code(self, local_model.scripts, entry_point)
        handlers = runs.bind_handlers(self)
        packaged = self._package(model_data, archive, handlers, artifacts_bucket, packager)
        self.model_data_url = packaged.model_data_url
        variables = runs.variables(
            self,
            archive,
            submit_directory=packaged.submit_directory,
            entry_point=entry_point,
            has_handlers=handlers is not None,
        )
        properties = {
            "image": image_uri,
            "environment": variables | packaged.environment,
            **_model_data_properties(packaged.model_data_url, model_data.compressed),
        }
        resource = sagemaker.CfnModel(
            self,
            "Resource",
            execution_role_arn=self.role.role_arn,
            primary_container=sagemaker.CfnModel.ContainerDefinitionProperty(**properties),
            **_network_properties(networking, self, self.role),
        )
        resource.node.add_dependency(self.role)
        self.model_name = resource.attr_model_name

    @property
    def grant_principal(self) -> iam.IPrincipal:
        """The container's role: grant it what the handlers need besides the model."""
        return self.role.grant_principal

    @property
    def uses(self) -> list[Any]:
        """Resources that those of the model refer to: of another stack, they make this one depend on it."""
        return list(self._uses)

    def _package(
        self,
        model_data: ModelData,
        archive: SourceArchive | None,
        handlers: s3_assets.Asset | None,
        artifacts_bucket: s3.IBucket | None,
        packager: ModelPackager | str | None,
    ) -> PackagedModel:
        """Bring model data and code together, or leave model data without code where they lie."""
        location = model_data.bind(self)
        given = packager if isinstance(packager, ModelPackager) else None
        self._uses = [self.role, location.bucket, artifacts_bucket, given]
        # Hosting asks for archives that end in .tar.gz.
        is_hosted = not location.is_one_version and (
            not model_data.compressed or location.object_key_pattern.endswith(".tar.gz")
        )
        if archive is None and handlers is None and location.s3_uri is not None and is_hosted:
            location.grant_read(self.role)
            return PackagedModel(location.s3_uri, CODE_DIRECTORY)
        fields = {"framework_version": self.framework_version.full}
        packager = ModelPackager.of(self, packager)
        if archive is not None:
            archive.grant_read(packager)
            fields |= archive.event_fields
        if handlers is not None:
            handlers.bucket.grant_read(packager, handlers.s3_object_key)
            fields |= {"handlers": handlers.s3_object_url, "keep_code": "true"}
        return package_at_deployment(
            self,
            packager=packager,
            location=location,
            compressed=model_data.compressed,
            fields=fields,
            reader=self.role,
            artifacts_bucket=artifacts_bucket,
        )


def _check_archives(
    problems: Problems, model_data: ModelData, source_code: object, version: FrameworkVersion
) -> None:
    problems.check(
        model_data.compressed or source_code is None or version.code_in_model_archive,
        "model_data must be a model.tar.gz for framework_version before 1.2, whose code is an archive of"
        f" its own, got uncompressed model data for {version.full}",
    )


def _model_data_properties(uri: str, compressed: bool) -> dict[str, Any]:
    """Write where a container finds its model, as properties of CloudFormation's container."""
    if compressed:
        return {"model_data_url": uri}
    source = sagemaker.CfnModel.S3DataSourceProperty(
        compression_type="None", s3_data_type="S3Prefix", s3_uri=uri
    )
    return {"model_data_source": sagemaker.CfnModel.ModelDataSourceProperty(s3_data_source=source)}


def _network_properties(networking: Networking | None, scope: Construct, role: iam.IRole) -> dict[str, Any]:
    """Make what the network needs, and write it as properties of CloudFormation's model."""
    properties = cloudformation_properties(request((networking or Networking()).bind(scope, role)))
    if "vpc_config" in properties:
        properties["vpc_config"] = sagemaker.CfnModel.VpcConfigProperty(**properties["vpc_config"])
    return properties
