"""Write the limits of the SageMaker API that synthesis knows, from botocore's model of the service.

Run `python scripts/make_api_limits.py` after an update of botocore; a test says when it is due. To check
another parameter, add the name of its shape below.
"""

import sys
import textwrap
from pathlib import Path

import botocore
import botocore.session

TARGET = Path(__file__).parents[1] / "constructs/cdk_sagemaker_pytorch/common/api_limits.py"

SHAPES = (
    "AlgorithmImage",
    "ChannelName",
    "ContainerImage",
    "ContentType",
    "DirectoryPath",
    "EndpointName",
    "EnvironmentKey",
    "EnvironmentMap",
    "EnvironmentValue",
    "HyperParameterKey",
    "HyperParameterValue",
    "HyperParameters",
    "InitialTaskCount",
    "InputDataConfig",
    "KeepAlivePeriodInSeconds",
    "MaxRuntimeInSeconds",
    "MaxWaitTimeInSeconds",
    "MetricDefinitionList",
    "MetricName",
    "MetricRegex",
    "ProcessingInstanceType",
    "ProcessingMaxRuntimeInSeconds",
    "ProductionVariantContainerStartupHealthCheckTimeoutInSeconds",
    "ProductionVariantInstanceType",
    "ProductionVariantModelDataDownloadTimeoutInSeconds",
    "ProductionVariantVolumeSizeInGB",
    "S3Uri",
    "TrainingEnvironmentKey",
    "TrainingEnvironmentMap",
    "TrainingEnvironmentValue",
    "TrainingInstanceCount",
    "TrainingInstanceType",
    "TrainingJobName",
    "VariantName",
    "VolumeSizeInGB",
    "VpcSecurityGroupIds",
    "Subnets",
)

_HEADER = '''"""Limits of the SageMaker API, by the names of its shapes.

Written by scripts/make_api_limits.py from botocore's model of the service. Change nothing here.
"""

from typing import Final, TypedDict

__all__ = ["API_LIMITS", "ApiLimits"]


class ApiLimits(TypedDict, total=False):
    """What a shape allows: bounds of a number, a length or a count, and what a text must look like.

    Attributes
    ----------
    min, max : int
        Bounds of a number, of the length of a text, or of the count of entries.
    pattern : str
        Regular expression of the whole text.
    known : str
        Values that there were when this was written, with spaces between; services get new ones.
    """

    min: int
    max: int
    pattern: str
    known: str


API_LIMITS: Final[dict[str, ApiLimits]] = {
'''


def render() -> str:
    """Render the module."""
    model = botocore.session.get_session().get_service_model("sagemaker")
    text = _HEADER
    for name in sorted(SHAPES):
        metadata = model.shape_for(name).metadata
        text += f'    "{name}": {{\n'
        for limit in ("min", "max"):
            if limit in metadata:
                text += f'        "{limit}": {metadata[limit]},\n'
        if metadata.get("pattern", ".*") != ".*":
            pattern = metadata["pattern"]
            text += f'        "pattern": r"{pattern}",\n'
        if "enum" in metadata:
            lines = textwrap.wrap(" ".join(sorted(metadata["enum"])), 90, break_on_hyphens=False)
            known = "\n".join(f'            " {line}"' for line in lines)
            text += f'        "known": (\n{known}\n        ),\n'
        text += "    },\n"
    return text + "}\n"


if __name__ == "__main__":
    TARGET.write_text(render())
    sys.stderr.write(f"{TARGET.name}: from botocore {botocore.__version__}\n")
