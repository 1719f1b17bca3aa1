"""Whether an image fits the construct that runs it."""

from cdk_sagemaker_pytorch.images.framework_version import FrameworkVersion
from cdk_sagemaker_pytorch.images.image_description import Scope
from cdk_sagemaker_pytorch.images.pytorch_image import PyTorchImage

from .problems import Problems

__all__ = ["check_image"]


def check_image(
    problems: Problems,
    image: object,
    *,
    family: Scope,
    framework_version: FrameworkVersion,
    accelerator_type: str | None = None,
) -> None:
    """Note where an image contradicts its construct.

    What is shipped with an image, and told to it, is laid out for the construct's version: another one would
    look for it elsewhere. Versions are compared to their minor number, for patches lay out nothing anew.

    Parameters
    ----------
    problems : Problems
        Gets the findings.
    image : object
        The image; what is none is not looked at.
    family : str
        What it is to do: ``training`` or ``inference``.
    framework_version : FrameworkVersion
        PyTorch version of the construct.
    accelerator_type : str, optional
        Elastic Inference accelerator of the construct. Defaults to none.
    """
    if not isinstance(image, PyTorchImage):
        return
    problems.check(
        image.family in (None, family),
        f"image must be for {family}, got AWS's image for {image.family}: use PyTorchImage.{family}()",
    )
    version = image.framework_version
    problems.check(
        version is None or version.release[:2] == framework_version.release[:2],
        f"image must be of framework_version {framework_version.full}, for which everything else is laid out,"
        f" got one of {version and version.full}: change framework_version, or leave it out at the image",
    )
    problems.check(
        image.accelerator_type in (None, accelerator_type),
        f"image must be for accelerator_type {accelerator_type}, got one for {image.accelerator_type}:"
        " give accelerator_type to the construct alone",
    )
