"""What a version of PyTorch on SageMaker may do."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from .image_table import image_table, release

__all__ = [
    "ArgumentPassing",
    "FrameworkVersion",
    "ModelServer",
    "UnknownFrameworkVersionError",
    "newest_python",
]

ModelServer = Literal["flask", "mms", "torchserve", "ray"]
ArgumentPassing = Literal["exec", "shell", "unknown"]

# Its images are the first with Python 3.8, which the code that the library ships is written in.
_FIRST_WITH_PYTHON_38 = (1, 9)
# sagemaker-training runs the script's command in a shell from 4.0.0 on, which needs Python 3.8, and no more
# from 5.1.3 on, which images built before this day cannot hold.
_SHELL_SURELY = (1, 11)
_FIRST_TOOLKIT_WITHOUT_SHELL = date(2026, 9, 1)


class UnknownFrameworkVersionError(ValueError):
    """A version of PyTorch that has no image and was not declared."""


@dataclass(frozen=True)
class FrameworkVersion:
    """A version of PyTorch as SageMaker has it, and the rules that hold for it.

    Get one with `FrameworkVersion.of`.

    Attributes
    ----------
    full : str
        The version with its patch number, such as ``2.6.0``.
    training_py_versions : tuple of str
        Python versions of the training images, such as ``("py312",)``; empty if there is no image.
    inference_py_versions : tuple of str
        Python versions of the inference images, Graviton's and Elastic Inference's included.
    end_of_patch : date or None
        Last day of security patches, by the support policy for the version; for versions before 1.12
        the day by which it had passed; None if no day was announced. Inference images can have
        another day: see `container_image.end_of_patch`.
    training_images : mapping of str to str
        ``repository:tag`` by processor (``cpu``, ``gpu``), as declared; empty for a known version.

    Examples
    --------
    >>> FrameworkVersion.of("2.6").full
    '2.6.0'
    >>> FrameworkVersion.of("1.1.0").code_in_model_archive
    False
    """

    full: str
    training_py_versions: tuple[str, ...]
    inference_py_versions: tuple[str, ...]
    end_of_patch: date | None
    training_images: Mapping[str, str] = field(default_factory=dict, hash=False)

    @classmethod
    def of(
        cls,
        version: "str | FrameworkVersion",
        *,
        training_py_versions: Iterable[str] | None = None,
        inference_py_versions: Iterable[str] | None = None,
        end_of_patch: date | None = None,
        training_images: Mapping[str, str] | None = None,
    ) -> "FrameworkVersion":
        """Find a version, or declare one that is newer than this library.

        What is declared for a version that the library knows has no effect, so that a declaration may
        stay when the library has caught up.

        Parameters
        ----------
        version : str or FrameworkVersion
            ``2.6.0``, or ``2.6`` for the newest patch of 2.6. A `FrameworkVersion` is returned as it is.
        training_py_versions : iterable of str, optional
            Declares the Python versions of the training images.
        inference_py_versions : iterable of str, optional
            Declares those of the inference image. Defaults to those of the Ray Serve container.
        end_of_patch : date, optional
            Declares the last day of security patches.
        training_images : mapping of str to str, optional
            Declares the training images by processor, for example
            ``{"cpu": "pytorch:2.14.0-cpu-amzn2023-sagemaker"}``, all in one repository. They are looked
            for in the account that AWS publishes new images from in each region.

        Raises
        ------
        UnknownFrameworkVersionError
            When there is no such version and nothing is declared for it.
        ValueError
            When a declaration cannot be understood.
        """
        if isinstance(version, FrameworkVersion):
            return version
        declared = (training_py_versions, inference_py_versions, end_of_patch, training_images)
        is_known = version in image_table().versions()
        if not is_known and any(declaration is not None for declaration in declared):
            if training_images and not training_py_versions:
                raise ValueError("training_images must come with training_py_versions, got none")
            return cls(
                full=_declared_version(version),
                training_py_versions=_py_versions("training_py_versions", training_py_versions),
                inference_py_versions=_py_versions("inference_py_versions", inference_py_versions)
                or _newest_inference_py_versions(),
                end_of_patch=end_of_patch,
                training_images=_declared_images(training_images or {}),
            )
        return cls._known(version)

    @classmethod
    def _known(cls, version: str) -> "FrameworkVersion":
        table = image_table()
        found = isinstance(version, str) and (
            table.find("training", version)
            or table.find("inference", version)
            or table.find("graviton", version)
            or table.find("eia", version)
        )
        if not found:
            raise UnknownFrameworkVersionError(
                f"framework_version must be one of {', '.join(table.versions())}, or the first two numbers "
                f"of one, as a string, got {version!r}; declare a newer one with "
                f"FrameworkVersion.of({str(version)!r}, training_py_versions=..., training_images=...)"
            )
        rows = [row for row in table.rows if row.version == found.version]
        training = {py for row in rows if row.family == "training" for py in row.py_versions}
        inference = {py for row in rows if row.family != "training" for py in row.py_versions}
        return cls(
            full=found.version,
            training_py_versions=tuple(sorted(training)),
            inference_py_versions=tuple(sorted(inference)),
            end_of_patch=table.end_of_patch(found.version),
        )

    @property
    def release(self) -> tuple[int, ...]:
        """The numbers of the version, which compare as versions do: ``(2, 10, 0)``."""
        return release(self.full)

    @property
    def argument_passing(self) -> ArgumentPassing:
        """How the training container hands hyperparameters to the script.

        ``exec``: each as it is. ``shell``: the command is joined by spaces and read by a shell, so that
        values with spaces, quotes or ``$`` arrive as something else. ``unknown``: either, as the image may
        have been built with one toolkit or the other.
        """
        return argument_passing_of(self.release, self.end_of_patch)

    @property
    def code_in_model_archive(self) -> bool:
        """Whether the inference code lies under ``code/`` in model.tar.gz, as it does from 1.2 on.

        Before, model.tar.gz has the model files alone and the code is a sourcedir.tar.gz of its own.
        """
        return self.release >= (1, 2)

    @property
    def inference_requirements(self) -> Literal["code", "unsupported", "source_dir"]:
        """Where the inference container looks for requirements.txt.

        ``code``: under ``code/`` in model.tar.gz, from 1.3.1 on. ``unsupported``: nowhere, in 1.2.
        ``source_dir``: beside the script in sourcedir.tar.gz, up to 1.1. Training honours a
        requirements.txt beside the script in every version.
        """
        if self.release >= (1, 3, 1):
            return "code"
        return "unsupported" if self.code_in_model_archive else "source_dir"

    @property
    def model_server(self) -> ModelServer:
        """What serves models in the inference container; with Elastic Inference it is always ``mms``.

        ``flask`` up to 1.1, ``mms`` (Multi Model Server) up to 1.5, ``torchserve`` up to 2.6, then
        ``ray`` (Ray Serve).
        """
        return model_server_of(self.release)

    @property
    def ships_handlers(self) -> bool:
        """Whether the inference container runs the library's handlers: from 1.9 on, with Python 3.8.

        Older ones run the script as it is.
        """
        return self.release >= _FIRST_WITH_PYTHON_38

    @property
    def runs_bundled_training(self) -> bool:
        """Whether the bundled training script runs on the training images: from 1.9 on, with Python 3.8."""
        return self.release >= _FIRST_WITH_PYTHON_38

    @property
    def supports_elastic_inference(self) -> bool:
        """Whether this minor version has an Elastic Inference image; the images are 1.3.1 and 1.5.1."""
        return any(self.release[:2] == release(known)[:2] for known in image_table().versions("eia"))


def argument_passing_of(numbers: tuple[int, ...], end_of_patch: date | None) -> ArgumentPassing:
    """How hyperparameters reach the script, by a version's numbers and the last day an image is built."""
    if numbers < _FIRST_WITH_PYTHON_38:
        return "exec"
    is_built_no_more = end_of_patch is not None and end_of_patch < _FIRST_TOOLKIT_WITHOUT_SHELL
    return "shell" if numbers >= _SHELL_SURELY and is_built_no_more else "unknown"


