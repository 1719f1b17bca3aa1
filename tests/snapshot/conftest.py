"""Whole templates as JSON, with everything masked that depends on the content of an asset."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App, Stack
from aws_cdk.assertions import Template
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.json import JSONSnapshotExtension

CONTEXT = json.loads((Path(__file__).parents[2] / "cdk.json").read_text())["context"]
# Functions without their wheels: a test asks no package index.
CONTEXT["cdk-sagemaker-pytorch:skip-wheels"] = True
# The warning of an image past its end of patch must not depend on the day of the test.
CONTEXT["cdk-sagemaker-pytorch:today"] = "2026-11-22"

_ASSET_HASH = re.compile(r"[0-9a-f]{64}")
_INPUTS_DIGEST = re.compile(r"/[0-9a-f]{16}/model\.tar\.gz")
_DEFINITION = "DefinitionString"


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    return Stack(App(context=CONTEXT, outdir=str(tmp_path / "cdk.out")), "Stack")


@pytest.fixture
def matches_snapshot(stack: Stack, snapshot: SnapshotAssertion) -> Callable[[], None]:
    def check() -> None:
        text = json.dumps(Template.from_stack(stack).to_json())
        text = _INPUTS_DIGEST.sub("/<inputs>/model.tar.gz", _ASSET_HASH.sub("<asset>", text))
        template = json.loads(text)
        for resource in template["Resources"].values():
            if _DEFINITION in resource.get("Properties", {}):
                definition = _readable(resource["Properties"][_DEFINITION])
                resource["Properties"][_DEFINITION] = definition
            _sort_resources(resource.get("Properties", {}))
        assert template == snapshot.use_extension(JSONSnapshotExtension)

    return check


def _sort_resources(part: Any) -> None:
    """Sort what policies name: the CDK sorts it before the hashes of assets are masked."""
    if isinstance(part, list):
        for item in part:
            _sort_resources(item)
    elif isinstance(part, dict):
        if isinstance(part.get("Resource"), list):
            part["Resource"].sort(key=json.dumps)
        for item in part.values():
            _sort_resources(item)


def _readable(definition: Any) -> Any:
    """Show a state machine as the JSON that it is, so that a change reads as one."""
    parts = definition["Fn::Join"][1] if isinstance(definition, dict) else [definition]
    return json.loads(
        "".join(part if isinstance(part, str) else json.dumps(json.dumps(part))[1:-1] for part in parts)
    )
