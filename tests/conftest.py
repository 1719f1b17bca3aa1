"""Fixtures that every kind of test shares."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from cdk_sagemaker_pytorch.local.base.node_program import find_node

# jsii runs on the Node of the development environment, whatever the machine has.
os.environ.setdefault("JSII_NODE", find_node() or "node")
# Source code is packed anew, whatever was packed before on this machine.
os.environ["CDK_SAGEMAKER_PYTORCH_CACHE"] = ""

# How long an example takes says nothing where cores are shared. A run of the suite tries the same examples
# each time, so that a change is judged by what it changes; `make explore` looks for new ones.
settings.register_profile(
    "steady", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "explore", deadline=None, max_examples=1000, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))


def pytest_xdist_auto_num_workers() -> int | None:
    """One more than there are cores, where nobody said a number: much of what the tests do is waiting."""
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let what takes long begin first, so that no worker is alone with it at the end."""
    first = ["simulation", "local", "assets", "conformance/test_pythons.py"]
    here = Path(__file__).parent

    def place(item: pytest.Item) -> int:
        path = item.path.relative_to(here)
        return next((number for number, name in enumerate(first) if path.is_relative_to(name)), len(first))

    items.sort(key=place)