def model_server_of(numbers: tuple[int, ...]) -> ModelServer:
    """Model server by the numbers of a version, known or not."""
    if numbers >= (2, 7):
        return "ray"
    if numbers >= (1, 6):
        return "torchserve"
    return "mms" if numbers >= (1, 2) else "flask"


def newest_python(py_versions: Iterable[str]) -> tuple[int, int] | None:
    """Read the version of the newest of some Pythons, such as (3, 12) of py312; (3, 0) of py3.

    Parameters
    ----------
    py_versions : iterable of str
        Their names in tags of images; what is no such name is passed over. Without any the answer is None.
    """
    parsed = [re.fullmatch(r"py(\d)(\d*)", name) for name in py_versions]
    return max(((int(found[1]), int(found[2] or 0)) for found in parsed if found), default=None)


def _declared_version(version: str) -> str:
    if not re.fullmatch(r"[0-9]+\.[0-9]+\.[0-9]+", version):
        raise ValueError(
            f"a declared framework_version must have three numbers such as 2.14.0, got {version}"
        )
    return version


def _py_versions(name: str, values: Iterable[str] | None) -> tuple[str, ...]:
    if isinstance(values, str):
        raise ValueError(f"{name} must be a list such as ['py312'], got the string {values!r}")
    py_versions = tuple(values or ())
    wrong = [value for value in py_versions if not re.fullmatch(r"py[0-9]+", value)]
    if wrong:
        raise ValueError(f"{name} must be Python versions such as py312, got {', '.join(wrong)}")
    return py_versions


def _declared_images(images: Mapping[str, str]) -> Mapping[str, str]:
    if len({image.partition(":")[0] for image in images.values()}) > 1:
        raise ValueError(f"training_images must be in one repository, got {', '.join(images.values())}")
    for processor, image in images.items():
        if processor not in ("cpu", "gpu") or not re.fullmatch(r"[a-z0-9/_.-]+:[\w.-]+", image):
            raise ValueError(
                f"training_images must map cpu and gpu to repository:tag, got {processor}: {image}"
            )
    return dict(images)


def _newest_inference_py_versions() -> tuple[str, ...]:
    table = image_table()
    newest = table.find("inference", table.versions("inference")[-1])
    return newest.py_versions if newest else ()
