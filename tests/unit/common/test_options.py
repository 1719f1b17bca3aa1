"""What holds for the parameters of all groups."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

import cdk_sagemaker_pytorch
from cdk_sagemaker_pytorch.common.api_limits import API_LIMITS
from cdk_sagemaker_pytorch.common.api_request import cloudformation_properties, request
from cdk_sagemaker_pytorch.common.option_kinds import Kind
from cdk_sagemaker_pytorch.common.options import Options


def _options() -> list[tuple[str, str, Kind]]:
    for name in cdk_sagemaker_pytorch.__all__:
        getattr(cdk_sagemaker_pytorch, name)  # imports every floor
    found: list[tuple[str, str, Kind]] = []
    groups = Options.__subclasses__()
    for group in groups:
        groups.extend(group.__subclasses__())
        found += [
            (group.__name__, field.name, field.metadata["kind"])
            for field in fields(group)  # type: ignore[arg-type]
            if "kind" in field.metadata
        ]
    return found


OPTIONS = _options()


@pytest.mark.parametrize(("group", "name", "kind"), OPTIONS, ids=lambda value: str(value)[:40])
def test_its_shape_has_limits(group: str, name: str, kind: Kind) -> None:
    assert kind.shape is None or kind.shape in API_LIMITS


@pytest.mark.parametrize(("group", "name", "kind"), OPTIONS, ids=lambda value: str(value)[:40])
def test_its_docstring_says_what_it_does(group: str, name: str, kind: Kind) -> None:
    owner = next(cls for cls in Options.__subclasses__() if cls.__name__ == group)
    if "Flat keywords" in (owner.__doc__ or ""):  # the construct's own docstring has them
        return
    assert re.search(rf"^    (\w+, )*{name}(, \w+)* : ", owner.__doc__ or "", re.MULTILINE)


def test_what_is_checked_by_name_has_limits() -> None:
    package = Path(cdk_sagemaker_pytorch.__file__).parent
    named = {
        shape
        for path in package.rglob("*.py")
        for shape in re.findall(
            r'check_limits\([^()]*(?:\([^()]*\)[^()]*)*"([A-Z]\w+)"\s*\)', path.read_text()
        )
    }
    assert {"HyperParameterKey", "ChannelName", "MetricRegex"} <= named
    assert named <= API_LIMITS.keys()


def test_members_become_a_request() -> None:
    assert request({"A.B": 1, "C": 2}, {"A.D.E": 3, "C": 4}) == {"A": {"B": 1, "D": {"E": 3}}, "C": 4}


def test_members_become_properties_of_the_cdk() -> None:
    properties = cloudformation_properties(
        {"VolumeSizeInGB": 1, "KmsKeyId": "k", "VpcConfig": {"Subnets": []}}
    )
    assert properties == {"volume_size_in_gb": 1, "kms_key_id": "k", "vpc_config": {"subnets": []}}
