"""Which container image runs a version of PyTorch, by region, instance type and accelerator."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import date

from .framework_version import FrameworkVersion, ModelServer, UnknownFrameworkVersionError
from .image_description import ImageDescription, Scope, describe_image
from .image_table import ImageFamily, ImageRow, image_table, minor, release
from .instance_processor import (
    ACCELERATOR_TYPES,
    ContainerImageError,
    Processor,
    instance_family,
    instance_type_problem,
    processor_of,
)

__all__ = [
    "ACCELERATOR_TYPES",
    "ContainerImage",
    "ContainerImageError",
    "ImageDescription",
    "Processor",
    "Scope",
    "describe_image",
    "end_of_patch",
    "find_image",
    "image_uri",
    "next_supported",
    "processor_of",
    "registry_account",
]

_FAMILY_NAMES: dict[ImageFamily, str] = {
    "training": "training",
    "inference": "inference",
    "graviton": "Graviton inference",
    "eia": "Elastic Inference",
}


@dataclass(frozen=True)
class ContainerImage:
    """An image in all the regions that have it.

    Attributes
    ----------
    framework_version : FrameworkVersion
        The version with its patch number, the alias resolved.
    scope : str
        ``training`` or ``inference``.
    family : str
        ``training``, ``inference``, ``graviton`` or ``eia``.
    processor : str
        ``cpu``, ``gpu`` or ``graviton``.
    py_version : str
        Python of the image, such as ``py312``.
    repository, tag : str
        Name and tag in the registry.
    registry : str
        Name of the set of regions in the image table.
    accounts : mapping of str to str
        Account of the registry by region.
    end_of_patch : date or None
        Last day of security patches; None if no day was announced.
    """

    framework_version: FrameworkVersion
    scope: Scope
    family: ImageFamily
    processor: Processor
    py_version: str
    repository: str
    tag: str
    registry: str
    accounts: Mapping[str, str]
    end_of_patch: date | None

    @property
    def model_server(self) -> ModelServer | None:
        """What serves models in the image; None for training."""
        if self.scope == "training":
            return None
        return "mms" if self.family == "eia" else self.framework_version.model_server

    def uri(self, region: str) -> str:
        """URI in one region.

        Raises
        ------
        ContainerImageError
            When the region does not have the image.
        """
        if region not in self.accounts:
            raise ContainerImageError([_region_problem(region, self.accounts)])
        suffix = image_table().partition(region).dns_suffix
        return f"{self.accounts[region]}.dkr.ecr.{region}.{suffix}/{self.repository}:{self.tag}"

    def repository_arn(self, region: str) -> str:
        """ARN of the repository in one region, for policies."""
        partition = image_table().partition(region).name
        return f"arn:{partition}:ecr:{region}:{self.accounts[region]}:repository/{self.repository}"


def image_uri(
    framework_version: str | FrameworkVersion,
    *,
    region: str,
    instance_type: str | None = None,
    scope: Scope = "training",
    py_version: str | None = None,
    accelerator_type: str | None = None,
) -> str:
    """URI of the image that AWS documents for a job or an endpoint.

    Parameters
    ----------
    framework_version : str or FrameworkVersion
        ``2.6.0``, or ``2.6``: then the tag has these two numbers too, which AWS moves to the newest
        patch. A `FrameworkVersion` gives a full tag, for Elastic Inference and Graviton that of the
        patch that they have. For inference after 2.6 the image is the Ray Serve container.
    region : str
        For example ``eu-west-1``.
    instance_type : str, optional
        For example ``ml.g5.xlarge``; its family decides between the CPU, GPU and Graviton images.
        May be None for inference: a serverless endpoint, which runs on CPUs.
    scope : str, optional
        ``training`` or ``inference``. Defaults to ``training``.
    py_version : str, optional
        For example ``py312``. Defaults to the newest that there is.
    accelerator_type : str, optional
        Elastic Inference accelerator, such as ``ml.eia2.medium``. Defaults to none.

    Returns
    -------
    str
        ``account.dkr.ecr.region.suffix/repository:tag``.

    Raises
    ------
    ContainerImageError
        When no such image exists; it names everything that is wrong, and what exists.

    Examples
    --------
    >>> image_uri("2.6.0", region="eu-west-1", instance_type="ml.g5.xlarge")
    '763104351884.dkr.ecr.eu-west-1.amazonaws.com/pytorch-training:2.6.0-gpu-py312'
    """
    problems: list[str] = []
    image = _look_up(problems, framework_version, instance_type, scope, py_version, accelerator_type)
    regions = image.accounts if image else image_table().regions()
    if region not in regions:
        problems.append(_region_problem(region, regions))
    if image is None or problems:
        raise ContainerImageError(problems)
    return image.uri(region)


def find_image(
    framework_version: str | FrameworkVersion,
    *,
    instance_type: str | None = None,
    scope: Scope = "training",
    py_version: str | None = None,
    accelerator_type: str | None = None,
) -> ContainerImage:
    """Find an image without naming a region; otherwise like `image_uri`.

    Raises
    ------
    ContainerImageError
        When no such image exists; it names everything that is wrong, and what exists.
    """
    problems: list[str] = []
    image = _look_up(problems, framework_version, instance_type, scope, py_version, accelerator_type)
    if image is None or problems:
        raise ContainerImageError(problems)
    return image


def registry_account(
    region: str, *, framework_version: str | FrameworkVersion, scope: Scope = "training"
) -> str:
    """Account of the registry that has a version's images in a region.

    Raises
    ------
    ContainerImageError
        When the version has no image for the scope, or not in that region.
    """
    row = _row_for_scope(framework_version, scope)
    if region not in row.accounts:
        raise ContainerImageError([_region_problem(region, row.accounts)])
    return row.accounts[region]


def end_of_patch(framework_version: str | FrameworkVersion, *, scope: Scope = "training") -> date | None:
    """Last day of security patches of a version's images.

    For versions before 1.12 it is the day by which it had passed; None if no day was announced.

    Raises
    ------
    ContainerImageError
        When the version has no image for the scope.
    """
    return _row_for_scope(framework_version, scope).end_of_patch


def next_supported(image: ContainerImage, today: date) -> FrameworkVersion | None:
    """Return the first newer version with an image of the same family that still gets patches.

    Both the image and the version itself have to be within their patch time on `today`, so that
    training and serving can move to it together. None if there is none.
    """
    table = image_table()
    for version in table.versions(image.family):
        row = table.find(image.family, version)
        if row is None or release(version) <= image.framework_version.release:
            continue
        days = (row.end_of_patch, table.end_of_patch(version))
        if all(day is None or day >= today for day in days):
            return FrameworkVersion.of(version)
    return None


def _look_up(
    problems: list[str],
    framework_version: str | FrameworkVersion,
    instance_type: str | None,
    scope: Scope,
    py_version: str | None,
    accelerator_type: str | None,
) -> ContainerImage | None:
    """Find the image, or note in `problems` all that is wrong."""
    version = _version(problems, framework_version)
    processor = _processor(problems, instance_type, scope, version)
    if accelerator_type is not None:
        _check_accelerator(problems, accelerator_type, scope, instance_type, processor)
    if scope not in ("training", "inference"):
        problems.append(f"scope must be training or inference, got {scope}")
        return None
    if version is None:
        return None

    family = _family(scope, processor, accelerator_type)
    requested = _requested(framework_version, family)
    row = _row(requested, version, family)
    if row is None:
        problems.append(_no_image_problem(requested, family))
        return None
    py_version = py_version or row.py_versions[-1]
    if py_version not in row.py_versions:
        problems.append(
            f"py_version must be {' or '.join(row.py_versions)} for {_FAMILY_NAMES[family]} with PyTorch "
            f"{row.version}, got {py_version}"
        )
    if processor is None or problems:
        return None
    if processor not in row.tags:
        problems.append(
            f"training_images of {version.full} must have one for {processor}, got {dict(row.tags)}"
        )
        return None

    tag = row.tags[processor].format(version=requested, py_version=py_version)
    if instance_type is not None and instance_family(instance_type) == "p4d":
        tag += row.p4d_suffixes.get(requested, "")
    return ContainerImage(
        framework_version=version if version.full == row.version else FrameworkVersion.of(row.version),
        scope=scope,
        family=family,
        processor=processor,
        py_version=py_version,
        repository=row.repository,
        tag=tag,
        registry=row.registry,
        accounts=row.accounts,
        end_of_patch=row.end_of_patch,
    )


def _version(problems: list[str], framework_version: str | FrameworkVersion) -> FrameworkVersion | None:
    try:
        return FrameworkVersion.of(framework_version)
    except UnknownFrameworkVersionError as error:
        problems.append(str(error))
        return None


def _processor(
    problems: list[str], instance_type: str | None, scope: Scope, version: FrameworkVersion | None
) -> Processor | None:
    if instance_type is None:
        if scope == "training":
            problems.append("instance_type is needed for training, such as ml.m5.large, got None")
        return "cpu"
    family = instance_family(instance_type)
    if family is None:
        problems.append(instance_type_problem(instance_type))
        return None
    processor = processor_of(instance_type)
    if processor == "neuron":
        problems.append(
            f"instance_type {instance_type} needs a Neuron image, of which the table has none; "
            "give one with PyTorchImage.from_ecr_repository"
        )
    if processor == "graviton" and scope == "training":
        problems.append(
            f"instance_type {instance_type} has a Graviton processor, for which there are no training "
            "images; choose an x86 type such as ml.m5.large"
        )
    if family == "p2" and version is not None and version.release >= (1, 13):
        problems.append(
            f"instance_type {instance_type} runs PyTorch before 1.13 only, got framework_version "
            f"{version.full}; choose a type such as ml.g5.xlarge"
        )
    return processor


def _check_accelerator(
    problems: list[str],
    accelerator_type: str,
    scope: Scope,
    instance_type: str | None,
    processor: Processor | None,
) -> None:
    if accelerator_type not in ACCELERATOR_TYPES:
        problems.append(
            f"accelerator_type must be one of {', '.join(ACCELERATOR_TYPES)}, got {accelerator_type}"
        )
    if scope == "training":
        problems.append(f"accelerator_type is for inference only, got {accelerator_type} for training")
    if processor not in ("cpu", None):
        problems.append(f"accelerator_type needs an x86 instance_type without a GPU, got {instance_type}")


def _family(scope: Scope, processor: Processor | None, accelerator_type: str | None) -> ImageFamily:
    if scope == "training":
        return "training"
    if accelerator_type is not None:
        return "eia"
    return "graviton" if processor == "graviton" else "inference"


def _requested(framework_version: str | FrameworkVersion, family: ImageFamily) -> str:
    """Text of a version, which for a resolved one names the patch that the family has of its minor."""
    if isinstance(framework_version, str):
        return framework_version
    table, full = image_table(), framework_version.full
    is_declared = full not in table.versions()
    row = None if is_declared else table.find(family, full) or table.find(family, minor(full))
    return row.version if row else full


def _row(requested: str, version: FrameworkVersion, family: ImageFamily) -> ImageRow | None:
    table = image_table()
    row = table.find(family, requested)
    if row is not None or version.full in table.versions():
        return row
    if family == "inference" and version.model_server == "ray":
        newest = table.find(family, table.versions(family)[-1])
        return newest and replace(newest, version=version.full, py_versions=version.inference_py_versions)
    if family == "training" and version.training_images:
        # All declared images share a repository, see FrameworkVersion.of.
        images = {processor: image.split(":") for processor, image in version.training_images.items()}
        return ImageRow(
            family=family,
            version=version.full,
            repository=next(repository for repository, _ in images.values()),
            registry=table.newest_registry,
            accounts=table.accounts(table.newest_registry),
            py_versions=version.training_py_versions,
            tags={processor: tag for processor, (_, tag) in images.items()},
            end_of_patch=version.end_of_patch,
        )
    return None


def _row_for_scope(framework_version: str | FrameworkVersion, scope: Scope) -> ImageRow:
    problems: list[str] = []
    version = _version(problems, framework_version)
    if version is None:
        raise ContainerImageError(problems)
    requested = _requested(framework_version, scope)
    row = _row(requested, version, scope)
    if row is None:
        raise ContainerImageError([_no_image_problem(requested, scope)])
    return row


def _no_image_problem(requested: str, family: ImageFamily) -> str:
    hint = ", declared without training_images" if family == "training" else ""
    known = image_table().versions()
    return (
        f"framework_version must be one that has an image for {_FAMILY_NAMES[family]}: "
        f"{', '.join(image_table().versions(family))}; got {requested}"
        f"{hint if requested not in known else ''}"
    )


def _region_problem(region: str, accounts: Collection[str]) -> str:
    return f"region must be one that has the image: {', '.join(sorted(accounts))}; got {region}"
