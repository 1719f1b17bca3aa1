"""What a model's container runs, and what it is told: the same for a model and for a pipeline's versions."""

import contextlib
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aws_cdk import Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3_assets as s3_assets
from constructs import Construct

from cdk_sagemaker_pytorch.common.environment import check_environment
from cdk_sagemaker_pytorch.common.image_check import check_image
from cdk_sagemaker_pytorch.common.networking import Networking
from cdk_sagemaker_pytorch.common.option_kinds import IMAGE, SOURCE_CODE, Resource
from cdk_sagemaker_pytorch.common.options import Options, option
from cdk_sagemaker_pytorch.common.problems import Problems
from cdk_sagemaker_pytorch.images.framework_version import FrameworkVersion
from cdk_sagemaker_pytorch.images.pytorch_image import PyTorchImage
from cdk_sagemaker_pytorch.scripts.script_annotations import annotate_inference_script
from cdk_sagemaker_pytorch.source.source_asset import SourceArchive, bind_handlers
from cdk_sagemaker_pytorch.source.source_code import SourceCode

from .elastic_inference import check_accelerator
from .inference_code import (
    OWN_VARIABLES,
    check_inference_code,
    default_inference_code,
    serving_environment,
)
from .serving_variables import check_serving_variables
from .settings import ServingContainer

__all__ = ["DEFAULT_ENTRY_POINT", "InferenceContainer"]

DEFAULT_ENTRY_POINT = "inference.py"
"""The script of a model that brings its own code."""

# The container's variable that names what Ray Serve runs.
_APPLICATION = "SM_RAYSERVE_APP"


@dataclass(frozen=True, kw_only=True)
class InferenceContainer(Options):
    """Flat keywords and groups that a model and a pipeline share, see `PyTorchModel`.

    Attributes
    ----------
    has_default : bool
        Whether the bundled inference script stands in for no source code. Defaults to no.
    """

    framework_version: FrameworkVersion
    instance_type: str
    accelerator_type: str | None
    source_code: SourceCode | None = option(Resource(attribute="bind_inference", wanted=SOURCE_CODE))
    image: PyTorchImage | None = option(Resource(attribute="bind", wanted=IMAGE))
    environment: Any
    container: Any
    networking: Any
    has_default: bool = False

    def check(self, problems: Problems, name: str = "") -> None:
        """Note what is wrong with any of them.

        Parameters
        ----------
        problems : Problems
            Gets the findings.
        name : str, optional
            Name of the group. Defaults to none: its parameters are flat keywords.
        """
        super().check(problems, name)
        ServingContainer.of(self.container, problems, "container")
        networking = Networking.of(self.networking, problems, "networking")
        networking.check_unused(problems, "networking", "encrypt_inter_container_traffic")
        problems.check(
            networking.enable_network_isolation is not True
            or self.framework_version.code_in_model_archive
            or (self.source_code is None and not self.has_default),
            "networking.enable_network_isolation needs framework_version 1.2 or newer, for the container of"
            f" an older one gets its code from S3 by itself, got {self.framework_version.full}",
        )
        check_environment(problems, self.environment, shape="Environment", own=OWN_VARIABLES)
        check_serving_variables(problems, self.environment, self.container)
        check_accelerator(problems, self.accelerator_type, self.framework_version)
        check_image(
            problems,
            self.image,
            family="inference",
            framework_version=self.framework_version,
            accelerator_type=self.accelerator_type,
        )
        check_inference_code(problems, self.source_code, self.framework_version, has_default=self.has_default)

    def bind_image(self, scope: Construct, role: iam.IRole) -> str:
        """Choose the image, and let a role pull it.

        Parameters
        ----------
        scope : Construct
            Carries the warnings.
        role : iam.IRole
            Role of the container.
        """
        config = (self.image or PyTorchImage.inference()).bind(
            scope,
            instance_type=self.instance_type,
            framework_version=self.framework_version,
            accelerator_type=self.accelerator_type,
        )
        config.grant_pull(role)
        return config.image_uri

    def bind_code(self, scope: Construct) -> SourceArchive | None:
        """Ship the inference code, and say what is wrong with its script; None where there is none.

        Parameters
        ----------
        scope : Construct
            Gets the asset, and carries the findings.
        """
        source_code = self.source_code
        if source_code is None:
            if not self.has_default:
                return None
            source_code = default_inference_code(self.accelerator_type)
        annotate_inference_script(
            scope,
            source_code,
            framework_version=self.framework_version,
            accelerator_type=self.accelerator_type,
            py_version=self.image.py_version if self.image is not None else None,
            instance_type=self.instance_type if isinstance(self.instance_type, str) else None,
        )
        return source_code.bind_inference(
            scope, "SourceCode", with_handlers=self.framework_version.ships_handlers
        )

    @property
    def has_application(self) -> bool:
        """Whether the environment names something else than handler functions for Ray Serve to run."""
        return _APPLICATION in dict(self.environment or {})

    def annotate_own_code(self, scope: Construct, scripts: Mapping[str, bytes], entry_point: str) -> None:
        """Say what is wrong with the script that a model brings along.

        Parameters
        ----------
        scope : Construct
            Carries the findings.
        scripts : mapping of str to bytes
            The files of its ``code/``.
        entry_point : str
            Which of them serves.
        """
        if entry_point not in scripts:
            return
        with tempfile.TemporaryDirectory() as folder:
            for name, text in scripts.items():
                path = Path(folder, name)
                with contextlib.suppress(OSError):  # one that is a file and a folder at once
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(text)
            annotate_inference_script(
                scope,
                SourceCode.from_directory(folder, entry_point=entry_point),
                framework_version=self.framework_version,
                accelerator_type=self.accelerator_type,
                py_version=self.image.py_version if self.image is not None else None,
                instance_type=self.instance_type,
                shown_folder="code",
            )

    def bind_handlers(self, scope: Construct) -> s3_assets.Asset | None:
        """Ship the library's handlers for a model that brings its own code; None where nothing needs them.

        Ray Serve has none of its own, while the container of an older version runs the code as it is.

        Parameters
        ----------
        scope : Construct
            Gets the asset.
        """
        version = self.framework_version
        has_code = self.source_code is not None or self.has_default
        if has_code or version.model_server != "ray" or self.has_application:
            return None
        return bind_handlers(scope, "Handlers")

    def variables(
        self,
        scope: Construct,
        archive: SourceArchive | None,
        *,
        submit_directory: str,
        entry_point: str = DEFAULT_ENTRY_POINT,
        has_handlers: bool = False,
    ) -> dict[str, str]:
        """Write the container's environment: the library's variables, then the given ones.

        Parameters
        ----------
        scope : Construct
            Any construct of the stack.
        archive : SourceArchive or None
            The inference code, if any was shipped.
        submit_directory : str
            Where the container finds it.
        entry_point : str, optional
            Its script, where none was shipped. Defaults to ``inference.py``.
        has_handlers : bool, optional
            Whether the library's handlers join the model's own code. Defaults to no.
        """
        script: str | None = entry_point if archive is None else archive.entry_point
        if has_handlers and script == DEFAULT_ENTRY_POINT:
            script = None  # the handlers look for it, and do without
        own = serving_environment(
            self.framework_version,
            entry_point=script,
            has_handlers=has_handlers or (archive is not None and archive.has_handlers),
            submit_directory=submit_directory,
            region=Stack.of(scope).region,
            container=self.container,
            image_tag=(self.image or PyTorchImage.inference()).ray_serve_tag,
        )
        return own | dict(self.environment or {})
