"""The container image of a training job or a model, chosen when a construct binds it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from aws_cdk import Annotations, Aws, CfnMapping, Stack, Token
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_iam as iam
from constructs import Construct

from .container_image import (
    ContainerImage,
    ContainerImageError,
    Scope,
    find_image,
    next_supported,
    processor_of,
)
from .framework_version import FrameworkVersion, ModelServer
from .image_table import image_table

__all__ = ["PyTorchImage", "PyTorchImageConfig"]

TODAY_CONTEXT = "cdk-sagemaker-pytorch:today"


@dataclass(frozen=True)
class PyTorchImageConfig:
    """An image as one construct uses it.

    Attributes
    ----------
    image_uri : str
        For the ``Image`` of a SageMaker resource; a token in a stack that does not name its region.
    framework_version : FrameworkVersion or None
        Version of PyTorch in it; None for an image of one's own that does not say.
    model_server : str or None
        ``flask``, ``mms``, ``torchserve`` or ``ray``; None for training images and where it is unknown.
    """

    image_uri: str
    framework_version: FrameworkVersion | None
    model_server: ModelServer | None
    _grant_pull: Callable[[iam.IGrantable], iam.Grant] = field(repr=False)

    def grant_pull(self, grantee: iam.IGrantable) -> iam.Grant:
        """Allow a role to pull this image, and to log in to the registry."""
        return self._grant_pull(grantee)


class PyTorchImage(ABC):
    """A container image for PyTorch; constructs that run one call `bind`.

    Attributes
    ----------
    family : str or None
        ``training`` or ``inference``; None for an image of one's own, which may be for anything.
    framework_version : FrameworkVersion or None
        Version that it was asked for with; None for that of the construct that runs it.
    py_version : str or None
        Python that was asked for, such as ``py312``; None for no one in particular.
    accelerator_type : str or None
        Elastic Inference accelerator that was asked for; None for the construct's.
    """

    family: Scope | None = None
    framework_version: FrameworkVersion | None = None
    py_version: str | None = None
    accelerator_type: str | None = None

    @property
    def ray_serve_tag(self) -> str | None:
        """Tag that says which release of the Ray Serve container it is; None where that is unknown."""
        return None

    @staticmethod
    def training(
        framework_version: str | FrameworkVersion | None = None, *, py_version: str | None = None
    ) -> "PyTorchImage":
        """Use AWS's training image of a version.

        Parameters
        ----------
        framework_version : str or FrameworkVersion, optional
            For example ``2.10.0``. Defaults to the one of the construct that runs the image.
        py_version : str, optional
            For example ``py313``. Defaults to the newest that there is.

        Raises
        ------
        UnknownFrameworkVersionError
            When there is no such version.
        """
        return _AwsImage(
            family="training",
            framework_version=_version(framework_version),
            asked_version=framework_version,
            py_version=py_version,
        )

    @staticmethod
    def inference(
        framework_version: str | FrameworkVersion | None = None,
        *,
        py_version: str | None = None,
        accelerator_type: str | None = None,
    ) -> "PyTorchImage":
        """Use AWS's inference image of a version, after 2.6 the Ray Serve container.

        Parameters
        ----------
        framework_version : str or FrameworkVersion, optional
            For example ``2.6.0``. Defaults to the one of the construct that runs the image.
        py_version : str, optional
            For example ``py312``. Defaults to the newest that there is.
        accelerator_type : str, optional
            Elastic Inference accelerator, such as ``ml.eia2.medium``. Defaults to the construct's.

        Raises
        ------
        UnknownFrameworkVersionError
            When there is no such version.
        """
        return _AwsImage(
            family="inference",
            framework_version=_version(framework_version),
            asked_version=framework_version,
            py_version=py_version,
            accelerator_type=accelerator_type,
        )

    @staticmethod
    def from_ecr_repository(
        repository: ecr.IRepository,
        tag: str = "latest",
        *,
        framework_version: str | FrameworkVersion | None = None,
    ) -> "PyTorchImage":
        """Use an image in a repository of one's own.

        Parameters
        ----------
        repository : ecr.IRepository
            The repository.
        tag : str, optional
            Tag, or digest such as ``sha256:...``. Defaults to ``latest``.
        framework_version : str or FrameworkVersion, optional
            Version of PyTorch in the image. Defaults to unknown.

        Raises
        ------
        ContainerImageError
            When it is no repository, or the tag no text.
        """
        problems = []
        if isinstance(repository, str) or not hasattr(repository, "repository_arn"):
            problems.append(
                "repository must be an ecr.IRepository such as"
                f" ecr.Repository.from_repository_name(scope, id, name), got {repository!r}"
            )
        if not isinstance(tag, str):
            problems.append(f"tag must be text, got {tag!r}")
        if problems:
            raise ContainerImageError(problems)
        return _RepositoryImage(repository=repository, tag=tag, framework_version=_version(framework_version))

    @staticmethod
    def from_asset(
        directory: str | Path,
        *,
        file: str | None = None,
        build_args: Mapping[str, str] | None = None,
        framework_version: str | FrameworkVersion | None = None,
    ) -> "PyTorchImage":
        """Build an image at deployment, from a directory with a Dockerfile.

        It is built for the processor of the instance type that it is bound for.

        Parameters
        ----------
        directory : str or Path
            The build context.
        file : str, optional
            Path of the Dockerfile in it. Defaults to ``Dockerfile``.
        build_args : mapping of str to str, optional
            Build arguments. Defaults to none.
        framework_version : str or FrameworkVersion, optional
            Version of PyTorch in the image. Defaults to unknown.

        Raises
        ------
        ValueError
            When there is no such Dockerfile.
        """
        dockerfile = Path(directory) / (file or "Dockerfile")
        if not dockerfile.is_file():
            raise ValueError(f"directory must hold the Dockerfile, found no {dockerfile}")
        return _AssetImage(
            directory=Path(directory),
            file=file,
            build_args=dict(build_args or {}),
            framework_version=_version(framework_version),
        )

    @abstractmethod
    def bind(
        self,
        scope: Construct,
        *,
        instance_type: str | None,
        framework_version: FrameworkVersion | None = None,
        accelerator_type: str | None = None,
    ) -> PyTorchImageConfig:
        """Choose the image for a construct.

        Parameters
        ----------
        scope : Construct
            The construct that runs the image; warnings are attached to it.
        instance_type : str or None
            Instance type that it runs on; None for a serverless endpoint.
        framework_version : FrameworkVersion, optional
            Version of the construct, for an image that was asked for without one. Defaults to none.
        accelerator_type : str, optional
            Elastic Inference accelerator of the construct, likewise. Defaults to none.

        Raises
        ------
        ContainerImageError
            When there is no such image.
        """


@dataclass(frozen=True, kw_only=True)
class _AwsImage(PyTorchImage):
    family: Scope
    framework_version: FrameworkVersion | None
    asked_version: str | FrameworkVersion | None  # as it was written: the tag of 2.13 is not that of 2.13.0
    py_version: str | None
    accelerator_type: str | None = None

    @property
    def ray_serve_tag(self) -> str | None:
        rows = [row for row in image_table().rows if row.repository == "ray" and row.family == self.family]
        return next((tag for row in rows for tag in row.tags.values()), None)

    def bind(
        self,
        scope: Construct,
        *,
        instance_type: str | None,
        framework_version: FrameworkVersion | None = None,
        accelerator_type: str | None = None,
    ) -> PyTorchImageConfig:
        if Token.is_unresolved(instance_type):
            problem = (
                "instance_type must be known at synthesis for the image to be chosen, got a token; "
                "give an image with PyTorchImage.from_ecr_repository"
            )
            raise ContainerImageError([problem])
        version = self.asked_version or framework_version
        if version is None:
            raise ContainerImageError(["framework_version must be given for an image of its own, got none"])
        image = find_image(
            version,
            instance_type=instance_type,
            scope=self.family,
            py_version=self.py_version,
            accelerator_type=self.accelerator_type or accelerator_type,
        )
        _warn_past_end_of_patch(scope, image)
        stack = Stack.of(scope)
        if Token.is_unresolved(stack.region):
            account = _accounts_mapping(stack, image).find_in_map(Aws.REGION, "account")
            uri = f"{account}.dkr.ecr.{Aws.REGION}.{Aws.URL_SUFFIX}/{image.repository}:{image.tag}"
            repository_arn = f"arn:{Aws.PARTITION}:ecr:{Aws.REGION}:{account}:repository/{image.repository}"
        else:
            uri = image.uri(stack.region)
            repository_arn = image.repository_arn(stack.region)
        return PyTorchImageConfig(
            image_uri=uri,
            framework_version=image.framework_version,
            model_server=image.model_server,
            _grant_pull=lambda grantee: _grant_pull(grantee, repository_arn),
        )


@dataclass(frozen=True, kw_only=True)
class _RepositoryImage(PyTorchImage):
    repository: ecr.IRepository
    tag: str
    framework_version: FrameworkVersion | None

    @property
    def ray_serve_tag(self) -> str | None:
        return self.tag

    def bind(
        self,
        scope: Construct,
        *,
        instance_type: str | None,
        framework_version: FrameworkVersion | None = None,
        accelerator_type: str | None = None,
    ) -> PyTorchImageConfig:
        return PyTorchImageConfig(
            image_uri=self.repository.repository_uri_for_tag_or_digest(self.tag),
            framework_version=self.framework_version,
            model_server=None,
            _grant_pull=self.repository.grant_pull,
        )


@dataclass(frozen=True, kw_only=True)
class _AssetImage(PyTorchImage):
    directory: Path
    file: str | None
    build_args: dict[str, str]
    framework_version: FrameworkVersion | None

    def bind(
        self,
        scope: Construct,
        *,
        instance_type: str | None,
        framework_version: FrameworkVersion | None = None,
        accelerator_type: str | None = None,
    ) -> PyTorchImageConfig:
        is_graviton = instance_type is not None and processor_of(instance_type) == "graviton"
        options: dict[str, Any] = {"file": self.file} if self.file else {}
        asset = ecr_assets.DockerImageAsset(
            scope,
            "Image",
            directory=str(self.directory),
            build_args=self.build_args,
            platform=ecr_assets.Platform.LINUX_ARM64 if is_graviton else ecr_assets.Platform.LINUX_AMD64,
            **options,
        )
        return PyTorchImageConfig(
            image_uri=asset.image_uri,
            framework_version=self.framework_version,
            model_server=None,
            _grant_pull=asset.repository.grant_pull,
        )


def _version(framework_version: str | FrameworkVersion | None) -> FrameworkVersion | None:
    return None if framework_version is None else FrameworkVersion.of(framework_version)


def _accounts_mapping(stack: Stack, image: ContainerImage) -> CfnMapping:
    """Return the mapping from region to account, with the regions that have the image; a stack has it once.

    In a region that is not in it, CloudFormation refuses the template before it creates anything.
    """
    construct_id = "PyTorchImageAccounts" + "".join(word.capitalize() for word in image.registry.split("-"))
    found = stack.node.try_find_child(construct_id)
    if isinstance(found, CfnMapping):
        return found
    return CfnMapping(
        stack,
        construct_id,
        mapping={region: {"account": account} for region, account in image.accounts.items()},
    )


def _grant_pull(grantee: iam.IGrantable, repository_arn: str) -> iam.Grant:
    login = iam.Grant.add_to_principal(
        grantee=grantee,
        actions=["ecr:GetAuthorizationToken"],
        resource_arns=["*"],  # the action knows no resources
    )
    return iam.Grant.add_to_principal(
        grantee=grantee,
        actions=["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
        resource_arns=[repository_arn],
    ).combine(login)


def _warn_past_end_of_patch(scope: Construct, image: ContainerImage) -> None:
    today = _today(scope)
    if image.end_of_patch is None or image.end_of_patch >= today:
        return
    successor = next_supported(image, today)
    advice = (
        f"the next version with an image that gets them is {successor.full}"
        if successor
        else f"no newer {image.family} image gets them, choose another kind of instance"
    )
    Annotations.of(scope).add_warning_v2(
        "cdk-sagemaker-pytorch:Image.endOfPatch",
        f"{image.repository}:{image.tag} gets no security patches since {image.end_of_patch}; {advice}",
    )


def _today(scope: Construct) -> date:
    """Return the day in the context, which makes synthesis repeatable, or the clock's."""
    given = scope.node.try_get_context(TODAY_CONTEXT)
    if given is None:
        return date.today()
    try:
        return date.fromisoformat(given)
    except (TypeError, ValueError):
        raise ValueError(f"context {TODAY_CONTEXT} must be a day such as 2026-11-22, got {given!r}") from None
