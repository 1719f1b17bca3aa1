"""What all stories share."""

from typing import Any

import pytest

from .definition import definition as synthesize


@pytest.fixture(scope="session")
def definition() -> dict[str, Any]:
    """The state machine of a real deployment."""
    return synthesize()
