"""Finds what the local CloudFormation knows of a type."""

from functools import cache
from importlib import import_module
from pathlib import Path

from .moto_resources import MotoResource, NamedResource, moto_model
from .resource_type import ResourceType, known_types

# A type registers itself when its module is imported.
for _module in sorted(Path(__file__).parent.glob("*_resources.py")):
    import_module(f".{_module.stem}", __package__)


@cache
def resource_type(name: str) -> ResourceType:
    """Return what is known of a type, for example `AWS::S3::Bucket`."""
    known = known_types.get("AWS::CloudFormation::CustomResource" if name.startswith("Custom::") else name)
    if known is not None:
        return known()
    model = moto_model(name)
    return MotoResource(model) if model is not None else NamedResource()
