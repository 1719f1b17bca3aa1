"""Reads the URI of a container image back: which of AWS's PyTorch images it is, and what it serves with."""

import re
from dataclasses import dataclass
from typing import Literal

from .framework_version import ArgumentPassing, ModelServer, argument_passing_of, model_server_of
from .image_table import ImageFamily, ImageRow, image_table, release
from .instance_processor import Processor

__all__ = ["ImageDescription", "Scope", "describe_image"]

Scope = Literal["training", "inference"]

_URI = re.compile(
    r"(?P<account>[0-9]{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.[a-z0-9.-]+"
    r"/(?P<repository>[a-z0-9._/-]+):(?P<tag>[\w.-]+)(@sha256:[0-9a-f]{64})?"
)


@dataclass(frozen=True)
class ImageDescription:
    """What the URI of one of AWS's PyTorch images says.

    Attributes
    ----------
    account, region, repository, tag : str
        The parts of the URI.
    version : str or None
        Version of PyTorch with its patch number; None for Ray Serve, whose tag does not say.
    processor : str
        ``cpu``, ``gpu`` or ``graviton``.
    accelerated : bool
        Whether its build of PyTorch can use an Elastic Inference accelerator.
    scope : str or None
        ``training`` or ``inference``; None for the images before 1.2, which do both.
    model_server : str or None
        What serves models in it; None for training images.
    argument_passing : str
        How a training image hands hyperparameters to the script: ``exec``, ``shell`` or ``unknown``.
    """

    account: str
    region: str
    repository: str
    tag: str
    version: str | None
    processor: Processor
    accelerated: bool
    scope: Scope | None
    model_server: ModelServer | None
    argument_passing: ArgumentPassing


def describe_image(uri: str) -> ImageDescription | None:
    """Read the URI of an image.

    Parameters
    ----------
    uri : str
        ``account.dkr.ecr.region.suffix/repository:tag``; the account may be that of a copy.

    Returns
    -------
    ImageDescription or None
        None if it is none of AWS's PyTorch images, going by the repository.
    """
    parts = _URI.fullmatch(uri)
    if not parts:
        return None
    repository, tag = parts["repository"], parts["tag"]
    rows = [row for row in image_table().rows if row.repository == repository]
    if not rows:
        return None
    families = {row.family for row in rows}
    version = _version(tag, rows)
    scope = _scope(families)
    return ImageDescription(
        account=parts["account"],
        region=parts["region"],
        repository=repository,
        tag=tag,
        version=version,
        processor="graviton" if families == {"graviton"} else _processor(tag),
        accelerated=families == {"eia"},
        scope=scope,
        model_server=None if scope == "training" else _model_server(families, version),
        argument_passing=_argument_passing(version),
    )


def _version(tag: str, rows: list[ImageRow]) -> str | None:
    found = re.match(r"[0-9]+\.[0-9]+(\.[0-9]+)?(?=-)", tag)
    if not found:
        return None
    known = image_table().find(rows[0].family, found[0])
    return known.version if known else found[0]


def _scope(families: set[ImageFamily]) -> Scope | None:
    if "training" not in families:
        return "inference"
    return "training" if families == {"training"} else None


def _processor(tag: str) -> Processor:
    return "gpu" if re.search(r"(^|-)(gpu|cuda|cu[0-9]+)(-|$)", tag) else "cpu"


def _argument_passing(version: str | None) -> ArgumentPassing:
    if version is None:
        return "unknown"
    known = image_table().find("training", version)
    return argument_passing_of(release(version), known.end_of_patch if known else None)


def _model_server(families: set[ImageFamily], version: str | None) -> ModelServer:
    if families == {"eia"}:
        return "mms"
    return model_server_of(release(version)) if version else "ray"
