"""The code that serves: what it defaults to, and what its container is told about it."""

from cdk_sagemaker_pytorch.common.problems import Problems
from cdk_sagemaker_pytorch.images.framework_version import FrameworkVersion
from cdk_sagemaker_pytorch.source.source_asset import SERVING_PACKAGE
from cdk_sagemaker_pytorch.source.source_code import SourceCode

from .ray_environment import ray_environment
from .settings import ServingContainer

__all__ = [
    "CODE_DIRECTORY",
    "OWN_VARIABLES",
    "check_inference_code",
    "default_inference_code",
    "serving_environment",
]

_MODEL_DIR = "/opt/ml/model"

CODE_DIRECTORY = f"{_MODEL_DIR}/code"
"""Where a container of version 1.2 or newer finds the inference code."""

# SageMaker lets 25 MB through to a real-time endpoint; TorchServe and Multi Model Server take 6.5 MB of it
# unless they are told otherwise, which AWS's configuration lets the environment do (enable_envvars_config).
_MAX_BODY_BYTES = str(25 * 1024 * 1024)
_BODY_LIMITS = {
    server: {f"{prefix}_MAX_{body}_SIZE": _MAX_BODY_BYTES for body in ("REQUEST", "RESPONSE")}
    for server, prefix in (("torchserve", "TS"), ("mms", "MMS"))
}

OWN_VARIABLES = 19
"""How many variables of the library's own a container gets at most."""


def default_inference_code(accelerator_type: str | None) -> SourceCode:
    """Choose the bundled inference script.

    Parameters
    ----------
    accelerator_type : str or None
        Elastic Inference accelerator, if any.
    """
    if accelerator_type is not None:
        return SourceCode.bundled_elastic_inference()
    return SourceCode.bundled_inference()


def check_inference_code(
    problems: Problems,
    source_code: SourceCode | None,
    framework_version: FrameworkVersion,
    *,
    has_default: bool = False,
) -> None:
    """Note inference code that a version's container cannot run as it is meant.

    Parameters
    ----------
    problems : Problems
        Gets the findings.
    source_code : SourceCode or None
        The inference code.
    framework_version : FrameworkVersion
        PyTorch version of the serving container.
    has_default : bool, optional
        Whether `default_inference_code` stands in for no source code. Defaults to no.
    """
    if source_code is None:
        problems.check(
            not has_default
            or framework_version.ships_handlers
            or framework_version.supports_elastic_inference,
            "source_code must be given for framework_version before 1.9, where the bundled handlers do"
            f" not run, got none for {framework_version.full}",
        )
    elif framework_version.inference_requirements == "unsupported":
        problems.check(
            not source_code.has_requirements,
            "source_code must not hold a requirements.txt for framework_version"
            f" {framework_version.full}, whose serving container cannot install it: use 1.3.1 or newer,"
            " or ship the packages as dependencies",
        )


def serving_environment(
    framework_version: FrameworkVersion,
    *,
    entry_point: str | None,
    has_handlers: bool,
    submit_directory: str,
    region: str,
    container: ServingContainer | None = None,
    image_tag: str | None = None,
) -> dict[str, str]:
    """Environment of a serving container.

    Parameters
    ----------
    framework_version : FrameworkVersion
        Decides on the model server, and so on the variables.
    entry_point : str or None
        The inference script, relative to the code directory. None: the handlers take ``inference.py``, or
        stand in for it.
    has_handlers : bool
        Whether the library's handlers lie beside it: then they run it, and stand in for the
        functions that it leaves out.
    submit_directory : str
        ``/opt/ml/model/code``, or up to version 1.1 the S3 URI of sourcedir.tar.gz.
    region : str
        The region.
    container : ServingContainer, optional
        Settings of the model server. Defaults to those of `ServingContainer`.
    image_tag : str, optional
        Tag of the Ray Serve container, which says what it holds. Defaults to unknown.
    """
    server = framework_version.model_server
    environment = {
        "SAGEMAKER_PROGRAM": entry_point or "",
        "SAGEMAKER_SUBMIT_DIRECTORY": submit_directory,
        "SAGEMAKER_REGION": region,
        "SAGEMAKER_CONTAINER_LOG_LEVEL": "20",
    }
    if has_handlers and server == "ray":
        environment["SM_RAYSERVE_APP"] = f"{SERVING_PACKAGE}.ray_application:app"
        # Not every release of the container has the code directory on its path.
        environment["PYTHONPATH"] = f"{_MODEL_DIR}:{CODE_DIRECTORY}"
        if entry_point is None:
            del environment["SAGEMAKER_PROGRAM"]
        environment |= ray_environment(image_tag)
    elif has_handlers:
        # The toolkit imports the module of this name, which runs the script.
        environment["SAGEMAKER_PROGRAM"] = f"{SERVING_PACKAGE}.torchserve_entry_point"
        environment["CDK_SAGEMAKER_PYTORCH_ENTRY_POINT"] = entry_point or ""
    environment |= _BODY_LIMITS.get(server, {})
    return environment | (container or ServingContainer()).environment(server)
