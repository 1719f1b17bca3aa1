"""Write docs/coverage.md: what of SageMaker's API has a parameter, and what the local AWS has.

Run `make coverage` after adding either; a test says when it is due.
"""

import json
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import fields
from pathlib import Path

import botocore
import botocore.session
from botocore.model import StructureShape
from moto.sagemaker.responses import SageMakerResponse

import cdk_sagemaker_pytorch
from cdk_sagemaker_pytorch.common.options import Options
from cdk_sagemaker_pytorch.images.image_table import image_table
from cdk_sagemaker_pytorch.local.cloudformation import resource_types  # noqa: F401 - registers the types
from cdk_sagemaker_pytorch.local.cloudformation.resource_type import known_types
from cdk_sagemaker_pytorch.local.sagemaker.api import LocalSageMakerResponse

PACKAGE = Path(cdk_sagemaker_pytorch.__file__).parent
IMAGES = PACKAGE / "images" / "container_images.json"
TARGET = Path(__file__).parents[1] / "docs" / "coverage.md"

# The groups of each request, and what a construct sends that is no field of a group.
REQUESTS: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {
    "CreateTrainingJob": (
        ("Compute", "Checkpoints", "JobOptions", "Networking", "OutputData"),
        {
            "TrainingJobName": "made from the construct's path and the execution",
            "HyperParameters": "`hyperparameters`, and the library's own",
            "AlgorithmSpecification.TrainingImage": "`image`, `framework_version`",
            "AlgorithmSpecification.TrainingInputMode": "`File`; each input has its own",
            "AlgorithmSpecification.MetricDefinitions": "`metric_definitions`",
            "RoleArn": "`role`",
            "InputDataConfig": "`inputs`",
            "OutputDataConfig.S3OutputPath": "`OutputData(bucket, prefix)`",
            "OutputDataConfig.CompressionType": "`OutputData(compress)`",
            "VpcConfig.SecurityGroupIds": "`Networking(security_groups)`",
            "VpcConfig.Subnets": "`Networking(vpc, vpc_subnets)`",
            "CheckpointConfig.S3Uri": "`Checkpoints(bucket, prefix)`",
            "Environment": "`environment`",
        },
    ),
    "CreateModel": (
        ("Networking",),
        {
            "ModelName": "made by CloudFormation, or for each version",
            "PrimaryContainer.Image": "`image`, `framework_version`",
            "PrimaryContainer.ModelDataUrl": "`model_data`",
            "PrimaryContainer.ModelDataSource": "`model_data`, uncompressed",
            "PrimaryContainer.Environment": "`environment`, `ServingContainer`, and the library's own",
            "ExecutionRoleArn": "`role`",
            "VpcConfig.SecurityGroupIds": "`Networking(security_groups)`",
            "VpcConfig.Subnets": "`Networking(vpc, vpc_subnets)`",
        },
    ),
    "CreateEndpointConfig": (
        (),
        {
            "EndpointConfigName": "made by CloudFormation, or for each version",
            "ProductionVariants": "one, see below",
            "KmsKeyId": "`Instances(volume_key)`",
        },
    ),
    "ProductionVariant": (
        ("Instances", "ProductionVariant"),
        {
            "ModelName": "the model",
            "InitialVariantWeight": "1",
            "AcceleratorType": "`accelerator_type`",
            "InferenceAmiVersion": "chosen for the image",
        },
    ),
}
_OF_TRAINING_ALONE = {"EnableInterContainerTrafficEncryption"}
_OPERATION = re.compile(r"^[a-z]+(_[a-z0-9]+)+$")


def render() -> str:
    """Render the page."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "# Coverage"
    yield ""
    yield "Written by `make coverage`; a test holds it to the code."
    yield ""
    yield "## Parameters"
    yield ""
    yield "What of each request a parameter decides: a flat keyword, or a field of a group."
    yield "What has none is not sent."
    for request, (groups, others) in REQUESTS.items():
        yield ""
        yield f"### {request}"
        yield ""
        yield "| member | parameter |"
        yield "|---|---|"
        known = _parameters(groups) | others
        for member in _members(request):
            yield f"| `{member}` | {known.pop(member, '')} |"
        if known.keys() - _OF_TRAINING_ALONE:
            raise ValueError(f"{request} has no members {sorted(known)}")
    yield ""
    yield "## Images"
    yield ""
    yield "Where the table of AWS's images comes from, and when it was read:"
    yield ""
    for part in json.loads(IMAGES.read_text()).values():
        yield f"- {part['source']} ({part['read']})"
    yield ""
    yield f"The newest version in it is PyTorch {image_table().versions()[-1]}."
    yield ""
    yield "## The local AWS"
    yield ""
    yield "CloudFormation makes these types with code of its own:"
    yield ""
    yield _listed(known_types)
    yield ""
    yield "others with moto's, where moto has the type, and any other in name only, with a warning."
    yield "These operations of SageMaker really do what they say:"
    yield ""
    own = {name for name in vars(LocalSageMakerResponse) if _OPERATION.match(name)}
    yield _listed("".join(map(str.capitalize, name.split("_"))) for name in own)
    yield ""
    yield "and these are moto's, which keep what they are told:"
    yield ""
    motos = {name for name in vars(SageMakerResponse) if _OPERATION.match(name)} - own
    operations = set(botocore.session.get_session().get_service_model("sagemaker").operation_names)
    yield _listed(operations & {"".join(map(str.capitalize, name.split("_"))) for name in motos})


def _parameters(groups: tuple[str, ...]) -> dict[str, str]:
    """Name the parameter of each member that is a field of a group."""
    found = {}
    for group in _subclasses(Options):
        if group.__name__ in groups:
            is_flat = group.__name__ in ("JobOptions", "ProductionVariant")
            for field in fields(group):  # type: ignore[arg-type]
                member = field.metadata["kind"].member if "kind" in field.metadata else ""
                if member:
                    found[member] = f"`{field.name}`" if is_flat else f"`{group.__name__}({field.name})`"
    return found


def _subclasses(base: type[Options]) -> Iterator[type[Options]]:
    for name in cdk_sagemaker_pytorch.__all__:
        getattr(cdk_sagemaker_pytorch, name)  # imports every floor
    for each in base.__subclasses__():
        yield each
        yield from _subclasses(each)


def _members(request: str) -> Iterator[str]:
    """List the members of a request, and of the structures directly in it."""
    model = botocore.session.get_session().get_service_model("sagemaker")
    is_operation = request.startswith("Create")
    shape = model.operation_model(request).input_shape if is_operation else model.shape_for(request)
    for name, member in shape.members.items():
        if isinstance(member, StructureShape):
            yield from (f"{name}.{inner}" for inner in member.members)
        else:
            yield name


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))


if __name__ == "__main__":
    TARGET.write_text(render())
    sys.stderr.write(f"{TARGET.name}: from botocore {botocore.__version__}\n")
